"""
Quality floors of the starter library: measure, compare with what is pinned, pin anew. No test and no pytest in here.

    python tests/quality/gate.py                               measure and compare; exit 1 when something fell
    python tests/quality/gate.py --update                      pin what was measured; refuses to let anything fall
    python tests/quality/gate.py --update --allow-regression   pin it all the same; the commit says why

baseline.json pins the bytes of the questions and of corpus/, the model, and one value for each measure. A floor has a
slack of one question: the vectors of a processor without bfloat16 differ in the fifth digit, which may turn one
near-tie. Shares that are promises (verbatim, furniture) have none. When a pin holds within its slack, `--update`
keeps the better value, so that floors can't creep down one question at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "corpus"
QUESTIONS = ROOT / "tests" / "quality" / "starter-questions.jsonl"
BASELINE = ROOT / "tests" / "quality" / "baseline.json"
UPDATE = "python tests/quality/gate.py --update"
KIND_MEASURES = ("hit@1", "hit@3")  # a kind holds 7 to 22 questions: the finer measures are pinned overall only
OVERALL_MEASURES = ("hit@1", "hit@3", "hit@5", "mrr@10", "ndcg@10")
_ROUNDING = 1e-9


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
    """What is pinned, or what would be."""

    questions_sha256: str
    corpus_sha256: str
    model_fingerprint: str
    pins: Mapping[str, Pin]


def fingerprint_folder(folder: Path) -> str:
    """Return a SHA-256 over the names and bytes of all files but hidden ones."""
    digest = hashlib.sha256()
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(name for name in names if not any(part.startswith(".") for part in name.split("/"))):
        digest.update(f"{name}\0{hashlib.sha256(names[name].read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def read_baseline(path: Path = BASELINE) -> Baseline | None:
    """Return what is pinned, None when nothing is yet."""
    if not path.exists():
        return None
    values = json.loads(path.read_text("utf-8"))
    return Baseline(**{**values, "pins": {name: Pin(**pin) for name, pin in values["pins"].items()}})


def write_baseline(baseline: Baseline, path: Path = BASELINE) -> None:
    """Write what is pinned, by name, so that a change reads well as a diff."""
    pins = {name: asdict(pin) for name, pin in sorted(baseline.pins.items())}
    path.write_text(json.dumps({**asdict(baseline), "pins": pins}, indent=2) + "\n", "utf-8")


def measure(folder: Path) -> dict[str, Any]:
    """Build an index of corpus/ in a folder with the default model and return the evaluation's JSON report."""
    from index.build import build_index
    from index.embed import SentenceTransformerEmbedder
    from index.encoder import open_encoder
    from index.export import ensure_encoder
    from index.model_files import find_model
    from index.snapshot import open_snapshot
    from index.store import IndexDir
    from service.evaluation import evaluate_file

    files = find_model()
    built = build_index(CORPUS, folder, SentenceTransformerEmbedder(files))
    if built.failures:
        raise RuntimeError(f"corpus/ holds files that can't be read: {', '.join(f.path for f in built.failures)}")
    ensure_encoder(folder, files)
    snapshot = open_snapshot(IndexDir(folder))
    try:
        return evaluate_file(QUESTIONS, snapshot, open_encoder(folder, files.fingerprint)).to_json()
    finally:
        snapshot.close()


def to_baseline(report: Mapping[str, Any], corpus_sha256: str) -> Baseline:
    """Return what would be pinned of a report."""
    ranking, abstention, returned = report["ranking"], report["abstention"], report["returned"]
    estimates = {f"overall/{name}": ranking["overall"][name] for name in OVERALL_MEASURES}
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
    return Baseline(report["questions"]["sha256"], corpus_sha256, report["model_fingerprint"], pins)


def find_changes(pinned: Baseline | None, found: Baseline) -> list[str]:
    """Return one sentence for everything that was pinned on other bytes; floors say nothing then."""
    if pinned is None:
        return [f"nothing is pinned yet: run {UPDATE}"]
    parts = {"questions_sha256": "the questions", "corpus_sha256": "corpus/", "model_fingerprint": "the model"}
    return [
        f"{what} changed ({getattr(pinned, name)[:8]} was pinned, {getattr(found, name)[:8]} is here): run {UPDATE}"
        for name, what in parts.items()
        if getattr(pinned, name) != getattr(found, name)
    ]


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


def merge(pinned: Baseline | None, found: Baseline, *, allow_regression: bool) -> Baseline:
    """Return what to pin: as found, or the better value of the two where the loss is within the slack."""
    if pinned is None or allow_regression:
        return found
    old = pinned.pins
    pins = {name: pin.better(old[name]) if name in old else pin for name, pin in found.pins.items()}
    return Baseline(found.questions_sha256, found.corpus_sha256, found.model_fingerprint, pins)


def main(arguments: list[str] | None = None) -> int:
    """Run the gate and return the exit code."""
    parser = argparse.ArgumentParser(description="Quality floors of the starter library.")
    parser.add_argument("--update", action="store_true", help="pin what was measured")
    parser.add_argument("--allow-regression", action="store_true", help="with --update: also where it got worse")
    options = parser.parse_args(arguments)
    if options.allow_regression and not options.update:
        parser.error("--allow-regression goes with --update")
    with tempfile.TemporaryDirectory() as folder:
        found = to_baseline(measure(Path(folder)), fingerprint_folder(CORPUS))
    pinned = read_baseline()
    changes, regressions = find_changes(pinned, found), find_regressions(pinned, found)
    for line in [f"{name:32} {pin.value:.3f}" for name, pin in sorted(found.pins.items())] + regressions:
        sys.stdout.write(line + "\n")
    if not options.update:
        sys.stdout.writelines(line + "\n" for line in changes)
        return 1 if changes or regressions else 0
    if regressions and not options.allow_regression:
        sys.stdout.write("nothing was pinned: mend it, or say --allow-regression and why in the commit\n")
        return 1
    write_baseline(merge(pinned, found, allow_regression=options.allow_regression))
    return 0


if __name__ == "__main__":
    sys.exit(main())
