"""
Fit the calibration that comes with Citewell, on labelled questions of several indexes, and write it.

    python tests/quality/fit_calibration.py OUT.json NAME=INDEX_DIR:QUESTIONS.jsonl[,QUESTIONS.jsonl ...] ...

Every NAME is one library and counts alike. `+QUESTIONS.jsonl` takes only a file's unanswerable_far questions;
`far:QUESTIONS.jsonl@PREFIX` takes ten of a file's questions, labelled in documents whose path begins so, as far ones
for a library that has nothing on their subject. Only
numbers and fingerprints are written, no question. Then --leave-out tells what carries over to a library not fitted on.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
JUDGE_SIGNS = list(JudgeFeatures.signs.values())
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
    library, side = np.array([row.library for row in rows]), np.array([row.side for row in rows])
    folds = stratified_folds([f"{row.library}/{row.side}" for row in rows], N_FOLDS)
    counts = Counter(row.library for row in rows)
    weights = np.array([1 / counts[row.library] for row in rows])
    signs = [sign for provider in examples.providers for sign in provider.signs.values()]
    plain = np.array([row.features for row in rows], dtype=np.float64)
    judged = np.array([(*row.features, *row.judged) for row in rows], dtype=np.float64)
    lines = []
    for title, features, more in (("without the judge", plain, []), ("with it", judged, JUDGE_SIGNS)):
        p = cross_validated(features, side == "answerable", folds, weights, PENALTY, [*signs, *more])
        for name in ("", *dict.fromkeys(library)):
            among = (library == name) | (not name)
            point = np.quantile(p[among & (side == "answerable")], 1 - ANSWERED_SHARE)

            def share(which: npt.NDArray[np.bool_], p: npt.NDArray[np.float64] = p, point: float = point) -> str:
                return f"{np.mean(p[which] >= point):.3f}" if which.any() else "-"

            shares = [f"{s} {share(among & (side == s))}" for s in SIDES]
            if not name:
                shares += [
                    f"answerable of {n} {share((library == n) & (side == SIDES[0]))}" for n in dict.fromkeys(library)
                ]
            lines.append(f"{title}: {name or 'all'} answers {', '.join(shares)}")
    return lines


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
