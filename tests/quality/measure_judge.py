"""
Measure trained judges: held-out documents and wordings, minimal pairs, and labelled questions of whole libraries.

    python tests/quality/measure_judge.py [RUN_DIR ...] [--pairs PAIRS.jsonl] [--minimal judge/minimal-pairs.jsonl]
        [--library NAME=INDEX_DIR:QUESTIONS.jsonl[,QUESTIONS.jsonl] ...] [--encoder INDEX_DIR]

For each run (and without one, of what there is without a judge) it prints

- pairs: how well answers are told from passages of the same subject that do not answer (AUROC on the part `test`, whose
  subjects were never trained on), with wordings that were trained and with wordings that never were; and by aspect;
- minimal pairs: how often the passage that answers scores above one that differs in the point asked about; with
  `--encoder` both of the embedding model alone;
- library: AUROC against near and far unanswerable questions of the best similarity, of the judge alone (its best of the
  first three passages), of the calibration's own features, and of these with the judge (cross-validated, as
  `citewell calibrate` does), with the share answered at the operating point.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from judge_model import Scorer, prefix_of

from index.encoder import open_encoder
from index.judge import MOST, PairText
from index.model_files import find_model
from index.model_loading import import_torch
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.answering import AnswerPolicy
from service.calibration_fit import Example, Examples, fit_calibration, merge, record_examples
from service.decision_features import FeatureProvider, Look, RetrievalFeatures, pair_texts
from service.lexicon import read_lexicon
from service.measures import Estimate, auroc_estimate
from service.questions import read_questions

LEXICON = Path(__file__).resolve().parents[2] / "corpus" / "lexicon.toml"
ON_SUBJECT = ("same_section", "same_document", "lacking", "cut", "crossed")
N_RETRIEVAL = len(RetrievalFeatures.signs)


class JudgeFeatures:
    """A FeatureProvider: the judge's log-odds of the likeliest of the first passages, and of the first one."""

    name = "judge/trial"
    signs: Mapping[str, int] = MappingProxyType({"judge_best": 1, "judge_first": 1})

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def features(self, look: Look) -> tuple[float, ...]:
        """Return both numbers, within -8 and 8."""
        pairs = [(look.asked, text) for text in pair_texts(look.retrieval.hits, look.passages)]
        scores = [min(MOST, max(-MOST, score)) for score in self._scorer.scores(pairs)]
        return (max(scores), scores[0])


def show(name: str, estimate: Estimate | None) -> None:
    """Print one figure with its interval."""
    if estimate is None:
        sys.stdout.write(f"{name:52} none\n")
        return
    sys.stdout.write(f"{name:52} {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] n={estimate.n}\n")


Score = Callable[[Sequence[tuple[str, PairText]]], list[float]]


def similarity_scores(index_dir: Path) -> Score:
    """Return what scores (question, prefix, text) by the embedding model's cosine, prefix and text as one."""
    encoder = open_encoder(index_dir, find_model().fingerprint)

    def scores(pairs: Sequence[tuple[str, PairText]]) -> list[float]:
        asked = encoder.encode_queries([question for question, _ in pairs])
        said = encoder.encode_queries([f"{text.prefix} {' '.join(text.sentences)}".strip() for _, text in pairs])
        return [float(value) for value in (asked * said).sum(axis=1)]

    return scores


def read_test_groups(paths: Sequence[Path], n: int) -> list[dict[str, Any]]:
    """Return the questions of the part `test`, or `n` of them (0: all), the same ones each time."""
    lines = (line for path in paths for line in path.read_text("utf-8").splitlines())
    groups = [group for group in map(json.loads, lines) if group["part"] == "test"]
    return random.Random(0).sample(groups, min(n, len(groups))) if n else groups


def measure_pairs(
    name: str, score: Score, groups: Sequence[dict[str, Any]], with_headings: bool, left_out: Sequence[str]
) -> None:
    """Print how well answers are told from the other passages of these questions."""
    flat = [(group, passage) for group in groups for passage in group["passages"]]
    given = [
        (
            g["question"],
            PairText(prefix_of(p["title"], p["headings"] if with_headings else ()), tuple(p["sentences"]), p["best"]),
        )
        for g, p in flat
    ]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (group, passage), value in zip(flat, score(given), strict=True):
        scope = "wordings left out" if group["aspect"] in left_out else f"wordings {group['wording']}"
        found[scope, passage["kind"]].append(value)
        if passage["kind"] in ON_SUBJECT or passage["label"]:
            side = "answer" if passage["label"] else "on"
            found[f"aspect {group['aspect']}", side].append(value)
            if side == "on":
                found[scope, side].append(value)
    headings = "with headings" if with_headings else "without headings"
    for scope in sorted({scope for scope, _ in found}):
        sides = ("on", *ON_SUBJECT, "elsewhere", "retrieved") if scope.startswith("wordings") else ("on",)
        for side in sides:
            estimate = auroc_estimate(found[scope, "answer"], found[scope, side])
            show(f"{name}: {scope}, {headings}, answer/{side}", estimate)


