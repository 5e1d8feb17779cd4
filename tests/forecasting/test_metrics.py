from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting import metrics

LEVELS = (0.1, 0.5, 0.9)


def test_the_weighted_quantile_loss_of_a_worked_example() -> None:
    # By hand: level 0.1: 0.1*(10-8) + 0.1*(0-0) = 0.2; 0.5: 0.5*|10-12| + 0.5*|0-1| = 1.5;
    # level 0.9: 0.1*(15-10) + 0.1*(4-0) = 0.9; doubled, over |10| + |0|, averaged over the levels.
    actual = np.array([[10.0, 0.0]])
    quantiles = np.array([[[8.0, 12.0, 15.0], [0.0, 1.0, 4.0]]])
    expected = np.mean([2 * 0.2, 2 * 1.5, 2 * 0.9]) / 10
    assert metrics.weighted_quantile_loss(actual, quantiles, LEVELS) == pytest.approx(expected)


def test_the_weighted_quantile_loss_of_the_median_is_the_absolute_percentage_error() -> None:
    generator = np.random.default_rng(1)
    actual, forecast = generator.poisson(4, (5, 7)), generator.poisson(4, (5, 7))
    loss = metrics.weighted_quantile_loss(actual, forecast[..., None], [0.5])
    assert loss == pytest.approx(np.abs(actual - forecast).sum() / actual.sum())


def test_the_weighted_quantile_loss_is_least_at_the_true_quantiles() -> None:
    generator = np.random.default_rng(2)
    actual = generator.gamma(2.0, 3.0, (400, 25))
    truth = np.quantile(generator.gamma(2.0, 3.0, 200_000), LEVELS)
    exact = np.broadcast_to(truth, (*actual.shape, 3))
    best = metrics.weighted_quantile_loss(actual, exact, LEVELS)
    for shifted in (exact * 0.8, exact * 1.2, exact + 1):
        assert best < metrics.weighted_quantile_loss(actual, shifted, LEVELS)


def test_nothing_sold_has_no_weighted_loss_and_no_bias() -> None:
    assert np.isnan(metrics.weighted_quantile_loss(np.zeros((2, 3)), np.ones((2, 3, 1)), [0.5]))
    assert np.isnan(metrics.bias(np.zeros((2, 3)), np.ones((2, 3))))


def test_rmsse_starts_at_the_first_nonzero_sale() -> None:
    # Differences from the first sale (2): 2, -3, so the scale is (4 + 9) / 2; the errors are 1 and 3.
    history, first = np.array([[0, 0, 0, 2, 4, 1]]), np.array([1])
    score = metrics.rmsse(np.array([[3.0, 3.0]]), np.array([[2.0, 0.0]]), history, first)
    assert score.value == pytest.approx(np.sqrt(5 / 6.5))
    assert score.left_out == 0


def test_the_naive_forecast_in_sample_has_an_rmsse_near_one() -> None:
    walk = np.cumsum(np.random.default_rng(3).normal(size=(300, 201)), axis=1) + 500
    history, actual = walk[:, :200], walk[:, 200:]
    score = metrics.rmsse(actual, history[:, -1:], history, np.zeros(300, dtype=int))
    # E|Z| = sqrt(2 / pi): one-step errors, each its own root.
    assert score.value == pytest.approx(np.sqrt(2 / np.pi), abs=0.1)


def test_series_without_a_scale_are_left_out_and_counted() -> None:
    history = np.array([[5.0, 5, 5, 5], [0, 0, 0, 0], [0, 0, 0, 3], [1, 2, 1, 2]])
    first = np.array([0, 0, 3, 0])
    actual, mean = np.full((4, 2), 3.0), np.full((4, 2), 1.0)
    score = metrics.rmsse(actual, mean, history, first)
    assert score.value == pytest.approx(2.0)
    assert score.left_out == 3
    absolute = metrics.mase(actual, mean, history, first, season=1)
    assert absolute.value == pytest.approx(2.0)
    assert absolute.left_out == 3


