"""
Measures of ranking and of knowing when to abstain, as functions of numbers. No documents, no index, no I/O.

A ranked list comes as the relevance of what was returned, best first: `[False, True]` is one relevant passage at
rank 2. Nothing is sorted again, so there are no ties to break in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

# Over 40 seeds the ends of an interval for 100 questions vary with a standard deviation of 0.002 to 0.004.
N_RESAMPLES = 2_000
SEED = 0
CONFIDENCE_LEVEL = 0.95
# 1,000 questions x 2,000 resamples of float64 would be 16 MB at once; drawn in blocks of at most so many numbers.
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` questions with its 95 % bootstrap interval; `low <= value <= high` but for rounding."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Answering every question with at least this confidence answers `coverage` of them, `risk` of those wrongly."""

    threshold: float
    coverage: float
    risk: float


def hit(relevance: Sequence[bool], k: int) -> float:
    """
    Return hit@k: 1.0 when at least one of the first k is relevant, else 0.0.

    Called Success@k in trec_eval ("success_k"). A list shorter than k counts as it is.
    """
    _check_depth(k)
    return float(any(relevance[:k]))


def reciprocal_rank(relevance: Sequence[bool], k: int = 10) -> float:
    """
    Return 1 / rank of the first relevant of the first k, 0.0 when there is none.

    Its mean over questions is MRR@k. Source: Voorhees, TREC-8 Question Answering Track report, 1999; k = 10 as in
    MS MARCO passage ranking.
    """
    _check_depth(k)
    return next((1 / rank for rank, relevant in enumerate(relevance[:k], start=1) if relevant), 0.0)


def ndcg(relevance: Sequence[bool], n_relevant: int, k: int = 10) -> float:
    """
    Return nDCG@k with gain 1 for relevant, 0 otherwise, and discount log2(rank + 1); in [0, 1].

    Args:
        n_relevant: how many relevant ones the best possible list holds; at least as many as were returned. 0 gives
            0.0, as in trec_eval.

    Raises:
        ValueError: more relevant ones were returned than exist.

    Source: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, with the discount of Burges et al., ICML 2005, that
    trec_eval's ndcg_cut has.
    """
    _check_depth(k)
    if sum(relevance) > n_relevant:
        raise ValueError(f"{sum(relevance)} relevant were returned, {n_relevant} exist")
    gained = sum(1 / math.log2(rank + 1) for rank, relevant in enumerate(relevance[:k], start=1) if relevant)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(n_relevant, k) + 1))
    return gained / best if best else 0.0


def gold_share(gold: Sequence[str], returned: Sequence[str], k: int = 5) -> float:
    """
    Return the share of distinct gold documents that own at least one of the first k passages.

    Subtopic recall with documents as subtopics: Zhai, Cohen and Lafferty, SIGIR 2003.

    Raises:
        ValueError: there is no gold document.
    """
    _check_depth(k)
    if not gold:
        raise ValueError("no gold document")
    return len(set(gold) & set(returned[:k])) / len(set(gold))


def auroc(positives: Sequence[float] | Float64, negatives: Sequence[float] | Float64) -> float:
    """
    Return the chance that a positive scores above a negative, ties counting half; 0.5 is guessing.

    Equals the area under the ROC curve and the Mann-Whitney U over the number of pairs.
    Source: Hanley and McNeil, Radiology 143, 1982.

    Raises:
        ValueError: one side is empty.
    """
    if len(positives) == 0 or len(negatives) == 0:
        raise ValueError("AUROC takes at least one of each side")
    scores = np.sort(np.asarray(negatives, dtype=np.float64))
    values = np.asarray(positives, dtype=np.float64)
    below = np.searchsorted(scores, values, side="left")
    not_above = np.searchsorted(scores, values, side="right")
    return float((below + not_above).sum()) / (2 * len(values) * len(scores))


def risk_coverage(confidences: Sequence[float], correct: Sequence[bool]) -> list[RiskPoint]:
    """
    Return the risk/coverage curve, coverage ascending: one point for each distinct confidence.

    Equal confidences are answered together or not at all. The last point answers everything.
    Source: El-Yaniv and Wiener, JMLR 11, 2010.
    """
    pairs = sorted(zip(confidences, correct, strict=True), key=lambda pair: -pair[0])
    points: list[RiskPoint] = []
    n_wrong = 0
    for n_answered, (confidence, is_correct) in enumerate(pairs, start=1):
        n_wrong += not is_correct
        if n_answered == len(pairs) or pairs[n_answered][0] != confidence:
            points.append(RiskPoint(confidence, n_answered / len(pairs), n_wrong / n_answered))
    return points


