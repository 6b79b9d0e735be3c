"""Whether the best passage found is on the question's subject at all. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from index.search import Retrieval


@dataclass(frozen=True, slots=True)
class AbstainModel:
    """
    A logistic model of one feature: the best similarity of any passage's text or sentence to the question.

    It tells whether the library speaks about the question's subject, and cannot tell whether it answers the
    question: on-topic questions that nothing answers look the same to it. The two numbers are fitted by
    `tests/quality/fit_abstain.py`; see ARCHITECTURE.md ("Abstaining").
    """

    slope: float = 14.0
    midpoint: float = 0.33

    def confidence(self, retrieval: Retrieval) -> float:
        """Return the probability, 0 to 1, that the library speaks about the question's subject."""
        best = max((max(hit.text_similarity, hit.sentence_similarity) for hit in retrieval.hits), default=-1.0)
        return 1.0 / (1.0 + math.exp(-self.slope * (best - self.midpoint)))
