"""
Proves collections in Milvus against the catalogue: every word, place, facet, weight and vector. Reads; never writes.

Vectors are compared by SHA-256 over all of them, as they were inserted; the rest is worked out again and compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from index.bm25 import CorpusTerms, lexical_row, read_vocabulary
from index.catalogue import Catalogue
from index.catalogue_rows import StoredPassage
from index.errors import CollectionMissing, SnapshotCorrupt
from index.manifest import MilvusCollections
from index.milvus_filters import where_ordinals
from index.milvus_parts import READING_S, Place, iter_evidence
from index.milvus_rows import described
from index.model import Float32

_PASSAGES_AT_ONCE = 500
# Weights are kept as float32.
_SAME_WEIGHT = 1e-6
# Rounding to float16 moves each of d components by at most 2^-11 of itself, and so the length by no more.
_UNIT_TOLERANCE = 2.0**-10

Trouble = tuple[str, str, str]


class VectorDigests:
    """The SHA-256 of all passages' words and vectors, and of all evidence, in the order of ordinals."""

    def __init__(self) -> None:
        self._passages, self._evidence = hashlib.sha256(), hashlib.sha256()

    def add(self, words: str, vector: Float32, evidence: Float32) -> None:
        """Add one passage."""
        self._passages.update(hashlib.sha256(words.encode("utf-8")).digest())
        self._passages.update(np.ascontiguousarray(vector, dtype="<f4").tobytes())
        self._evidence.update(np.ascontiguousarray(evidence, dtype="<f4").tobytes())

    @property
    def passages(self) -> str:
        """Return the first one, hex."""
        return self._passages.hexdigest()

    @property
    def evidence(self) -> str:
        """Return the second one, hex."""
        return self._evidence.hexdigest()


def prove(place: Place, catalogue: Catalogue, sealed: MilvusCollections, vocabulary: Path) -> Iterator[Trouble]:
    """Yield what does not hold: rule, place, what. Raises EngineUnreachable."""
    rows = (lexical_row(stored) for batch in _batches(catalogue) for stored in batch)
    terms = CorpusTerms(rows)
    try:
        if read_vocabulary(vocabulary.read_bytes()) != terms.vocabulary:
            yield "vocabulary", vocabulary.name, "it does not hold the terms of the catalogue"
    except (OSError, ValueError):
        yield "vocabulary", vocabulary.name, "it can't be read"
    digests = VectorDigests()
    try:
        for batch in _batches(catalogue):
            yield from _prove_batch(place, batch, terms, digests)
    except SnapshotCorrupt as error:
        yield "milvus", place.name, error.what
        return
    if digests.passages != sealed.passages_sha256:
        yield "milvus", place.passages, "words and vectors are not those that were sealed"
    if digests.evidence != sealed.evidence_sha256:
        yield "milvus", place.evidence, "vectors are not those that were sealed"


def _prove_batch(
    place: Place, batch: list[StoredPassage], terms: CorpusTerms, digests: VectorDigests
) -> Iterator[Trouble]:
    ordinals = np.array([stored.ordinal for stored in batch], dtype=np.int64)
    columns = [*described(batch[0]), "vector", "terms"]
    try:
        rows = place.server.query(place.passages, where_ordinals(ordinals), columns, READING_S)
    except CollectionMissing as error:
        raise place.gone() from error
    found = {int(row["ordinal"]): row for row in rows}
    evidence = dict(iter_evidence(place, ordinals))
    for stored in batch:
        if (row := found.get(stored.ordinal)) is None:
            raise SnapshotCorrupt(f"no row for ordinal {stored.ordinal}", where=place.passages, fix="build again")
        yield from _prove_row(stored, row, terms)
        vectors = evidence[stored.ordinal]
        vector = np.asarray(row["vector"], dtype=np.float32)
        if not np.array_equal(vector, vectors[0]):
            yield "milvus", stored.passage.id, "its vector is not the one among the evidence"
        if len(vectors) != 2 + len(stored.passage.sentences):
            what = f"{len(vectors) - 1} evidence vectors, expected {1 + len(stored.passage.sentences)}"
            yield "evidence", stored.passage.id, what
        lengths = np.linalg.norm(vectors, axis=1)
        # Written so that a length that is no number counts as wrong.
        if not (np.abs(lengths - 1.0) <= _UNIT_TOLERANCE).all():
            yield "evidence", stored.passage.id, "a vector's length is not 1"
        digests.add(stored.passage.text, vector, vectors[1:])


def _prove_row(stored: StoredPassage, row: Mapping[str, Any], terms: CorpusTerms) -> Iterator[Trouble]:
    for column, expected in described(stored).items():
        found = sorted(row[column]) if column == "facets" else row[column]
        if found != expected:
            yield "milvus", stored.passage.id, f"its {column} are not those of the catalogue"
    found = {int(dimension): float(weight) for dimension, weight in dict(row["terms"]).items()}
    expected_weights = terms.weigh(lexical_row(stored))
    if found.keys() != expected_weights.keys() or any(
        abs(found[dimension] - weight) > _SAME_WEIGHT * weight for dimension, weight in expected_weights.items()
    ):
        yield "milvus", stored.passage.id, "the weights of its terms are not those of the catalogue"


def _batches(catalogue: Catalogue) -> Iterator[list[StoredPassage]]:
    for first in range(0, catalogue.n_passages, _PASSAGES_AT_ONCE):
        yield catalogue.passages(range(first, min(first + _PASSAGES_AT_ONCE, catalogue.n_passages)))
