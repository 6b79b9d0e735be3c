"""
Rows of results: kept one by one, so that a run that is cut off loses nothing; medians, percentiles and ratios of them.

A row is one JSON object a line: `run` (its start, UTC), `measure`, `size`, `side`, `values`, `others`: how many cores
other work took while it was measured. Of rows with equal measure, size and side the last one counts.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.measures import percentile

CONTROL = "plain"  # the side that is in every run


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement of one side."""

    run: str
    measure: str
    size: str
    side: str
    values: dict[str, Any]
    others: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what later rows replace."""
        return self.measure, self.size, self.side


def add_row(path: Path, row: Row) -> None:
    """Append a row and force it to the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[Row]:
    """Return all rows in order, [] where there is no file; a last line that was cut off is left out."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Row(**json.loads(line)))
        except ValueError:
            if number < len(lines):
                raise
    return found


def latest(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """Return the row that counts for each key."""
    return {row.key: row for row in rows}


def compact(path: Path) -> None:
    """Drop rows that later ones replaced; the control of a run of which something is left stays, for ratios."""
    rows = [row for row in read_rows(path) if row.measure != "run"]
    runs = {row.run for row in latest(rows).values()}
    kept = {id(row) for row in latest(rows).values()}
    kept |= {id(row) for row in {(row.run, *row.key): row for row in rows if row.side == CONTROL}.values()}
    heads = [row for row in read_rows(path) if row.measure == "run" and row.run in runs]
    _replace(path, [*heads, *(row for row in rows if id(row) in kept and row.run in runs)])


def drop_other_machines(path: Path, machine: dict[str, str]) -> int:
    """Drop the rows of runs on another processor or with other cores or memory; return how many."""
    rows = read_rows(path)
    same = ("processor", "cores", "memory")
    here = {r.run for r in rows if r.measure == "run" and all(r.values["machine"][k] == machine[k] for k in same)}
    kept = [row for row in rows if row.run in here]
    if len(kept) < len(rows):
        _replace(path, kept)
    return len(rows) - len(kept)


def _replace(path: Path, rows: Iterable[Row]) -> None:
    aside = path.with_suffix(".new")
    aside.write_text("".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows), "utf-8")
    aside.replace(path)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values and how far they lie apart: the quartiles, or all of it when there are under eight."""

    median: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Return the median and spread. Raises ValueError: no values."""
    if not values:
        raise ValueError("no values")
    if len(values) < 8:
        return Spread(statistics.median(values), min(values), max(values), len(values))
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), low, high, len(values))


def latency(values: Sequence[float]) -> dict[str, float]:
    """Return the 50th, 95th and 99th percentile, by nearest rank."""
    return {name: percentile(values, share) or 0.0 for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def pairwise_ratio(side: Sequence[float], other: Sequence[float]) -> Spread | None:
    """Return the ratio of two sides that did the same things in turn: the median over the pairs, None without any."""
    found = [a / b for a, b in zip(side, other, strict=False) if b > 0]
    return spread(found) if found else None


def ratio(rows: Sequence[Row], measure: str, size: str, side: str, to: str, name: str) -> Spread | None:
    """
    Return how many times the value `name` of `to` a side's is, from what was done in turn in one run.

    Where the two were last measured in different runs, each is held against the control of its own run and the two
    ratios are divided: a busier hour then falls out. None where that can't be done.
    """
    last = latest(rows)
    one, other = last.get((measure, size, side)), last.get((measure, size, to))
    if one is None or other is None or name not in one.values or name not in other.values:
        return None
    if one.run == other.run:
        return pairwise_ratio(_list(one.values[name]), _list(other.values[name]))
    control = {row.run: row for row in rows if row.key == (measure, size, CONTROL) and name in row.values}
    if one.run not in control or other.run not in control:
        return None
    ours = pairwise_ratio(_list(one.values[name]), _list(control[one.run].values[name]))
    theirs = pairwise_ratio(_list(other.values[name]), _list(control[other.run].values[name]))
    if ours is None or theirs is None or not theirs.low:
        return None
    return Spread(ours.median / theirs.median, ours.low / theirs.high, ours.high / theirs.low, min(ours.n, theirs.n))


def _list(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, list) else [float(value)]
