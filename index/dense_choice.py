"""
Decides how the nearest passages are found: exactly, or through a quantised index that is proven good enough first.

Knows no FAISS; `dense.py` does. The decision is part of the manifest, so that every process searches alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from index.dense import PROPOSED, Candidates, DenseIndex, write_dense
from index.dense_config import (
    AUTO,
    CANDIDATES_FILE,
    DENSE_FILE,
    EXACT,
    SCANNED_ROWS,
    DenseChoice,
    DenseConfig,
    n_lists_of,
    n_parts_of,
)
from index.model import EmbeddingInput, Float32, Int64, PassageEmbedder

# What is measured: ten is what people look at, 200 what fusion takes (`FusionConfig.depth`).
_TOP, _DEPTH = 10, 200
_N_MEASURED = 300
# Fractions of the lists, and lengths of a graph's queue, that are tried in turn.
_LIST_SHARES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)
_QUEUES = (512, 1_024, 2_048, 4_096)
# Numbers of rows that a scan of all codes proposes. Of 46,000 passages 400 hold .981 of the nearest 200 of the medquad
# questions, 800 hold .9995, at a third of the time that 96 of 256 lists take for .972.
_PROPOSED_BY_SCAN = (800, 1_600, 3_200, 6_400)
# Codes of four bits have so many values.
_LEAST_CODED = 16
# Rows that the lists looked at must hold on average, as a multiple of those that are wanted of them.
_LEAST_READ = 4
# Scores of one row differ in the last digits with the order of adding.
_SAME_SCORE = 1e-5
_QUERIES_AT_ONCE = 32


def write_chosen_dense(
    folder: Path, vectors: Float32, config: DenseConfig, embedder: PassageEmbedder | None = None
) -> DenseChoice:
    """
    Write the vectors, and beside them a quantised index where that is due and good enough.

    Args:
        vectors: `float32[n, d]`, unit length, C-contiguous.
        embedder: embeds the questions of the configuration.

    Raises:
        StorageFailed: the disk is full or failing.
    """
    write_dense(folder / DENSE_FILE, vectors)
    factory = _wanted(len(vectors), vectors.shape[1], config)
    if not factory:
        return DenseChoice()
    if lack := _lack(factory, len(vectors), vectors.shape[1]):
        return DenseChoice(note=f"{factory} needs {lack}: search is exact")
    queries, measured_on = _queries(vectors, config, embedder)
    candidates = Candidates.train(vectors, factory)
    dense = DenseIndex.open(folder / DENSE_FILE)
    least = exact_thresholds(vectors, queries)
    choice = DenseChoice(n_measured=len(queries), measured_on=measured_on)
    for effort in _efforts(candidates):
        at_10, at_200 = measure_recall(dense.with_candidates(candidates, effort), queries, least)
        choice = replace(choice, index=factory, effort=effort, recall_at_10=at_10, recall_at_200=at_200)
        if min(at_10, at_200) >= config.recall_floor:
            candidates.write(folder / CANDIDATES_FILE)
            return choice
    reached = f"at most {choice.recall_at_10:.3f} of the 10 nearest, {choice.recall_at_200:.3f} of 200"
    return DenseChoice(note=f"{factory} finds {reached}, less than {config.recall_floor:g}: search is exact")


def noisy_passages(vectors: Float32, n: int = _N_MEASURED) -> Float32:
    """
    Return vectors near some of the rows, `float32[min(n, rows), d]`, the same for the same rows.

    To each row is added noise of its own length. A question's nearest passage has a cosine of .81 (median of the 987
    medquad questions), these have .71; recall comes out .01 higher than for questions all the same, at 10 up to .02.
    """
    rng = np.random.default_rng(0)
    rows = vectors[np.sort(rng.choice(len(vectors), min(n, len(vectors)), replace=False))]
    noise = rng.standard_normal(rows.shape, dtype=np.float32) / np.sqrt(np.float32(rows.shape[1]))
    moved = rows + noise
    return np.ascontiguousarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


def exact_thresholds(vectors: Float32, queries: Float32) -> Float32:
    """Return the scores of the exact 10th and 200th neighbour of each query, `float32[q, 2]`; of the last if fewer."""
    n = len(vectors)
    top, depth = min(_TOP, n), min(_DEPTH, n)
    rows = []
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        scores = queries[first : first + _QUERIES_AT_ONCE] @ vectors.T
        best = np.sort(np.partition(scores, n - depth, axis=1)[:, n - depth :], axis=1)
        rows.append(best[:, [depth - top, 0]])
    return np.concatenate(rows)


class Search(Protocol):
    """What recall is measured of."""

    @property
    def n(self) -> int:
        """Return the number of rows."""

    def search(self, vector: Float32, depth: int) -> tuple[Int64, Float32]:
        """Return rows and their exact inner products, best first."""


def measure_recall(dense: Search, queries: Float32, least: Float32) -> tuple[float, float]:
    """
    Return the mean share of the exact 10 and 200 nearest rows that a search finds; either of equal rows counts.

    Args:
        least: of `exact_thresholds`.
    """
    shares = []
    for query, (top, deep) in zip(queries, least, strict=True):
        _, scores = dense.search(query, min(_DEPTH, dense.n))
        n_top = min(_TOP, dense.n)
        shares.append((np.mean(scores[:n_top] >= top - _SAME_SCORE), np.mean(scores >= deep - _SAME_SCORE)))
    at_10, at_200 = np.mean(shares, axis=0)
    return round(float(at_10), 4), round(float(at_200), 4)


def _wanted(n: int, dimension: int, config: DenseConfig) -> str:
    if config.index == EXACT or n == 0:
        return ""
    if config.index != AUTO:
        return config.index
    if n <= config.exact_up_to:
        return ""
    # Parts of two numbers each, where they come in pairs.
    parts = dimension if dimension % 2 else dimension // 2
    return f"PQ{parts}x4fs" if n <= SCANNED_ROWS else f"IVF{auto_lists(n)},SQ8"


def _lack(factory: str, n: int, dimension: int) -> str:
    """Return what stands in the way of training an index, "" where nothing does."""
    parts = n_parts_of(factory)
    least = _LEAST_CODED if parts else n_lists_of(factory)
    if n < least:
        return f"{least} passages, there are {n}"
    return (
        f"vectors that can be cut into {parts} parts, they have {dimension} numbers"
        if parts and dimension % parts
        else ""
    )


def auto_lists(n: int) -> int:
    """Return how many lists "auto" makes of n rows: the power of two nearest to 1.5 sqrt(n)."""
    return int(2 ** round(np.log2(1.5 * np.sqrt(n))))


def _efforts(candidates: Candidates) -> Iterator[int]:
    if candidates.is_scan:
        yield from _PROPOSED_BY_SCAN
        return
    if not candidates.n_lists:
        yield from _QUEUES
        return
    # With fewer lists many a search would find too few rows, and be exact: perfect, and slow.
    least = min(candidates.n_lists, math.ceil(_LEAST_READ * PROPOSED * candidates.n_lists / candidates.n))
    yield from sorted({max(least, round(share * candidates.n_lists)) for share in _LIST_SHARES})


def _queries(vectors: Float32, config: DenseConfig, embedder: PassageEmbedder | None) -> tuple[Float32, str]:
    if embedder is None or not config.questions:
        return noisy_passages(vectors), "passages"
    # Evenly from the whole file, which may be sorted by kind.
    chosen = config.questions[:: -(-len(config.questions) // _N_MEASURED)]
    found = embedder.embed([EmbeddingInput("", text, ((0, len(text)),)) for text in chosen])
    return np.stack([vectors.passage for vectors in found]), "questions"