def test_no_usable_series_gives_nan_not_a_number_from_nowhere() -> None:
    score = metrics.rmsse(np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 5)), np.zeros(2, dtype=int))
    assert np.isnan(score.value)
    assert score.left_out == 2


def test_mase_of_a_worked_example() -> None:
    # Season 2, start at 1: |6-1|, |1-2|, |2-6| -> a scale of 10 / 3. Errors 1 and 2.
    history, first = np.array([[9.0, 1, 2, 6, 1, 2]]), np.array([1])
    score = metrics.mase(np.array([[4.0, 4.0]]), np.array([[5.0, 2.0]]), history, first, season=2)
    assert score.value == pytest.approx(1.5 / (10 / 3))


def test_mase_leaves_out_a_history_no_longer_than_a_season() -> None:
    score = metrics.mase(np.ones((1, 2)), np.zeros((1, 2)), np.arange(7.0)[None], np.array([0]), season=7)
    assert np.isnan(score.value)
    assert score.left_out == 1


def test_coverage_counts_both_ends_as_inside() -> None:
    actual = np.array([[1.0, 2.0, 3.0, 9.0]])
    quantiles = np.broadcast_to([1.0, 2.0, 3.0], (1, 4, 3))
    assert metrics.interval_coverage(actual, quantiles, LEVELS) == 0.75
    assert metrics.interval_coverage(actual, quantiles, (0.05, 0.5, 0.95), interval=0.9) == 0.75


def test_coverage_needs_the_levels_of_its_interval() -> None:
    with pytest.raises(ValueError, match=r"needs the level 0\.05"):
        metrics.interval_coverage(np.ones((1, 1)), np.ones((1, 1, 3)), LEVELS, interval=0.9)


def test_calibration_brackets_the_level_for_counts_from_the_right_distribution() -> None:
    generator = np.random.default_rng(4)
    levels = np.linspace(0.1, 0.9, 9)
    truth = np.quantile(generator.poisson(0.8, 400_000), levels, method="inverted_cdf")
    actual = generator.poisson(0.8, (500, 40))
    found = metrics.calibration(actual, np.broadcast_to(truth, (500, 40, 9)), levels)
    assert (found.below <= levels + 0.01).all()
    assert (found.at_or_below >= levels - 0.01).all()


def test_bias_is_positive_when_too_much_is_forecast() -> None:
    assert metrics.bias(np.full((2, 2), 10.0), np.full((2, 2), 11.0)) == pytest.approx(0.1)
    assert metrics.bias(np.full((2, 2), 10.0), np.full((2, 2), 9.0)) == pytest.approx(-0.1)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="want"):
        metrics.weighted_quantile_loss(np.ones((2, 3)), np.ones((2, 3, 2)), LEVELS)
    with pytest.raises(ValueError, match="both must be"):
        metrics.bias(np.ones((2, 3)), np.ones((2, 1)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.1, 1000))
def test_every_score_is_the_same_in_any_unit(seed: int, factor: float) -> None:
    generator = np.random.default_rng(seed)
    history, actual = generator.gamma(2, 2, (3, 30)), generator.gamma(2, 2, (3, 5))
    quantiles = np.sort(generator.gamma(2, 2, (3, 5, 3)), axis=-1)
    first = np.array([0, 4, 9])

    def scores(unit: float) -> list[float]:
        y, q, h = actual * unit, quantiles * unit, history * unit
        mean = q.mean(axis=-1)
        return [
            metrics.weighted_quantile_loss(y, q, LEVELS),
            metrics.rmsse(y, mean, h, first).value,
            metrics.mase(y, mean, h, first, 7).value,
            metrics.interval_coverage(y, q, LEVELS),
            metrics.bias(y, mean),
        ]

    np.testing.assert_allclose(scores(factor), scores(1.0), rtol=1e-9, atol=1e-9)
