"""
Quality floors: what is pinned of an evaluation, and what of a new one is worse. Reads and writes the file alone.

The file holds a value for each measure by name ("fact/hit@1", "auroc/far" ...), with a slack of one question unless it
says otherwise; shares that are promises (verbatim, furniture, labels that lie in the index) have none. A floors file
may be written by hand with the measures that matter alone:

    {"pins": {"overall/hit@3": {"value": 0.7}, "returned/furniture_share": {"value": 0, "is_ceiling": true}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from index.files import write_atomically
from service.errors import FloorsInvalid

KIND_MEASURES = ("hit@1", "hit@3")  # a kind holds few questions: the finer measures are pinned overall only
OVERALL_MEASURES = ("hit@1", "hit@3", "hit@5", "mrr@10", "ndcg@10")
_ROUNDING = 1e-9
_FIX = "pin what a good index measures: citewell eval QUESTIONS.jsonl --floors FILE.json"


@dataclass(frozen=True, slots=True)
class Pin:
    """A value that must not get worse by more than `slack`; `is_ceiling` when larger is worse."""

    value: float
    slack: float = 0.0
    is_ceiling: bool = False

    def is_worse(self, other: Pin) -> bool:
        """Tell whether this measured value is worse than a pinned one by more than the pinned slack."""
        loss = self.value - other.value if other.is_ceiling else other.value - self.value
        return loss > other.slack + _ROUNDING

    def better(self, other: Pin) -> Pin:
        """Return whichever of two has the better value."""
        return self if (self.value <= other.value) == self.is_ceiling else other


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is pinned, or what would be; a fingerprint of "" is not compared."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    pins: Mapping[str, Pin]
    questions_sha256: str = ""
    corpus_sha256: str = ""
    model_fingerprint: str = ""


def read_floors(path: Path) -> Baseline:
    """
    Return what is pinned in a file.

    Raises:
        FloorsInvalid: missing, not JSON, or not of this form; names the field.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise FloorsInvalid(f"can't be read ({error.strerror})", where=str(path), fix=_FIX) from error
    except (ValueError, RecursionError) as error:
        raise FloorsInvalid("is not JSON", where=str(path), fix=_FIX) from error
    try:
        found = TypeAdapter(Baseline).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FloorsInvalid(str(first["msg"]), where=f"{path}, field {field}", fix=_FIX) from None
    if not found.pins:
        raise FloorsInvalid("pins nothing", where=f"{path}, field pins", fix=_FIX)
    return found


def write_baseline(baseline: Baseline, path: Path) -> None:
    """
    Write what is pinned, by name, so that a change reads well as a diff.

    Raises:
        FloorsInvalid: the file can't be written.
    """
    pins = {name: asdict(pin) for name, pin in sorted(baseline.pins.items())}
    values = {**asdict(baseline), "pins": pins}
    try:
        write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())
    except OSError as error:
        fix = "name a file in a folder that can be written"
        raise FloorsInvalid(f"can't be written ({error.strerror})", where=str(path), fix=fix) from error


def to_baseline(report: Mapping[str, Any], corpus_sha256: str = "") -> Baseline:
    """
    Return what would be pinned of an evaluation's JSON report.

    Args:
        corpus_sha256: of the corpus whose very bytes the pins are for; "" where it may change.
    """
    ranking, abstention, returned = report["ranking"], report["abstention"], report["returned"]
    estimates = {f"overall/{name}": ranking["overall"].get(name) for name in OVERALL_MEASURES}
    for kind, measures in ranking["kinds"].items():
        estimates |= {f"{kind}/{name}": measures[name] for name in KIND_MEASURES}
    estimates["multi/gold_documents@5"] = report["gold_documents@5"]
    estimates |= {f"auroc/{group}": estimate for group, estimate in abstention["auroc"].items()}
    estimates["share_answered/answerable"] = abstention["share_answered"]["answerable"]
    estimates["evidence/agreement"] = report["evidence"]["agreement"]
    ceilings = {f"share_answered/{group}": abstention["share_answered"][group] for group in ("near", "far")}
    ceilings["evidence/marked_share"] = report["evidence"]["marked_share"]
    pins = {name: Pin(round(e["value"], 6), round(1 / e["n"], 6)) for name, e in estimates.items() if e}
    pins |= {name: Pin(round(e["value"], 6), round(1 / e["n"], 6), True) for name, e in ceilings.items() if e}
    pins["returned/verbatim_share"] = Pin(returned["verbatim_share"] or 0.0)
    pins["returned/furniture_share"] = Pin(returned["furniture_share"] or 0.0, is_ceiling=True)
    pins["labels/problems"] = Pin(float(len(report["labels"]["problems"])), is_ceiling=True)
    return Baseline(pins, report["questions"]["sha256"], corpus_sha256, report["model_fingerprint"])


def find_regressions(pinned: Baseline | None, found: Baseline) -> list[str]:
    """Return one sentence for each measure that got worse than its slack allows, or is no longer measured."""
    worse: list[str] = []
    for name, pin in pinned.pins.items() if pinned else ():
        measured = found.pins.get(name)
        if measured is None:
            worse.append(f"{name}: {pin.value:.3f} was pinned, it is no longer measured")
        elif measured.is_worse(pin):
            worse.append(f"{name}: {pin.value:.3f} was pinned, {measured.value:.3f} measured, slack {pin.slack:.3f}")
    return worse
