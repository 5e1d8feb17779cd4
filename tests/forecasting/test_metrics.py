from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting import metrics
from recurra.forecasting.distribution import Quantiles

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


def poissons(rates: np.ndarray, levels: np.ndarray, size: int = 200_000) -> Quantiles:
    """The quantiles of Poisson counts, as if they were rounded: those of a count and a half less, or more."""
    generator = np.random.default_rng(5)
    values = [
        np.quantile(generator.poisson(rate, size) + generator.uniform(-0.5, 0.5, size), levels)
        for rate in rates
    ]
    return Quantiles(levels, np.maximum(values, 0), 0.0)


def test_the_pit_of_the_right_counts_is_flat_and_covers_what_it_says() -> None:
    generator = np.random.default_rng(6)
    rates, levels = np.array([0.2, 0.8, 3.0, 20.0]), np.linspace(0.002, 0.998, 499)
    forecast = poissons(rates, levels)
    actual = generator.poisson(rates[:, None], (4, 20_000))
    spread = Quantiles(levels, np.broadcast_to(forecast.values[:, None], (4, 20_000, 499)), 0.0)
    histogram = metrics.pit_histogram(actual, spread, whole=True)
    np.testing.assert_allclose(histogram, 0.1, atol=0.004)
    assert metrics.pit_coverage(histogram, 0.8) == pytest.approx(0.8, abs=0.005)
    # The plain coverage of the same forecast is no 80%: nearly all the zeros lie on the lower end of the range.
    plain = metrics.interval_coverage(
        actual, np.rint(spread.at(np.broadcast_to([0.1, 0.9], (4, 20_000, 2)))), (0.1, 0.9)
    )
    assert plain > 0.87


def test_the_pit_is_the_mean_of_the_randomised_one() -> None:
    generator = np.random.default_rng(7)
    levels = np.array([0.1, 0.5, 0.9])
    forecast = Quantiles(levels, np.sort(generator.gamma(1, 3, (6, 4, 3)), axis=-1), 0.0)
    actual = generator.poisson(3, (6, 4)).astype(float)
    low = np.where(actual == 0, 0, forecast.probability(actual - 0.5))
    high = forecast.probability(actual + 0.5)
    drawn = low + (high - low) * generator.random((40_000, 6, 4))
    expected = np.histogram(drawn, np.arange(11) / 10)[0] / drawn.size
    np.testing.assert_allclose(metrics.pit_histogram(actual, forecast, whole=True), expected, atol=2e-3)


def test_the_pit_of_numbers_that_are_not_whole() -> None:
    generator = np.random.default_rng(8)
    levels = np.linspace(0.01, 0.99, 99)
    truth = Quantiles(
        levels, np.broadcast_to(np.quantile(generator.gamma(2, 3, 200_000), levels), (50, 400, 99)), 0.0
    )
    actual = generator.gamma(2, 3, (50, 400))
    np.testing.assert_allclose(metrics.pit_histogram(actual, truth, whole=False), 0.1, atol=0.01)
    narrow = Quantiles(levels, truth.values * 0.5 + 3, 0.0)
    assert metrics.pit_coverage(metrics.pit_histogram(actual, narrow, whole=False)) < 0.7
    # A forecast without any spread, met exactly: anything between 0 and 1, and so evenly all.
    certain = Quantiles(levels, np.full((1, 1, 99), 4.0), 0.0)
    np.testing.assert_allclose(metrics.pit_histogram(np.array([[4.0]]), certain, whole=False), 0.1)
    assert metrics.pit_histogram(np.array([[5.0]]), certain, whole=False).tolist() == [0] * 9 + [1]
    assert metrics.pit_histogram(np.array([[3.0]]), certain, whole=False).tolist() == [1] + [0] * 9


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), whole=st.booleans(), ties=st.booleans())
def test_the_pit_is_a_distribution_whatever_comes(seed: int, whole: bool, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    values = np.sort(generator.gamma(0.5, 4, (3, 4, 5)) - 1, axis=-1)
    values = np.rint(values) if ties else values
    forecast = Quantiles(np.array([0.05, 0.1, 0.5, 0.9, 0.95]), values, -np.inf if seed % 2 else 0.0)
    actual = np.rint(generator.normal(0, 3, (3, 4))) if whole else generator.normal(0, 3, (3, 4))
    actual[generator.random((3, 4)) < 0.3] = np.nan
    histogram = metrics.pit_histogram(actual, forecast, whole=whole)
    if np.isnan(actual).all():
        assert np.isnan(histogram).all()
        return
    assert (histogram >= -1e-12).all()
    assert histogram.sum() == pytest.approx(1)


def test_bins_that_do_not_end_where_an_interval_does() -> None:
    assert metrics.pit_coverage(np.full(4, 0.25), 0.5) == 0.5
    for interval in (0.9, 1.0, 0.0):
        with pytest.raises(ValueError, match="do not end where"):
            metrics.pit_coverage(np.full(10, 0.1), interval)


def test_no_score_counts_a_demand_that_nobody_knows() -> None:
    generator = np.random.default_rng(9)
    actual, history = generator.poisson(4, (3, 6)).astype(float), generator.poisson(4, (3, 30)).astype(float)
    quantiles = np.sort(generator.gamma(2, 2, (3, 6, 3)), axis=-1)
    mean, first = quantiles.mean(-1), np.zeros(3, dtype=int)
    whole = metrics.weighted_quantile_loss(actual[:2], quantiles[:2], LEVELS)
    unknown = actual.copy()
    unknown[2] = np.nan
    assert metrics.weighted_quantile_loss(unknown, quantiles, LEVELS) == pytest.approx(whole)
    assert metrics.bias(unknown, mean) == pytest.approx(metrics.bias(actual[:2], mean[:2]))
    assert metrics.interval_coverage(unknown, quantiles, LEVELS) == metrics.interval_coverage(
        actual[:2], quantiles[:2], LEVELS
    )
    for ours, theirs in zip(
        metrics.calibration(unknown, quantiles, LEVELS),
        metrics.calibration(actual[:2], quantiles[:2], LEVELS),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)
    for measure in (metrics.rmsse, lambda *a: metrics.mase(*a, season=7)):
        found = measure(unknown, mean, history, first)
        assert found.value == pytest.approx(measure(actual[:2], mean[:2], history[:2], first[:2]).value)
        assert found.left_out == 1
    nothing = np.full((3, 6), np.nan)
    assert np.isnan(metrics.weighted_quantile_loss(nothing, quantiles, LEVELS))
    assert np.isnan(metrics.bias(nothing, mean))
    assert np.isnan(metrics.interval_coverage(nothing, quantiles, LEVELS))
    assert np.isnan(metrics.calibration(nothing, quantiles, LEVELS).below).all()


def test_a_period_of_the_history_that_nobody_knows_is_in_no_scale() -> None:
    history = np.array([[2, 4, np.nan, 9, 8]])
    # Differences of which both ends are known: 2 and -1.
    score = metrics.rmsse(np.array([[3.0]]), np.array([[0.0]]), history, np.array([0]))
    assert score.value == pytest.approx(3 / np.sqrt(2.5))
    score = metrics.mase(np.array([[3.0]]), np.array([[0.0]]), history, np.array([0]), season=3)
    assert score.value == pytest.approx(3 / np.mean([7, 4]))


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