def read_minimal(path: Path) -> list[dict[str, Any]]:
    """Return the minimal pairs: kind, question, answers, not."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def show_minimal(name: str, rows: Sequence[dict[str, Any]], right: Sequence[float], wrong: Sequence[float]) -> None:
    """Print how often the answering passage leads, by kind; a tie is half."""
    led: dict[str, list[float]] = defaultdict(list)
    for row, a, b in zip(rows, right, wrong, strict=True):
        for kind in (row["kind"], "all"):
            led[kind].append(1.0 if a > b else 0.5 if a == b else 0.0)
    for kind, values in sorted(led.items()):
        sys.stdout.write(f"{f'minimal pairs, {name}, {kind}':52} {sum(values) / len(values):.3f} n={len(values)}\n")


def measure_minimal(scorer: Scorer, rows: Sequence[dict[str, Any]]) -> None:
    """Print the judge's figures on the minimal pairs."""
    right = scorer.scores([(row["question"], PairText("", (row["answers"],), 0)) for row in rows])
    wrong = scorer.scores([(row["question"], PairText("", (row["not"],), 0)) for row in rows])
    show_minimal("judge", rows, right, wrong)


def similarity_minimal(index_dir: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Print the embedding model's figures on the minimal pairs."""
    encoder = open_encoder(index_dir, find_model().fingerprint)
    asked, right, wrong = (encoder.encode_queries([row[k] for row in rows]) for k in ("question", "answers", "not"))
    show_minimal("similarity", rows, (asked * right).sum(1).tolist(), (asked * wrong).sum(1).tolist())


def record(argument: str, scorer: Scorer | None) -> Examples:
    """Ask one library's questions, `NAME=INDEX_DIR:QUESTIONS[,QUESTIONS]`."""
    name, _, rest = argument.partition("=")
    folder, _, named = rest.partition(":")
    providers: tuple[FeatureProvider, ...] = (RetrievalFeatures(),)
    if scorer is not None:
        providers = (*providers, JudgeFeatures(scorer))
    with open_snapshot(IndexDir(Path(folder))) as snapshot:
        encoder = open_encoder(Path(folder), snapshot.manifest.model.fingerprint)
        files = [read_questions(Path(file)) for file in named.split(",")]
        policy = AnswerPolicy(lexicon=read_lexicon(LEXICON))
        return record_examples(files, snapshot, encoder, policy, providers=providers, library=name)


def measure_libraries(parts: Sequence[Examples]) -> None:
    """Print what the judge adds, on each library and all together."""
    for part in parts:
        _alone(part.rows[0].library, part.rows)
    every = merge(parts)
    _alone("all libraries", every.rows)
    plain = replace(
        every,
        providers=(RetrievalFeatures(),),
        rows=tuple(replace(row, features=row.features[:N_RETRIEVAL]) for row in every.rows),
    )
    fits = {"calibration": plain} | ({"calibration and judge": every} if len(every.providers) > 1 else {})
    for name, examples in fits.items():
        fitted = fit_calibration(examples)
        for measure, e in fitted.metrics.items():
            if e is not None:
                sys.stdout.write(f"{f'{name}: {measure}':52} {e.value:.3f} [{e.low:.3f}, {e.high:.3f}] n={e.n}\n")
        weights = {k: v for k, v in fitted.answer.weights.items() if k.startswith("judge")}
        sys.stdout.write(f"{name}: {weights or 'no judge'}\n")


def _alone(library: str, rows: Sequence[Example]) -> None:
    columns = {"best similarity": 0}
    if len(rows[0].features) > N_RETRIEVAL:
        columns |= {"judge, best of three": N_RETRIEVAL, "judge, first": N_RETRIEVAL + 1}
    for name, column in columns.items():
        sides: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            sides[row.side].append(row.features[column])
        for side in ("near", "far"):
            show(f"{library}: {name}, {side}", auroc_estimate(sides["answerable"], sides[side]))


def main(arguments: list[str] | None = None) -> int:
    """Print all figures; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure trained judges.")
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--pairs", type=Path, action="append", default=[])
    parser.add_argument("--sample", type=int, default=0, help="so many questions of PAIRS; 0 takes all")
    parser.add_argument("--minimal", type=Path)
    parser.add_argument(
        "--encoder", type=Path, help="an index folder, to measure the embedding model alone on pairs and minimal pairs"
    )
    parser.add_argument("--library", action="append", default=[], help="NAME=INDEX_DIR:QUESTIONS.jsonl[,...]")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    import_torch().set_num_threads(options.threads)
    np.seterr(all="raise", under="ignore")
    groups = read_test_groups(options.pairs, options.sample) if options.pairs else []
    minimal = read_minimal(options.minimal) if options.minimal else []
    if minimal and options.encoder:
        similarity_minimal(options.encoder, minimal)
    if groups and options.encoder:
        for with_headings in (True, False):
            measure_pairs("similarity", similarity_scores(options.encoder), groups, with_headings, ())
    if options.library and not options.runs:
        measure_libraries([record(argument, None) for argument in options.library])
    for run in options.runs:
        about = json.loads((run / "judge.json").read_text("utf-8"))
        sys.stdout.write(f"\n{run}: {about['questions']} questions, {about['pairs']} pairs, {about['options']}\n")
        scorer = Scorer(find_model(), run)
        if minimal:
            measure_minimal(scorer, minimal)
        if options.library:
            measure_libraries([record(argument, scorer) for argument in options.library])
        for with_headings in (True, False):
            measure_pairs("judge", scorer.scores, groups, with_headings, about["options"]["leave_out"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
