"""
How far a stated probability can be believed: reliability bins and expected calibration error. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.measures import CONFIDENCE_LEVEL, N_RESAMPLES, SEED, Estimate

Float64 = npt.NDArray[np.float64]

N_BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Questions of similar confidence: how many, the mean confidence, and the share that was true."""

    n: int
    confidence: float
    share_true: float


def reliability_bins(
    confidences: Sequence[float], is_true: Sequence[bool], n_bins: int = N_BINS
) -> list[ReliabilityBin]:
    """
    Return the points of a reliability diagram, confidence ascending, in bins of equally many questions.

    Equal confidences stay in one bin, so that there may be fewer bins; none is empty.
    Source: Nguyen and O'Connor, EMNLP 2015 (adaptive binning); bins of equal width leave most of them empty here.
    """
    values, truths = _sorted(confidences, is_true)
    return [
        ReliabilityBin(last - first, float(values[first:last].mean()), float(truths[first:last].mean()))
        for first, last in _bounds(values, n_bins)
    ]


def calibration_error(confidences: Sequence[float], is_true: Sequence[bool], n_bins: int = N_BINS) -> float:
    """
    Return the expected calibration error: the mean distance of confidence and share over the bins, by their size.

    0 is perfect; a perfect model of few questions has more, as the share of a small bin varies.
    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.

    Raises:
        ValueError: no question.
    """
    values, truths = _sorted(confidences, is_true)
    if len(values) == 0:
        raise ValueError("no question")
    return _error(values, truths, n_bins)


def calibration_error_estimate(confidences: Sequence[float], is_true: Sequence[bool]) -> Estimate | None:
    """
    Return the expected calibration error with its 95 % bootstrap interval over questions, None without any.

    Resampling adds noise to every bin, and the error can't be negative: the percentiles are shifted by the resamples'
    mean excess, cut off at 0 (basic bias correction, Efron and Tibshirani, 1993, chapter 10).
    """
    values, truths = _sorted(confidences, is_true)
    n = len(values)
    if n == 0:
        return None
    generator = np.random.default_rng(SEED)
    found = _error(values, truths, N_BINS)
    resampled = np.empty(N_RESAMPLES)
    for i in range(N_RESAMPLES):
        rows = np.sort(generator.integers(0, n, n))
        resampled[i] = _error(values[rows], truths[rows], N_BINS)
    excess = max(0.0, float(resampled.mean()) - found)
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.maximum(0.0, np.quantile(resampled, [tail, 1 - tail]) - excess)
    return Estimate(found, min(float(low), found), max(float(high), found), n)


def _sorted(confidences: Sequence[float], is_true: Sequence[bool]) -> tuple[Float64, Float64]:
    values, truths = np.asarray(confidences, dtype=np.float64), np.asarray(is_true, dtype=np.float64)
    if values.shape != truths.shape:
        raise ValueError(f"{len(values)} confidences, {len(truths)} truths")
    order = np.argsort(values, kind="stable")
    return values[order], truths[order]


def _bounds(values: Float64, n_bins: int) -> list[tuple[int, int]]:
    """Return half-open ranges of ascending values; each cut is moved up to the end of its ties."""
    cuts = [0]
    for i in range(1, n_bins):
        wanted = round(i * len(values) / n_bins)
        if 0 < wanted < len(values):
            cut = int(np.searchsorted(values, values[wanted - 1], side="right"))
            if cuts[-1] < cut < len(values):
                cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], len(values)], strict=True)) if len(values) else []


def _error(values: Float64, truths: Float64, n_bins: int) -> float:
    gaps = [abs(float(values[a:b].sum() - truths[a:b].sum())) for a, b in _bounds(values, n_bins)]
    return sum(gaps) / len(values)
