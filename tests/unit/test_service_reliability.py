"""Reliability bins and expected calibration error."""

from __future__ import annotations

import numpy as np
import pytest

from service.reliability import ReliabilityBin, calibration_error, calibration_error_estimate, reliability_bins


def test_bins_hold_equally_many_and_what_was_true() -> None:
    """This ensures that each bin has the mean confidence and the share that was true, whatever the order."""
    found = reliability_bins([0.9, 0.1, 0.7, 0.3], [True, False, False, True], n_bins=2)

    assert found == [ReliabilityBin(2, pytest.approx(0.2), 0.5), ReliabilityBin(2, pytest.approx(0.8), 0.5)]


def test_equal_confidences_stay_together() -> None:
    """This ensures that a tie is never cut in two, so that the order of equal ones changes nothing."""
    found = reliability_bins([0.5] * 9 + [0.9], [True] * 5 + [False] * 5, n_bins=5)

    assert [b.n for b in found] == [9, 1]


def test_error_is_the_distance_from_what_was_true() -> None:
    """This ensures the definition: 0.2 stated where half was true, and 0.8 where half was true, is 0.3 off."""
    error = calibration_error([0.9, 0.1, 0.7, 0.3], [True, False, False, True], n_bins=2)

    assert error == pytest.approx(0.3)


def test_a_calibrated_model_has_a_small_error_and_an_overconfident_one_a_large_one() -> None:
    """This ensures that the measure tells both apart, with the value inside its interval."""
    generator = np.random.default_rng(1)
    p = generator.random(2_000)
    truths = (generator.random(2_000) < p).tolist()

    fair = calibration_error_estimate(p.tolist(), truths)
    bold = calibration_error_estimate(np.clip(p * 1.5, 0, 1).tolist(), truths)

    assert fair is not None
    assert bold is not None
    assert fair.value < 0.04
    assert bold.value > 0.15
    assert fair.low <= fair.value <= fair.high
    assert bold.low <= bold.value <= bold.high


def test_nothing_gives_no_bins_and_no_estimate() -> None:
    """This ensures that an evaluation without decided questions reports nothing rather than 0."""
    assert reliability_bins([], []) == []
    assert calibration_error_estimate([], []) is None
    with pytest.raises(ValueError, match="no question"):
        calibration_error([], [])
