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
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.floors import OVERALL_MEASURES, Baseline, find_regressions, read_floors, to_baseline, write_baseline

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "corpus"
QUESTIONS = ROOT / "tests" / "quality" / "starter-questions.jsonl"
BASELINE = ROOT / "tests" / "quality" / "baseline.json"
UPDATE = "python tests/quality/gate.py --update"


def fingerprint_folder(folder: Path) -> str:
    """Return a SHA-256 over the names and bytes of all files but hidden ones."""
    digest = hashlib.sha256()
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(name for name in names if not any(part.startswith(".") for part in name.split("/"))):
        digest.update(f"{name}\0{hashlib.sha256(names[name].read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


__all__ = ["OVERALL_MEASURES", "Baseline", "find_regressions", "to_baseline", "write_baseline"]


def read_baseline(path: Path = BASELINE) -> Baseline | None:
    """Return what is pinned, None when nothing is yet."""
    return read_floors(path) if path.exists() else None


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
    from service.runtime import policy_for
    from service.settings import Settings

    files = find_model()
    built = build_index(CORPUS, folder, SentenceTransformerEmbedder(files))
    if built.failures:
        raise RuntimeError(f"corpus/ holds files that can't be read: {', '.join(f.path for f in built.failures)}")
    ensure_encoder(folder, files)
    snapshot = open_snapshot(IndexDir(folder))
    try:
        encoder = open_encoder(folder, files.fingerprint)
        return evaluate_file(QUESTIONS, snapshot, encoder, policy_for(Settings(), snapshot)).to_json()
    finally:
        snapshot.close()


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


def merge(pinned: Baseline | None, found: Baseline, *, allow_regression: bool) -> Baseline:
    """Return what to pin: as found, or the better value of the two where the loss is within the slack."""
    if pinned is None or allow_regression:
        return found
    old = pinned.pins
    pins = {name: pin.better(old[name]) if name in old else pin for name, pin in found.pins.items()}
    return replace(found, pins=pins)


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
    write_baseline(merge(pinned, found, allow_regression=options.allow_regression), BASELINE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