def thin_curve(points: Sequence[RiskPoint], n_steps: int = 10) -> list[RiskPoint]:
    """Return the first point that reaches each of `n_steps` equal steps of coverage, without repeats."""
    kept: list[RiskPoint] = []
    for step in range(1, n_steps + 1):
        point = next((p for p in points if p.coverage >= step / n_steps - 1e-12), None)
        if point is not None and point not in kept:
            kept.append(point)
    return kept


def mean_estimate(values: Sequence[float]) -> Estimate | None:
    """
    Return the mean with its 95 % percentile bootstrap interval, None for no values.

    The generator is seeded anew, so equal values give equal intervals and measures of one list are resampled alike.
    Source: Efron, Annals of Statistics 7(1), 1979; percentile interval of Efron and Tibshirani, 1993, chapter 13.
    """
    if not values:
        return None
    data = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(SEED)
    means = np.empty(N_RESAMPLES)
    step = max(1, _BLOCK // len(data))
    for first in range(0, N_RESAMPLES, step):
        n = min(step, N_RESAMPLES - first)
        means[first : first + n] = data[generator.integers(0, len(data), (n, len(data)))].mean(axis=1)
    return _with_interval(float(data.mean()), means, len(data))


def auroc_estimate(positives: Sequence[float], negatives: Sequence[float]) -> Estimate | None:
    """
    Return AUROC with its 95 % percentile bootstrap interval, both sides resampled apart; None when a side is empty.

    `n` is the size of the smaller side, which decides the width. Sources: as `auroc` and `mean_estimate`.
    """
    if not positives or not negatives:
        return None
    up, down = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    generator = np.random.default_rng(SEED)
    resampled = [
        auroc(up[generator.integers(0, len(up), len(up))], down[generator.integers(0, len(down), len(down))])
        for _ in range(N_RESAMPLES)
    ]
    return _with_interval(auroc(up, down), np.asarray(resampled), min(len(up), len(down)))


def percentile(values: Sequence[float], share: float) -> float | None:
    """
    Return the smallest value that at least `share` of the values do not pass, None for no values.

    The nearest-rank definition: always a value that occurred. Source: Hyndman and Fan, 1996, definition 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share {share} is not in (0, 1]")
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def overlap(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Return how many characters two half-open spans share."""
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def covers_half(passage: tuple[int, int], label: tuple[int, int]) -> bool:
    """
    Tell whether a passage is relevant to a labelled span of the same document.

    It is when at least half of the passage lies in the span (a long section was labelled and the passage is in it), or
    at least half of the span lies in the passage (a short quote was labelled and the passage holds it).
    """
    shared = overlap(passage, label)
    return shared > 0 and 2 * shared >= min(passage[1] - passage[0], label[1] - label[0])


def merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of half-open spans: ascending, apart from each other, none empty."""
    union: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


def agrees(evidence: Sequence[tuple[int, int]], labels: Sequence[tuple[int, int]], passage: tuple[int, int]) -> bool:
    """
    Tell whether the marked evidence is the labelled stretch, within one passage.

    It is when at least half of the labels' part of the passage is marked, or at least half of what is marked is
    labelled; the rule of `covers_half` over unions of spans. Marking everything passes: look at `marked_share` too.
    """
    marked = merged(evidence)
    wanted = merged([(max(start, passage[0]), min(end, passage[1])) for start, end in labels])
    shared = sum(overlap(one, other) for one in marked for other in wanted)
    return shared > 0 and 2 * shared >= min(_length(marked), _length(wanted))


def marked_share(evidence: Sequence[tuple[int, int]], passage: tuple[int, int]) -> float:
    """Return the share of a passage's characters that is marked as evidence."""
    return sum(overlap(span, passage) for span in merged(evidence)) / (passage[1] - passage[0])


def _length(spans: Sequence[tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans)


def _with_interval(value: float, resampled: Float64, n: int) -> Estimate:
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def _check_depth(k: int) -> None:
    if k < 1:
        raise ValueError(f"depth {k} is below 1")
