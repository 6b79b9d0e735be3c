"""Whether to answer: a probability from what was retrieved, and the reason when it is too low. Pure; fits nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from service.decision_features import FeatureProvider, Look, SimilarityFeature, passage_features
from service.logistic import Logistic

Reason = Literal["off_topic", "not_answered"]


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The probability, 0 to 1, that something in the library answers; `reason` holds if that is too low.

    `operating_point`: from which confidence on questions are answered, unless the operator sets another. `answers`: of
    each of the first passages the probability that it answers; empty without a judge.
    """

    confidence: float
    reason: Reason
    operating_point: float = 0.0
    answers: tuple[float, ...] = ()


class Decider(Protocol):
    """What answering asks; the fit puts a recorder in its place."""

    @property
    def operating_point(self) -> float:
        """Return the confidence from which on questions are answered, unless the operator sets another."""

    @property
    def judge_sha256(self) -> str:
        """Return the SHA-256 of the judge whose word counts, "" for none."""

    @property
    def calibration_sha256(self) -> str:
        """Return the SHA-256 of the calibration file, "" without one."""

    def decide(self, look: Look) -> Decision:
        """Decide about one question."""


_SIMILARITY_ALONE = Logistic(-14.0 * 0.33, (14.0,))


@dataclass(frozen=True, slots=True)
class AbstainModel:
    """
    Logistic models over the providers' features, in order.

    `answer` gives the probability that something answers, `topic` that the library speaks of the subject at all. The
    confidence is the smaller: nothing is likelier to be answered than to be spoken of. Without `topic` every abstention
    is off topic. `passage` gives the probability that one passage answers. A model that was fitted with
    the judge `judge_sha256` leaves what the judge has not read to `without_judge`.

    The default is what is left when no calibration fits the model: one feature, the best similarity, with two numbers
    fitted by hand on two small libraries. It tells subjects apart (AUROC 0.93 against other subjects) and not whether
    an on-topic question is answered.
    """

    providers: tuple[FeatureProvider, ...] = (SimilarityFeature(),)
    answer: Logistic = _SIMILARITY_ALONE
    topic: Logistic | None = None
    operating_point: float = 0.5
    calibration_sha256: str = ""  # of the file that the numbers come from; "" without one
    passage: Logistic | None = None
    judge_sha256: str = ""
    without_judge: AbstainModel | None = None

    def decide(self, look: Look) -> Decision:
        """Return the confidence; 0 without a single hit."""
        if not look.retrieval.hits:
            return Decision(0.0, "off_topic", self.operating_point)
        if self.without_judge is not None and not look.log_odds:
            return self.without_judge.decide(look)
        features = [value for provider in self.providers for value in provider.features(look)]
        on_topic = 0.0 if self.topic is None else self.topic.probability(features)
        answered = self.answer.probability(features)
        confidence = answered if self.topic is None else min(answered, on_topic)
        reason: Reason = "not_answered" if on_topic >= 0.5 else "off_topic"
        passages = passage_features(look) if self.passage is not None else []
        answers = tuple(round(self.passage.probability(row), 4) for row in passages) if self.passage else ()
        return Decision(round(confidence, 4), reason, self.operating_point, answers)
