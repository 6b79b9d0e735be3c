"""The ranked passages of one question, as arrays that become `Hit`s when somebody looks at them. Values alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from index.fuse import Float64
from index.model import Float32, Hit, Int64


@dataclass(frozen=True, slots=True, eq=False)
class RankedHits(Sequence[Hit]):
    """
    Hits in the order of their ranks. There are some 330 candidates and a dozen are ever looked at.

    All arrays are `[n]`, in the order of `ordinals`, which ascend; `order` holds the positions, best first.
    `lexical` is NaN where the lexical index did not find the passage.
    """

    ordinals: Int64
    order: Int64
    scores: Float64
    passage: Float32
    text: Float32
    sentence: Float32
    best_sentence: Int64
    lexical: Float64

    def __len__(self) -> int:
        """Return n."""
        return len(self.order)

    def __eq__(self, other: object) -> bool:
        """Tell whether these are the same hits in the same order."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as Python does where __eq__ alone is defined

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        """Return the hit of a place, which is its rank less one, or those of a slice."""
        places = range(len(self))[index]
        return self._hit(places) if isinstance(places, int) else tuple(map(self._hit, places))

    def _hit(self, place: int) -> Hit:
        i = self.order[place]
        lexical = float(self.lexical[i])
        return Hit(
            ordinal=int(self.ordinals[i]),
            rank=place + 1,
            score=float(self.scores[i]),
            passage_similarity=float(self.passage[i]),
            text_similarity=float(self.text[i]),
            sentence_similarity=float(self.sentence[i]),
            lexical_score=None if math.isnan(lexical) else lexical,
            best_sentence=int(self.best_sentence[i]),
        )


def best_similarity(hits: Sequence[Hit]) -> float:
    """Return the best cosine of any passage's text or sentence; there is at least one hit."""
    if isinstance(hits, RankedHits):
        return float(np.maximum(hits.text, hits.sentence).max())
    return max(max(hit.text_similarity, hit.sentence_similarity) for hit in hits)


def best_lexical(hits: Sequence[Hit]) -> Hit:
    """Return the hit that the lexical index puts first, ties by ordinal; the first by ordinal where it found none."""
    if isinstance(hits, RankedHits):
        # The ordinals ascend, and of equal ones argmax returns the first.
        position = int(np.argmax(np.nan_to_num(hits.lexical)))
        return hits[int(np.flatnonzero(hits.order == position)[0])]
    return max(hits, key=lambda hit: (hit.lexical_score or 0.0, -hit.ordinal))


def in_order(hits: Sequence[Hit]) -> tuple[Int64, Float64]:
    """Return ordinals and scores by rank."""
    if isinstance(hits, RankedHits):
        return hits.ordinals[hits.order], hits.scores[hits.order]
    return np.array([hit.ordinal for hit in hits], np.int64), np.array([hit.score for hit in hits], np.float64)
