"""The logistic model: fitting, signs, folds, held-out probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from service.logistic import Logistic, cross_validated, fit_logistic, fit_signed, sigmoid, stratified_folds


def drawn(n: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels drawn from a known model: intercept -0.5, weights 2 and -1, and noise."""
    generator = np.random.default_rng(7)
    x = generator.normal(size=(n, 3)) * [1.0, 3.0, 1.0] + [0.0, 5.0, 0.0]
    p = 1 / (1 + np.exp(-(-0.5 + 2.0 * x[:, 0] - 1.0 * (x[:, 1] - 5.0))))
    return x, generator.random(n) < p


def test_known_weights_are_found() -> None:
    """This ensures that the fit finds the model that the labels were drawn from, whatever the features' scales."""
    x, y = drawn()

    model = fit_logistic(x, y, penalty=0.01)

    assert model.weights == pytest.approx((2.0, -1.0, 0.0), abs=0.15)
    assert model.intercept == pytest.approx(4.5, abs=0.6)


def test_the_gradient_vanishes_at_the_fit() -> None:
    """This ensures that the fit is the optimum: without a penalty the mean probability is the share of positives."""
    x, y = drawn(500)

    p = fit_logistic(x, y, penalty=1e-9).probabilities(x)

    assert p.mean() == pytest.approx(y.mean(), abs=1e-6)
    assert (x * (p - y)[:, None]).mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)


def test_separable_data_and_constant_features_have_a_fit() -> None:
    """This ensures that perfect separation and a feature that never varies give finite weights."""
    x = np.array([[0.0, 1.0], [0.1, 1.0], [0.9, 1.0], [1.0, 1.0]])

    model = fit_logistic(x, np.array([False, False, True, True]))

    assert np.isfinite(model.weights).all()
    assert model.weights[1] == 0.0
    assert model.probability([0.0, 1.0]) < 0.5 < model.probability([1.0, 1.0])


@pytest.mark.parametrize("labels", [[True, True], [False, False], [True]])
def test_one_class_is_refused(labels: list[bool]) -> None:
    """This ensures that nothing is fitted where there is nothing to tell apart."""
    with pytest.raises(ValueError, match="both classes"):
        fit_logistic(np.zeros((2, 1)), np.array(labels))


def test_weights_of_rows_count_like_repeats() -> None:
    """This ensures that a row of weight 3 counts as three rows."""
    x, y = drawn(200)
    counts = np.where(np.arange(200) < 50, 3.0, 1.0)
    repeated = np.repeat(np.arange(200), counts.astype(int))

    weighted = fit_logistic(x, y, counts, penalty=1e-9)

    assert weighted.weights == pytest.approx(fit_logistic(x[repeated], y[repeated], penalty=1e-9).weights, abs=1e-6)


def test_a_feature_may_not_count_against_its_reason() -> None:
    """This ensures that a weight of the wrong sign is 0 and one of the right sign is kept."""
    x, y = drawn()

    model = fit_signed(x, y, np.ones(len(y)), 1.0, [1, 1, 0])

    assert model.weights[0] > 0.5
    assert model.weights[1] == 0.0


def test_probabilities_do_not_overflow() -> None:
    """This ensures that far scores give 0 and 1, one by one and in bulk alike."""
    model = Logistic(0.0, (1_000.0,))

    assert (sigmoid(-800.0), sigmoid(0.0), sigmoid(800.0)) == (0.0, 0.5, 1.0)
    assert model.probabilities(np.array([[-1.0], [0.0], [1.0]])).tolist() == [0.0, 0.5, 1.0]


def test_folds_share_out_every_stratum() -> None:
    """This ensures that folds differ by at most one row of each stratum, and are the same every time."""
    strata = ["near"] * 11 + ["far"] * 4 + ["answerable"] * 30

    folds = stratified_folds(strata, 5)

    for stratum in set(strata):
        counts = np.bincount(folds[[s == stratum for s in strata]], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert folds.tolist() == stratified_folds(strata, 5).tolist()


def test_held_out_rows_are_not_fitted_on() -> None:
    """This ensures that labels of pure noise look like noise: a held-out fit can't know them."""
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(60, 25)), np.arange(60) % 2 == 0
    folds = stratified_folds([str(v) for v in y], 10)

    held_out = cross_validated(x, y, folds, np.ones(60), 0.01, [0] * 25)

    inside = fit_logistic(x, y, penalty=0.01).probabilities(x)
    losses = [-np.log(np.where(y, p, 1 - p)).mean() for p in (inside, held_out)]
    assert losses[0] < 0.5
    assert losses[1] > 0.69
