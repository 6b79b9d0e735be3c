"""
A snapshot's vectors and words in Milvus, as the rest of Citewell reads them. Only reads; knows neither alias nor seal.

    <name>_passages  ordinal, id, document, start, end, words, facets, published, vector, terms
    <name>_evidence  row = ordinal * 4096 + place, ordinal, vector; place 0 is the passage, 1 its text, then sentences

The passages' vectors are indexed as the operator likes, to propose; the evidence is always scored row by row, by the
server, so that similarities are exact whatever the index. A question sends vectors and numbers of terms, and gets
numbers back: neither its words nor the passages' vectors travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from index.bm25 import dimensions_of
from index.errors import CollectionMissing, SnapshotCorrupt
from index.lexical import analyze
from index.milvus_client import MOST_ROWS, Column, MilvusServer
from index.milvus_filters import where_ordinals, where_passes
from index.model import Filters, Float32, Int64

# A passage has at most some hundred sentences: it is no longer than the model reads.
PLACES = 4_096
# How many hits beyond `depth` are looked at for ties with the last one; more are fetched when they do not suffice.
_TIE_MARGIN = 16
# Scores of equal rows may differ by this much with the place where the server finds them (float32, sums of 384).
_SAME = 2e-6
_ORDINALS_AT_ONCE = 500
# Time for one call that reads many rows whole, which no question does (seconds).
READING_S = 60.0
_FIX = "build again (citewell build), or go back to an older snapshot (citewell rollback)"


@dataclass(frozen=True, slots=True)
class Place:
    """The collections of one snapshot."""

    server: MilvusServer
    name: str
    n: int
    n_rows: int
    dimension: int

    @property
    def passages(self) -> str:
        """Return the name of the collection of passages."""
        return f"{self.name}_passages"

    @property
    def evidence(self) -> str:
        """Return the name of the collection of evidence."""
        return f"{self.name}_evidence"

    def gone(self) -> SnapshotCorrupt:
        """Return the error for a collection that is not there any more."""
        return SnapshotCorrupt("its collections in Milvus are gone", where=self.name, fix=_FIX)


def passage_columns(dimension: int) -> tuple[Column, ...]:
    """Return the columns of `..._passages`."""
    return (
        Column("ordinal", "int64"),
        Column("id", "text"),
        Column("document", "text"),
        Column("start", "int64"),
        Column("end", "int64"),
        Column("words", "text"),
        Column("facets", "int64_array"),
        Column("published", "int64"),
        Column("vector", "vector", dimension),
        Column("terms", "sparse"),
    )


def evidence_columns(dimension: int) -> tuple[Column, ...]:
    """Return the columns of `..._evidence`."""
    return (Column("row", "int64"), Column("ordinal", "int64"), Column("vector", "vector", dimension))


class MilvusDense:
    """The passages' vectors; `DenseRows`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.n, self.dimension = place.n, place.dimension

    def vectors(self, ordinals: Int64) -> Float32:
        """Return these rows, `float32[k, d]`. Raises IndexError, SnapshotCorrupt, EngineUnreachable."""
        found: dict[int, Float32] = {}
        for some in _batches(ordinals, self.n):
            try:
                rows = self._place.server.query(
                    self._place.passages, where_ordinals(some), ["ordinal", "vector"], READING_S
                )
            except CollectionMissing as error:
                raise self._place.gone() from error
            found |= {int(row["ordinal"]): np.asarray(row["vector"], dtype=np.float32) for row in rows}
        if missing := [o for o in ordinals.tolist() if o not in found]:
            raise _lost(self._place, missing)
        rows_in_order = [found[o] for o in ordinals.tolist()]
        return np.stack(rows_in_order) if rows_in_order else np.empty((0, self.dimension), np.float32)

    def close(self) -> None:
        """Do nothing: the connection is the engine's."""


