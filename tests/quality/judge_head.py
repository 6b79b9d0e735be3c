"""
Try a judge that costs nothing: a small network over vectors that the index and the question have already.

    python tests/quality/judge_head.py IX PAIRS.jsonl [--questions 5000] [--library NAME=INDEX:QUESTIONS ...]

IX is the index that PAIRS was made of. Of a pair it sees the vectors of the question, of the passage's likest sentence
and of its text, and the products of the question's with both. Prints what `measure_judge.py` prints; writes nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from measure_judge import measure_libraries, measure_pairs, read_test_groups
from train_judge import Options, read_groups

from index.encoder import OnnxQueryEncoder, open_encoder
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from service.calibration_fit import Examples, record_examples
from service.decision_features import Look, RetrievalFeatures
from service.questions import read_questions

# Vectors of length 1 in 384 dimensions have entries of about 0.05; the network expects about 1.
_SCALE = 20.0
_N_TEST = 500


class Heads:
    """Networks of several seeds, averaged."""

    def __init__(self, x: Any, y: Any, seeds: Sequence[int], penalty: float) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        with warnings.catch_warnings():
            # They are stopped early on purpose.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._models = [
                MLPClassifier((96,), alpha=penalty, batch_size=256, max_iter=12, random_state=seed).fit(x, y)
                for seed in seeds
            ]

    def scores(self, x: Any) -> list[float]:
        """Return log-odds."""
        p = np.mean([model.predict_proba(x)[:, 1] for model in self._models], axis=0).clip(1e-4, 1 - 1e-4)
        return [float(value) for value in np.log(p / (1 - p))]


def rows(vector: Any, snapshot: Snapshot, ordinals: Sequence[int]) -> list[Any]:
    """Return the features of a question's vector beside each passage, `float32[5 d]`."""
    found = []
    for evidence in snapshot.evidence.vectors(np.array(ordinals, dtype=np.int64)):
        text, sentences = evidence[0], evidence[1:]
        likest = sentences[int((sentences @ vector).argmax())]
        found.append(_SCALE * np.concatenate([vector, likest, vector * likest, text, vector * text]))
    return found


def features(groups: Sequence[dict[str, Any]], snapshot: Snapshot, encoder: OnnxQueryEncoder) -> Any:
    """Return the features of all pairs in order, `float32[n, 5 d]`."""
    vectors = encoder.encode_queries([group["question"] for group in groups])
    pairs = zip(groups, vectors, strict=True)
    return np.array([x for g, v in pairs for x in rows(v, snapshot, [p["ordinal"] for p in g["passages"]])], np.float32)


class HeadFeatures:
    """A FeatureProvider of the heads; it encodes the question once more, which answering would not."""

    name = "head/trial"
    signs: Mapping[str, int] = MappingProxyType({"judge_best": 1, "judge_first": 1})

    def __init__(self, heads: Heads, snapshot: Snapshot, encoder: OnnxQueryEncoder) -> None:
        self._heads, self._snapshot, self._encoder = heads, snapshot, encoder

    def features(self, look: Look) -> tuple[float, ...]:
        """Return the log-odds of the likeliest of the first three passages, and of the first."""
        vector = self._encoder.encode_queries([look.question])[0]
        ordinals = [hit.ordinal for hit in look.retrieval.hits[: len(look.passages)]]
        scores = self._heads.scores(np.array(rows(vector, self._snapshot, ordinals), np.float32))
        return (max(scores), scores[0])


def record(argument: str, heads: Heads) -> Examples:
    """Ask one library's questions, `NAME=INDEX_DIR:QUESTIONS[,QUESTIONS]`."""
    name, _, rest = argument.partition("=")
    folder, _, named = rest.partition(":")
    with open_snapshot(IndexDir(Path(folder))) as snapshot:
        encoder = open_encoder(Path(folder), snapshot.manifest.model.fingerprint)
        providers = (RetrievalFeatures(), HeadFeatures(heads, snapshot, encoder))
        files = [read_questions(Path(file)) for file in named.split(",")]
        return record_examples(files, snapshot, encoder, providers=providers, library=name)


def main(arguments: list[str] | None = None) -> int:
    """Fit and print; returns the exit code."""
    parser = argparse.ArgumentParser(description="Try a judge over vectors that are there already.")
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--penalty", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--library", action="append", default=[], help="NAME=INDEX_DIR:QUESTIONS.jsonl[,...]")
    options = parser.parse_args(arguments)
    train = read_groups(options.pairs, Options(questions=options.questions))
    test = read_test_groups(options.pairs, _N_TEST)
    random.Random(0).shuffle(test)
    with open_snapshot(IndexDir(options.index_dir)) as snapshot:
        encoder = open_encoder(options.index_dir, snapshot.manifest.model.fingerprint)
        x, held_out = (features(groups, snapshot, encoder) for groups in (train, test))
    heads = Heads(x, [p["label"] for g in train for p in g["passages"]], options.seeds, options.penalty)
    sys.stdout.write(f"{len(train)} questions, {len(x)} pairs, penalty {options.penalty}\n")
    measure_pairs("head", lambda _: heads.scores(held_out), test, False, ())
    if options.library:
        measure_libraries([record(argument, heads) for argument in options.library])
    return 0


if __name__ == "__main__":
    sys.exit(main())
