"""
From a question's text to ranked passages of one snapshot; readable from `retrieve` down. Pure given a snapshot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.errors import ModelMismatch
from index.fuse import Float64, FusionConfig, dense_evidence, fuse, lexical_share, ranking
from index.hits import RankedHits
from index.lexical import analyze
from index.model import DenseText, Filters, Float32, Hit, Int64, Query, QueryEncoder, QueryTerm
from index.snapshot import Snapshot
from ingest.model import SourceType

# How many of the best lexical hits are looked at to see how well they cover the question.
_COVERAGE_DEPTH = 3
# How far a passage about what the question turns down moves, on the fused scale of 0 to 1.
_AVOID_WEIGHT = 0.4
# How far a passage of the operator's first choice of source moves up, on the same scale; of later choices less. Held
# against the labels of three collections: if every wrong document were preferred and the right ones were not, hit@1
# would fall by .04 to .09 (0.1: by .06 to .17); if the right ones were preferred, it would rise by .02 to .07.
PREFERENCE_WEIGHT = 0.05
# Below this share of the strongest passage's score, a passage mentions a word and is not about it.
_MENTION = 0.5


@dataclass(frozen=True, slots=True)
class Retrieval:
    """
    What was found, best first, and what the decision to answer looks at.

    `coverage` is the idf-weighted share of the question's terms in the lexical hit that holds most of them, 0 to 1.
    """

    hits: Sequence[Hit]
    coverage: float
    lexical_share: float


def retrieve(
    snapshot: Snapshot,
    encoder: QueryEncoder,
    query: Query | str,
    *,
    filters: Filters = Filters(),
    preferred: Sequence[SourceType] = (),
    config: FusionConfig = FusionConfig(),
) -> Retrieval:
    """
    Rank the passages of a snapshot for a question.

    Args:
        query: an understood question; a text is searched for as it stands.
        preferred: kinds of source that the operator puts first, the best one first. A passage overtakes no other that
            scores more than `PREFERENCE_WEIGHT` above it.

    Returns:
        Every candidate of either index, so that asking for fewer answers gives a prefix of asking for more. No hits
        where the filters allow no passage.

    Raises:
        ModelMismatch: the encoder is not the model that the snapshot was built with.
        EngineUnreachable, EngineRefused: the passages are in an engine that does not answer.
    """
    _check_model(snapshot, encoder)
    query = plain_query(query) if isinstance(query, str) else query
    vector = _encode(encoder, query.dense)
    lexical = snapshot.finder.best_words({t.term: t.boost for t in query.terms}, config.depth, filters)
    dense = snapshot.finder.nearest(vector, config.depth, filters)
    ordinals = np.unique(np.concatenate([dense[0], lexical[0]]), sorted=True)
    if ordinals.size == 0:
        return Retrieval((), 0.0, 0.0)
    coverage = _coverage(snapshot, query.terms, lexical[0][:_COVERAGE_DEPTH].tolist())
    share = lexical_share(coverage, config)
    moved = preference(snapshot, preferred, ordinals) - _turned_down(snapshot, query.avoid, ordinals)
    return Retrieval(_rank(snapshot, vector, ordinals, dense, lexical, share, moved, config), coverage, share)


def plain_query(text: str) -> Query:
    """Return a text as a query: itself to embed, and its own terms."""
    counts = Counter(analyze(text))
    return Query((DenseText(text),), tuple(QueryTerm(term, float(n)) for term, n in counts.items()))


def _encode(encoder: QueryEncoder, texts: Sequence[DenseText]) -> Float32:
    """
    Return the unit vector of the weighted sum of the wordings.

    A passage's cosine with it orders passages as the weighted mean of its cosines with each wording does.
    """
    vectors = encoder.encode_queries([dense.text for dense in texts])
    if len(texts) == 1:
        return np.ascontiguousarray(vectors[0])
    weights = np.array([dense.weight for dense in texts], dtype=np.float32)
    total = weights @ vectors
    length = float(np.linalg.norm(total))
    # Opposite wordings may cancel out; then the question's own stands alone.
    return np.ascontiguousarray(total / length if length > 1e-6 else vectors[0], dtype=np.float32)


def _check_model(snapshot: Snapshot, encoder: QueryEncoder) -> None:
    model = snapshot.manifest.model
    if encoder.fingerprint != model.fingerprint:
        raise ModelMismatch(
            f"the index was built with model {model.name} ({model.fingerprint[:12]}), "
            f"the service has {encoder.fingerprint[:12]}",
            where=snapshot.id,
            fix="run `citewell build` with this model, or set the model back",
        )


def _rank(
    snapshot: Snapshot,
    vector: Float32,
    ordinals: Int64,
    dense: tuple[Int64, Float32],
    lexical: tuple[Int64, Float32],
    share: float,
    moved: Float64,
    config: FusionConfig,
) -> RankedHits:
    """Score every candidate on all its evidence, whichever index found it."""
    passage, text, sentence, best = snapshot.finder.similarities(vector, ordinals, dense)
    bm25 = np.full(ordinals.size, np.nan)
    bm25[np.searchsorted(ordinals, lexical[0])] = lexical[1]
    evidence = dense_evidence(passage, text, sentence, config)
    scores = np.maximum(fuse(evidence, np.nan_to_num(bm25), share) + moved, 0.0)
    return RankedHits(ordinals, ranking(scores, ordinals), scores, passage, text, sentence, best, bm25)


def preference(snapshot: Snapshot, preferred: Sequence[SourceType], ordinals: Int64) -> Float64:
    """Return how far each candidate moves up for its kind of source: evenly from `PREFERENCE_WEIGHT` down, else 0."""
    bonus = np.zeros(ordinals.size)
    for place, source_type in enumerate(dict.fromkeys(preferred)):
        is_of_type = snapshot.catalogue.allowed(Filters(source_type=(source_type,)))
        if is_of_type is not None:
            bonus[is_of_type[ordinals]] = PREFERENCE_WEIGHT * (1.0 - place / len(preferred))
    return bonus


def _turned_down(snapshot: Snapshot, avoid: Sequence[str], ordinals: Int64) -> Float64:
    """Return how far each candidate moves down for being about what the question turns down, 0 to `_AVOID_WEIGHT`."""
    penalty = np.zeros(ordinals.size)
    if not avoid:
        return penalty
    found, scores = snapshot.finder.score_words(dict.fromkeys(avoid, 1.0), ordinals)
    if found.size:
        # The candidates come in ascending order (np.union1d).
        # Passages that only mention it among others keep their place.
        share = np.maximum(scores / scores.max() - _MENTION, 0.0) / (1.0 - _MENTION)
        penalty[np.searchsorted(ordinals, found)] = _AVOID_WEIGHT * share
    return penalty


def _coverage(snapshot: Snapshot, terms: Sequence[QueryTerm], ordinals: Sequence[int]) -> float:
    """Return the largest idf-weighted share of the question's own terms that one of these passages holds."""
    wordings: dict[str, set[str]] = {}
    for term in terms:
        wordings.setdefault(term.stands_for or term.term, set()).add(term.term)
    if not wordings or not ordinals:
        return 0.0
    n = snapshot.lexical.n
    # A term that no passage holds weighs as much as one that a single passage holds: not knowing it is telling.
    known = [max(snapshot.lexical.document_frequency(sorted(alike))) for alike in wordings.values()]
    idf = [math.log(1 + n / max(df, 1)) for df in known]
    best = 0.0
    for stored in snapshot.catalogue.passages(ordinals):
        passage = stored.passage
        held = set(snapshot.lexical.analyze(f"{passage.title} {' '.join(passage.heading_path)} {passage.text}"))
        best = max(best, sum(w for alike, w in zip(wordings.values(), idf, strict=True) if not held.isdisjoint(alike)))
    return best / sum(idf)