class MilvusEvidence:
    """The vectors of texts and sentences; `EvidenceRows`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.n, self.dimension, self.n_rows = place.n, place.dimension, place.n_rows - place.n

    def vectors(self, ordinals: Int64) -> list[Float32]:
        """Return each passage's rows. Raises IndexError, SnapshotCorrupt, EngineUnreachable."""
        found = {o: vectors[1:] for o, vectors in iter_evidence(self._place, ordinals)}
        return [found[o] for o in ordinals.tolist()]

    def row_counts(self) -> Int64:
        """Return the number of rows of every passage; reads all keys, once."""
        return self._row_counts

    @cached_property
    def _row_counts(self) -> Int64:
        counts = np.zeros(self.n, dtype=np.int64)
        for some in _batches(np.arange(self.n), self.n):
            for rows in _rows_of(self._place, some, ["row"]):
                np.add.at(counts, [row["row"] // PLACES for row in rows], 1)
        return counts - 1  # but the passage itself

    def close(self) -> None:
        """Do nothing: the connection is the engine's."""


def iter_evidence(place: Place, ordinals: Int64) -> Iterator[tuple[int, Float32]]:
    """
    Yield each passage's ordinal and vectors, `float32[2 + n_sentences, d]`: the passage, its text, its sentences.

    Raises:
        SnapshotCorrupt: rows are missing. IndexError, EngineUnreachable.
    """
    for some in _batches(ordinals, place.n):
        found: dict[int, list[tuple[int, Float32]]] = {}
        for rows in _rows_of(place, some, ["row", "vector"]):
            for row in rows:
                key = int(row["row"])
                vector = np.asarray(row["vector"], dtype=np.float32)
                found.setdefault(key // PLACES, []).append((key % PLACES, vector))
        for ordinal in some.tolist():
            rows_of_one = sorted(found.get(ordinal, []), key=lambda item: item[0])
            if len(rows_of_one) < 2 or [at for at, _ in rows_of_one] != list(range(len(rows_of_one))):
                raise _lost(place, [ordinal])
            yield ordinal, np.stack([vector for _, vector in rows_of_one])


def _rows_of(place: Place, ordinals: Int64, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the evidence of passages, in as many queries as the server's bound asks for."""
    try:
        rows = place.server.query(place.evidence, where_ordinals(ordinals), columns, READING_S)
    except CollectionMissing as error:
        raise place.gone() from error
    if len(rows) < MOST_ROWS or ordinals.size == 1:
        yield rows
        return
    half = ordinals.size // 2
    yield from _rows_of(place, ordinals[:half], columns)
    yield from _rows_of(place, ordinals[half:], columns)


class MilvusWords:
    """The vocabulary, which lies beside the manifest; `Words`. Asks the server for nothing but `ordinals`."""

    def __init__(self, place: Place, vocabulary: dict[str, int]) -> None:
        self._place = place
        self.n = place.n
        self.vocabulary: Mapping[str, int] = MappingProxyType(vocabulary)
        self.dimensions = dimensions_of(vocabulary)

    def analyze(self, text: str) -> list[str]:
        """Return the terms of a text: `index.lexical.analyze`, as for any engine."""
        return analyze(text)

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        """Return for each term how many passages hold it."""
        return [self.vocabulary.get(term, 0) for term in terms]

    def ordinals(self) -> Int64:
        """Return the ordinals of all passages, ascending."""
        found: list[int] = []
        for some in _batches(np.arange(self.n), self.n):
            try:
                rows = self._place.server.query(self._place.passages, where_ordinals(some), ["ordinal"], READING_S)
            except CollectionMissing as error:
                raise self._place.gone() from error
            found += [int(row["ordinal"]) for row in rows]
        return np.sort(np.asarray(found, dtype=np.int64))

    def close(self) -> None:
        """Do nothing: the connection is the engine's."""


class MilvusFinder:
    """
    A `Finder` that asks a Milvus server: one call for the nearest, one for the words, one for all similarities.

    Args:
        effort: parameters of the passages' index for one search of `depth` rows.
    """

    def __init__(self, place: Place, words: MilvusWords, effort: Mapping[str, int]) -> None:
        self._place = place
        self._words = words
        self._effort = effort

    def nearest(self, vector: Float32, depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """Return the nearest passages as the index finds them; its scores may be of codes, so they are left out."""
        found = self._best("vector", vector, depth, where_passes(filters), self._effort)[0]
        return found, np.full(found.size, np.nan, np.float32)

    def best_words(self, weights: Mapping[str, float], depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """Return the best passages by their words."""
        query = self._sparse(weights)
        return self._best("terms", query, depth, where_passes(filters), {}) if query else _none()

    def score_words(self, weights: Mapping[str, float], ordinals: Int64) -> tuple[Int64, Float32]:
        """Return which of these passages hold a term, and their scores."""
        query = self._sparse(weights)
        if not query or not ordinals.size:
            return _none()
        return self._best("terms", query, ordinals.size, where_ordinals(ordinals), {})

    def similarities(
        self,
        vector: Float32,
        ordinals: Int64,
        found: tuple[Int64, Float32],  # noqa: ARG002  the server gives all of a passage's rows at once
    ) -> tuple[Float32, Float32, Float32, Int64]:
        """Return the inner products that the server makes of stored vectors, equal ones for equal vectors."""
        return _best_of(*self._all_similarities(vector, ordinals))

    def _all_similarities(self, vector: Float32, ordinals: Int64) -> tuple[Float32, list[Float32]]:
        """Return the products with the passages, and of each with its text and every sentence."""
        found: dict[int, dict[int, float]] = {int(ordinal): {} for ordinal in ordinals}
        for some in _batches(ordinals, self._place.n):
            for keys, scores in self._score(vector, some):
                for key, score in zip(keys.tolist(), levelled(scores).tolist(), strict=True):
                    found[key // PLACES][key % PLACES] = score
        for ordinal, by_place in found.items():
            if len(by_place) < 2 or max(by_place) != len(by_place) - 1:
                raise _lost(self._place, [ordinal])
        passage = np.array([found[o][0] for o in ordinals.tolist()], dtype=np.float32)
        evidence = [
            np.array([found[o][at] for at in range(1, len(found[o]))], dtype=np.float32) for o in ordinals.tolist()
        ]
        return passage, evidence

    def _score(self, vector: Float32, ordinals: Int64) -> Iterator[tuple[Int64, Float32]]:
        keys, scores = self._search(self._place.evidence, "vector", vector, MOST_ROWS, where_ordinals(ordinals), {})
        if keys.size < MOST_ROWS or ordinals.size == 1:
            yield keys, scores
            return
        half = ordinals.size // 2
        yield from self._score(vector, ordinals[:half])
        yield from self._score(vector, ordinals[half:])

    def _best(
        self, column: str, query: Float32 | dict[int, float], depth: int, where: str, how: Mapping[str, int]
    ) -> tuple[Int64, Float32]:
        """Return the best rows; which of equal ones the server keeps is its own affair, so all of them are fetched."""
        most = min(self._place.n, MOST_ROWS)
        depth = min(depth, most)
        if depth < 1:
            return _none()
        fetch = min(depth + _TIE_MARGIN, most)
        while True:
            ordinals, scores = self._search(self._place.passages, column, query, fetch, where, how)
            if ordinals.size < fetch or fetch == most or scores[depth - 1] - scores[-1] > _tolerance(scores):
                break
            fetch = min(fetch * 4, most)
        if column == "terms":
            ordinals, scores = ordinals[scores > 0], scores[scores > 0]
        level = levelled(scores)
        order = np.lexsort((ordinals, -level))[:depth]
        return ordinals[order], level[order]

    def _search(
        self,
        name: str,
        column: str,
        query: Float32 | dict[int, float],
        limit: int,
        where: str,
        how: Mapping[str, int],
    ) -> tuple[Int64, Float32]:
        try:
            return self._place.server.search(name, column, query, limit, where, **how)
        except CollectionMissing as error:
            raise self._place.gone() from error

    def _sparse(self, weights: Mapping[str, float]) -> dict[int, float]:
        known = self._words.dimensions
        return {known[term]: float(weight) for term, weight in weights.items() if term in known}


def _best_of(passage: Float32, rows: Sequence[Float32]) -> tuple[Float32, Float32, Float32, Int64]:
    """Return the products with passages, texts and best sentences, and which these are."""
    best = np.array([np.argmax(row[1:]) for row in rows], dtype=np.int64)
    text = np.array([row[0] for row in rows], dtype=np.float32)
    sentence = np.array([row[1 + i] for row, i in zip(rows, best, strict=True)], dtype=np.float32)
    return passage, text, sentence, best


def levelled(scores: Float32) -> Float32:
    """Return scores in which those that differ by less than rounding are equal: each group has its largest."""
    if scores.size == 0:
        return scores
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    is_first = np.concatenate([[True], falling[:-1] - falling[1:] > _tolerance(scores)])
    result = np.empty_like(scores)
    result[order] = falling[is_first][np.cumsum(is_first) - 1]
    return result


def _tolerance(scores: Float32) -> float:
    return float(_SAME * max(1.0, float(np.abs(scores).max())))


def _batches(ordinals: Int64, n: int) -> Iterator[Int64]:
    if ordinals.size and (ordinals.min() < 0 or ordinals.max() >= n):
        raise IndexError(f"ordinals must lie in [0, {n}), got {ordinals.min()} to {ordinals.max()}")
    for first in range(0, ordinals.size, _ORDINALS_AT_ONCE):
        yield ordinals[first : first + _ORDINALS_AT_ONCE]


def _lost(place: Place, ordinals: Sequence[int]) -> SnapshotCorrupt:
    what = f"its collections in Milvus lack passages or vectors, such as those of ordinal {ordinals[0]}"
    return SnapshotCorrupt(what, where=place.name, fix=_FIX)


def _none() -> tuple[Int64, Float32]:
    return np.empty(0, np.int64), np.empty(0, np.float32)
