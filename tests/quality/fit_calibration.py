"""
Fit the calibration that comes with Citewell, on labelled questions of several indexes, and write it.

    python tests/quality/fit_calibration.py OUT.json NAME=INDEX_DIR:QUESTIONS.jsonl[,QUESTIONS.jsonl ...] ...

Every NAME is one library and counts alike. `+QUESTIONS.jsonl` takes only a file's unanswerable_far questions;
`far:QUESTIONS.jsonl@PREFIX` takes ten of a file's questions, labelled in documents whose path begins so, as far ones
for a library that has nothing on their subject. Only
numbers and fingerprints are written, no question. Then --leave-out tells what carries over to a library not fitted on,
and --at-share what an operating point of a library's own would do.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from index.encoder import open_encoder
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.answering import AnswerPolicy
from service.calibration import to_model, write_calibration
from service.calibration_fit import (
    ANSWERED_SHARE,
    N_FOLDS,
    PENALTY,
    Examples,
    fit_calibration,
    merge,
    record_examples,
)
from service.decision_features import JudgeFeatures
from service.lexicon import open_lexicon
from service.logistic import cross_validated, stratified_folds
from service.measures import auroc_estimate
from service.questions import UNANSWERABLE_FAR, QuestionFile, read_questions
from service.runtime import judging_for
from service.settings import Settings

LEXICON = Path(__file__).resolve().parents[2] / "corpus" / "lexicon.toml"
N_FAR = 10
SEED = 0


def read_part(spec: str) -> QuestionFile:
    """Return the questions that one part of an argument names."""
    if spec.startswith("+"):
        file = read_questions(Path(spec[1:]))
        return replace(file, questions=tuple(q for q in file.questions if q.kind == UNANSWERABLE_FAR))
    if spec.startswith("far:"):
        name, _, prefix = spec[4:].partition("@")
        file = read_questions(Path(name))
        known = [q for q in file.questions if q.gold and q.gold[0].document_id.startswith(prefix)]
        drawn = random.Random(SEED).sample(known, min(N_FAR, len(known)))
        return replace(file, questions=tuple(replace(q, kind=UNANSWERABLE_FAR, gold=(), also=()) for q in drawn))
    return read_questions(Path(spec))


def record(argument: str) -> Examples:
    """Ask one library's questions."""
    name, _, rest = argument.partition("=")
    folder, _, files = rest.partition(":")
    index_dir = Path(folder)
    with open_snapshot(IndexDir(index_dir)) as snapshot:
        encoder = open_encoder(index_dir, snapshot.manifest.model.fingerprint)
        # As it will be served: with the lexicon, and with the judge that is there. Not by the calibration that comes
        # with Citewell, which may be of other features than those to be fitted.
        policy = AnswerPolicy(lexicon=open_lexicon(LEXICON)[0], judging=judging_for(Settings())[0])
        parts = [read_part(spec) for spec in files.split(",")]
        return record_examples(parts, snapshot, encoder, policy, library=name)


def left_out(parts: list[Examples]) -> list[str]:
    """Return, for each library, how a model fitted on the others tells its questions apart."""
    lines = []
    for i, part in enumerate(parts):
        model = to_model(fit_calibration(merge([p for j, p in enumerate(parts) if j != i]))).answer
        found = {side: [model.probability(r.features) for r in part.rows if r.side == side] for side in SIDES}
        near, far = (auroc_estimate(found["answerable"], found[side]) for side in ("near", "far"))
        for side, e in (("near", near), ("far", far)):
            if e:
                lines.append(f"left out {part.rows[0].library}: auroc/{side} {e.value:.3f} [{e.low:.3f}, {e.high:.3f}]")
    return lines


SIDES = ("answerable", "near", "far")


def at_share(examples: Examples) -> list[str]:
    """
    Return which share of near questions is answered where ANSWERED_SHARE of the answerable ones are, on held-out folds.

    Of all questions together and of each library by itself: what a library's own operating point would do.
    """
    rows = examples.rows
    libraries = list(dict.fromkeys(row.library for row in rows))
    counts = Counter(row.library for row in rows)
    weights = np.array([1 / counts[row.library] for row in rows])
    folds = stratified_folds([f"{row.library}/{row.side}" for row in rows], N_FOLDS)
    is_answerable = np.array([row.side == "answerable" for row in rows])
    signs = [sign for provider in examples.providers for sign in provider.signs.values()]
    fits = [("without the judge", [row.features for row in rows], signs)]
    if examples.judge_sha256:
        fits.append(
            ("with it", [(*row.features, *row.judged) for row in rows], [*signs, *JudgeFeatures.signs.values()])
        )
    lines = []
    for title, features, way in fits:
        p = cross_validated(np.array(features, dtype=np.float64), is_answerable, folds, weights, PENALTY, way)
        asked = [(row.library, row.side, float(value)) for row, value in zip(rows, p, strict=True)]
        point = _point(asked)
        each = [f"answerable of {name} {_share(asked, 'answerable', point, name):.3f}" for name in libraries]
        lines.append(f"{title}: all: near {_share(asked, 'near', point):.3f}, {', '.join(each)}")
        for name in libraries:
            own = [row for row in asked if row[0] == name]
            lines.append(f"{title}: {name} by itself: near {_share(own, 'near', _point(own)):.3f}")
    return lines


# Library, side and confidence of each question.
Asked = list[tuple[str, str, float]]


def _point(asked: Asked) -> float:
    """Return the confidence from which on ANSWERED_SHARE of the answerable questions are answered."""
    return float(np.quantile([value for _, side, value in asked if side == "answerable"], 1 - ANSWERED_SHARE))


def _share(asked: Asked, side: str, point: float, library: str = "") -> float:
    """Return the share of one side's questions, or of one library's, that is answered; NaN where there is none."""
    chosen = [value >= point for name, of, value in asked if of == side and library in ("", name)]
    return sum(chosen) / len(chosen) if chosen else float("nan")


def main(arguments: list[str] | None = None) -> int:
    """Fit and write; returns the exit code."""
    parser = argparse.ArgumentParser(description="Fit the calibration that comes with Citewell.")
    parser.add_argument("out", type=Path)
    parser.add_argument("libraries", nargs="+")
    parser.add_argument("--leave-out", action="store_true", help="also fit without each library in turn")
    parser.add_argument("--at-share", action="store_true", help="also what a library's own operating point would do")
    options = parser.parse_args(arguments)
    parts = [record(argument) for argument in options.libraries]
    merged = merge(parts)
    calibration = fit_calibration(merged)
    write_calibration(options.out, calibration)
    spread = np.array([row.features for row in merged.rows]).std(axis=0)
    for (name, weight), scale in zip(calibration.answer.weights.items(), spread, strict=True):
        sys.stdout.write(f"{name:24} {weight:8.3f}  standardised {weight * scale:7.3f}\n")
    sys.stdout.write(f"operating point {calibration.operating_point}\n")
    for title, part in (("without the judge", calibration), ("with the judge", calibration.judged)):
        for name, e in part.metrics.items() if part else ():
            if e is not None:
                sys.stdout.write(f"{title}: {name:32} {e.value:.3f} [{e.low:.3f}, {e.high:.3f}] n={e.n}\n")
    if calibration.judged:
        sys.stdout.write(f"operating point with the judge {calibration.judged.operating_point}\n")
    if options.leave_out:
        sys.stdout.writelines(line + "\n" for line in left_out(parts))
    if options.at_share:
        sys.stdout.writelines(line + "\n" for line in at_share(merged))
    return 0


if __name__ == "__main__":
    sys.exit(main())
