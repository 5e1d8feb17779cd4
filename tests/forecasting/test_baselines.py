from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.baselines import same_season_quantiles, seasonal_naive_quantiles

LEVELS = (0.1, 0.5, 0.9)


def loop_same_season(series: np.ndarray, horizon: int, season: int, last: int) -> np.ndarray:
    """One series without its leading zeros, straight from the definition."""
    rows = []
    for step in range(1, horizon + 1):
        phase = (len(series) + step - 1) % season
        same = [y for t, y in enumerate(series) if t % season == phase][-last:]
        rows.append(same if len(same) == last else (list(series[-last:]) or [0.0]))
    return np.array([[*np.quantile(row, LEVELS), np.mean(row)] for row in rows])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 80),
    season=st.integers(1, 8),
    horizon=st.integers(1, 20),
    last=st.integers(1, 8),
)
def test_same_season_quantiles_equal_their_definition(
    seed: int, length: int, season: int, horizon: int, last: int
) -> None:
    generator = np.random.default_rng(seed)
    first = generator.integers(0, length + 1, 4)
    values = generator.poisson(3, (4, length)) * (np.arange(length) >= first[:, None])
    quantiles, mean = same_season_quantiles(values, first, horizon, season, LEVELS, last)
    for row, start in enumerate(first):
        # The definition counts phases from the end of the history, so its start does not matter.
        expected = loop_same_season(values[row, start:].astype(float), horizon, season, last)
        np.testing.assert_allclose(quantiles[row], expected[:, :3], atol=1e-12)
        np.testing.assert_allclose(mean[row], expected[:, 3], atol=1e-12)


def test_same_season_follows_the_weekday() -> None:
    values = np.tile(np.arange(7.0), 10)[None, :68]  # ends on phase 4
    quantiles, mean = same_season_quantiles(values, np.array([0]), 9, 7, LEVELS)
    np.testing.assert_allclose(mean[0], [5, 6, 0, 1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(quantiles[0, :, 0], quantiles[0, :, 2])


def test_seasonal_naive_of_a_worked_example() -> None:
    # Season 2, differences over one season: 2, 0, 4; over two seasons (steps 3 and 4): 6.
    values, first = np.array([[0.0, 1, 5, 3, 5, 7]]), np.array([1])
    quantiles, mean = seasonal_naive_quantiles(values, first, 4, 2, (0.0, 0.5, 1.0))
    np.testing.assert_allclose(mean, [[5, 7, 5, 7]])
    np.testing.assert_allclose(quantiles[0, 0], [5, 7, 9])
    np.testing.assert_allclose(quantiles[0, 1], [7, 9, 11])
    np.testing.assert_allclose(quantiles[0, 2], [11, 11, 11])


def test_seasonal_naive_never_goes_below_zero_unless_asked() -> None:
    values = np.array([[9.0, 0, 0, 9, 0, 0, 9, 0, 1, 0]])
    floored, _ = seasonal_naive_quantiles(values, np.array([0]), 3, 1, LEVELS)
    free, _ = seasonal_naive_quantiles(values, np.array([0]), 3, 1, LEVELS, nonnegative=False)
    assert floored.min() == 0
    assert free.min() < 0
    np.testing.assert_allclose(floored, np.maximum(free, 0))


def test_a_series_younger_than_a_season_repeats_its_last_value() -> None:
    values = np.array([[0.0, 0, 0, 0, 0, 0, 3, 4]])
    quantiles, mean = seasonal_naive_quantiles(values, np.array([6]), 3, 7, LEVELS)
    np.testing.assert_allclose(mean, [[4, 4, 4]])
    np.testing.assert_allclose(quantiles, 4)


def test_a_series_that_has_not_started_is_forecast_as_zero() -> None:
    values, first = np.zeros((1, 5)), np.array([5])
    for baseline in (seasonal_naive_quantiles, same_season_quantiles):
        quantiles, mean = baseline(values, first, 4, 2, LEVELS)
        assert quantiles.shape == (1, 4, 3)
        assert (quantiles == 0).all()
        assert (mean == 0).all()


def test_the_spread_of_seasonal_naive_is_calibrated_on_noise() -> None:
    noise = np.random.default_rng(5).normal(50, 5, (300, 107))
    quantiles, _ = seasonal_naive_quantiles(noise[:, :100], np.zeros(300, dtype=int), 7, 7, LEVELS)
    inside = (noise[:, 100:] >= quantiles[..., 0]) & (noise[:, 100:] <= quantiles[..., 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.04)


def test_shapes_and_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="want"):
        same_season_quantiles(np.zeros((2, 0)), np.zeros(2), 1, 1, LEVELS)
    with pytest.raises(ValueError, match="at least 1"):
        seasonal_naive_quantiles(np.zeros((1, 3)), np.zeros(1), 0, 1, LEVELS)
    with pytest.raises(ValueError, match="last"):
        same_season_quantiles(np.zeros((1, 3)), np.zeros(1), 1, 1, LEVELS, last=0)
