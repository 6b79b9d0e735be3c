"""
From a question's text to ranked passages of one snapshot; readable from `retrieve` down. Pure given a snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.errors import ModelMismatch
from index.fuse import FusionConfig, dense_evidence, fuse, lexical_share, ranking
from index.model import Filters, Float32, Hit, Int64, Mask, QueryEncoder
from index.snapshot import Snapshot

# How many of the best lexical hits are looked at to see how well they cover the question.
_COVERAGE_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Retrieval:
    """
    What was found, best first, and what the decision to answer looks at.

    `coverage` is the idf-weighted share of the question's terms in the lexical hit that holds most of them, 0 to 1.
    """

    hits: tuple[Hit, ...]
    coverage: float
    lexical_share: float


def retrieve(
    snapshot: Snapshot,
    encoder: QueryEncoder,
    text: str,
    *,
    filters: Filters = Filters(),
    config: FusionConfig = FusionConfig(),
) -> Retrieval:
    """
    Rank the passages of a snapshot for a question.

    Returns:
        Every candidate of either index, so that asking for fewer answers gives a prefix of asking for more. No hits
        where the filters allow no passage.

    Raises:
        ModelMismatch: the encoder is not the model that the snapshot was built with.
    """
    _check_model(snapshot, encoder)
    allowed = snapshot.catalogue.allowed(filters)
    vector = encoder.encode_queries([text])[0]
    lexical = _search_lexical(snapshot, text, config.depth, allowed)
    found, _ = snapshot.dense.search(vector, config.depth, allowed)
    ordinals = np.union1d(found, np.fromiter(lexical, dtype=np.int64, count=len(lexical)))
    if ordinals.size == 0:
        return Retrieval((), 0.0, 0.0)
    coverage = _coverage(snapshot, text, list(lexical)[:_COVERAGE_DEPTH])
    share = lexical_share(coverage, config)
    return Retrieval(_rank(snapshot, vector, ordinals, lexical, share, config), coverage, share)


def _check_model(snapshot: Snapshot, encoder: QueryEncoder) -> None:
    model = snapshot.manifest.model
    if encoder.fingerprint != model.fingerprint:
        raise ModelMismatch(
            f"the index was built with model {model.name} ({model.fingerprint[:12]}), "
            f"the service has {encoder.fingerprint[:12]}",
            where=snapshot.id,
            fix="run `citewell build` with this model, or set the model back",
        )


def _search_lexical(snapshot: Snapshot, text: str, depth: int, allowed: Mask | None) -> dict[int, float]:
    """Return ordinal -> BM25 score, best first."""
    ordinals, scores = snapshot.lexical.search(text, depth, allowed)
    return dict(zip(ordinals.tolist(), scores.tolist(), strict=True))


def _rank(
    snapshot: Snapshot,
    vector: Float32,
    ordinals: Int64,
    lexical: dict[int, float],
    share: float,
    config: FusionConfig,
) -> tuple[Hit, ...]:
    """Score every candidate on all its evidence, whichever index found it."""
    passage = snapshot.dense.similarities(vector, ordinals)
    rows = snapshot.evidence.similarities(vector, ordinals)
    text = np.array([row[0] for row in rows], dtype=np.float32)
    best = [int(np.argmax(row[1:])) for row in rows]
    sentence = np.array([row[1 + i] for row, i in zip(rows, best, strict=True)], dtype=np.float32)
    bm25 = np.array([lexical.get(int(o), 0.0) for o in ordinals], dtype=np.float64)
    scores = fuse(dense_evidence(passage, text, sentence, config), bm25, share)
    return tuple(
        Hit(
            ordinal=int(ordinals[i]),
            rank=rank,
            score=float(scores[i]),
            passage_similarity=float(passage[i]),
            text_similarity=float(text[i]),
            sentence_similarity=float(sentence[i]),
            lexical_score=lexical.get(int(ordinals[i])),
            best_sentence=best[i],
        )
        for rank, i in enumerate(ranking(scores, ordinals), start=1)
    )


def _coverage(snapshot: Snapshot, text: str, ordinals: Sequence[int]) -> float:
    """Return the largest idf-weighted share of the question's terms that one of these passages holds."""
    terms = list(dict.fromkeys(snapshot.lexical.analyze(text)))
    if not terms or not ordinals:
        return 0.0
    n = snapshot.lexical.n
    # A term that no passage holds weighs as much as one that a single passage holds: not knowing it is telling.
    idf = [math.log(1 + n / max(df, 1)) for df in snapshot.lexical.document_frequency(terms)]
    best = 0.0
    for stored in snapshot.catalogue.passages(ordinals):
        passage = stored.passage
        held = set(snapshot.lexical.analyze(f"{passage.title} {' '.join(passage.heading_path)} {passage.text}"))
        best = max(best, sum(weight for term, weight in zip(terms, idf, strict=True) if term in held))
    return best / sum(idf)
