"""
Measures Citewell against what its users would pick instead, in one run and on the same documents.

    make bench                                   everything that is at hand
    BENCH=quick make bench                       a few minutes
    python tests/bench/compare.py --report-only  RESULTS.md and the plots again, from results.jsonl

Sides: Citewell in process and over HTTP; txtai (hybrid); haystack (in-memory BM25 and embeddings, joined); a plain
script of sentence-transformers and FAISS, which is the control and runs always. Each side has processes of its own, and
sides take turns. `--data` (BENCH_DATA) names a folder with data/NAME and eval/NAME-dev.jsonl, of which medquad is the
base of all sizes and articles is measured for quality; without it the starter library is the base. `--index`
(BENCH_INDEX) names a finished Citewell index of the base, else one is built. Every row is kept as soon as it is
measured. compare_material.py says what the sizes are made of, side_*.py how each side is used.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import compare_report
from compare_machine import machine, versions
from compare_process import ROOT, Limits, SideFailed
from compare_rows import CONTROL, Row, add_row, compact, drop_other_machines, read_rows
from compare_run import Run, sizes_of
from compare_size import VARIANTS, Collection

SIDES = {"citewell": "", "txtai": "txtai", "haystack": "haystack", "plain": ""}  # and what must be installed
HERE = Path(__file__).parent
MOST = 100_000_000  # passages; what the machine can't take is told in the table


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; those that name a place may come from the environment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    place = os.environ.get
    parser.add_argument("--data", type=Path, default=place("BENCH_DATA") or None, help="folder with data/ and eval/")
    parser.add_argument("--index", type=Path, default=place("BENCH_INDEX") or None, help="finished index of the base")
    parser.add_argument("--work", type=Path, default=place("BENCH_WORK") or ROOT / "var" / "bench")
    parser.add_argument("--results", type=Path, help="rows; RESULTS.md is written beside them (tests/bench)")
    parser.add_argument("--sizes", default="", help='passages, such as "2000,46000"; "base" is the whole base')
    parser.add_argument("--collections", default="starter,articles", help="also measured for quality; empty: none")
    parser.add_argument("--only", default="", help="sides, such as citewell; the plain script runs always")
    parser.add_argument("--quick", action="store_true", default=place("BENCH") == "quick", help="a few minutes")
    parser.add_argument("--repeats", type=int, default=3, help="of builds and starts up to 50,000 passages, else 1")
    parser.add_argument("--questions", type=int, default=300, help="asked of each side; 0 asks all")
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="peers' other passages, judged on the whole base"
    )
    parser.add_argument("--whole", action="store_true", help="every side embeds the whole base (hours)")
    parser.add_argument("--limit-s", type=float, default=1800.0, help="of one build of one side")
    parser.add_argument("--ask-s", type=float, default=300.0, help="of one side's questions at one size")
    parser.add_argument("--memory-gb", type=float, default=16.0, help="of one side's process")
    parser.add_argument("--keep", action="store_true", help="leave the indexes in the work folder")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    if options.results is None:
        # What took a few minutes must not stand where the long run's figures are.
        options.results = options.work / "quick" / "results.jsonl" if options.quick else HERE / "results.jsonl"
    for what, given, known in (("side", options.only, list(SIDES)), ("variant", options.variants, list(VARIANTS))):
        wrong = set(filter(None, given.split(","))) - set(known)
        if wrong:
            parser.error(f"no such {what}: {', '.join(sorted(wrong))}; there are {', '.join(known)}")
    if problem := _problem_of(options):
        parser.error(problem)
    return options


def _problem_of(options: argparse.Namespace) -> str:
    """Return what can't be measured as asked for, before anything is; "" when all is well."""
    sizes = [size for size in options.sizes.split(",") if size]
    if wrong := [size for size in sizes if size != "base" and not (size.isdecimal() and 1 <= int(size) <= MOST)]:
        return f'{", ".join(wrong)}: a size is "base" or a number of passages from 1 to {MOST:,}'
    if options.data is not None:
        for name in ("data/medquad", "eval/medquad-dev.jsonl"):
            if not (options.data / name).exists():
                return f"{options.data} has no {name}: name a folder that has (BENCH_DATA), or none"
    if options.index is not None and not (options.index / "CURRENT").is_file():
        return f"{options.index} is no finished index: name one (BENCH_INDEX), or none to have one built"
    return ""


def chosen_sides(only: str) -> list[str]:
    """Return the sides to measure, and say of each that is left out why."""
    wanted = [name for name in SIDES if not only or name in only.split(",") or name == CONTROL]
    missing = [name for name in wanted if SIDES[name] and importlib.util.find_spec(SIDES[name]) is None]
    for name in missing:
        sys.stdout.write(f"left out: {name} is not installed (pip install --group bench)\n")
    return [name for name in wanted if name not in missing]


def collections(options: argparse.Namespace) -> tuple[Collection, list[Collection]]:
    """Return the base of all sizes, and what else is measured for quality."""
    starter = Collection("starter", ROOT / "corpus", ROOT / "tests" / "quality" / "starter-questions.jsonl", None)
    found = {"starter": starter}
    if options.quick:
        sys.stdout.write("quick: the base is the starter library\n")
    elif options.data is None:
        sys.stdout.write("BENCH_DATA names no folder with data/medquad: the base is the starter library\n")
    else:
        for name in ("articles", "medquad"):
            questions = options.data / "eval" / f"{name}-dev.jsonl"
            found[name] = Collection(name, options.data / "data" / name, questions, None)
    base = found.get("medquad", starter)
    if options.index is not None and base.name != "starter":
        base = Collection(base.name, base.corpus, base.questions, options.index)
    also = [found[name] for name in options.collections.split(",") if name in found and name != base.name]
    return base, also


def command_of(options: argparse.Namespace) -> str:
    """Return the command that does the same again; places are called by their variable, as they are a machine's own."""
    words = ["python", "tests/bench/compare.py"]
    for name, value in sorted(vars(options).items()):
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif name in ("data", "index") and value is not None:
            words += [flag, f"BENCH_{name.upper()}"]
        elif name not in ("data", "index", "work", "results") and value not in (None, False):
            words += [flag, str(value)]
    return shlex.join(words)


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for, then write the report."""
    options = parse(arguments)
    if not options.report_only:
        # Whoever ends this program ends what it started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        base, also = collections(options)
        limits = Limits(options.limit_s, int(options.memory_gb * 1e9))
        told: dict[str, Any] = {
            "command": command_of(options),
            "machine": machine(),
            "versions": versions(),
            "limits": {"build_s": limits.seconds, "ask_s": options.ask_s, "memory_gb": options.memory_gb},
            "base": base.name,
        }
        options.results.parent.mkdir(parents=True, exist_ok=True)
        if n_dropped := drop_other_machines(options.results, told["machine"]):
            sys.stdout.write(f"dropped {n_dropped} rows that another machine measured\n")
        add_row(options.results, Row(now, "run", "", "", told))
        run = Run(now, options, limits, chosen_sides(options.only))
        steps = [partial(run.measure_collection, collection) for collection in also]
        steps += [partial(run.measure_size, base, size) for size in sizes_of(options, base)]
        for step in steps:
            try:
                step()
            except SideFailed as error:  # in making what is measured; what was measured is kept
                sys.stdout.write(f"left out: {error}\n")
        compact(options.results)
    rows = read_rows(options.results)
    if not rows:
        raise SystemExit(f"{options.results} holds nothing: measure first, without --report-only")
    for path in compare_report.write_report(rows, options.results.parent):
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
