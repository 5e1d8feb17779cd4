from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_shop import history_from, panel_of, sales

from recurra.forecasting.calendar import FREQUENCIES, calendar_features
from recurra.forecasting.history import MEMORIES, averages, history_of, typical_size, usual


def by_definition(
    values: np.ndarray, first: np.ndarray, typical: float, memories: tuple[float, ...]
) -> np.ndarray:
    """Each average as a weighted sum of all that came before, in float64."""
    found = np.empty((*values.shape, len(memories)))
    for n, row in enumerate(values):
        for t in range(len(row)):
            seen = np.abs(row[first[n] : t + 1]).astype(np.float64)
            ages = np.arange(len(seen))[::-1]
            for m, memory in enumerate(memories):
                weights = (1 - 1 / memory) ** ages
                found[n, t, m] = ((weights * seen).sum() + typical / 2) / (weights.sum() + 1)
    return found


@pytest.mark.parametrize("name", MEMORIES)
def test_averages_are_those_of_their_definition(name: str) -> None:
    values = sales(4, 30, seed=3)
    values[1] = 0
    values[2] *= -1000
    first = np.array([0, 3, 0, 29])
    panel = panel_of(values, first)
    found = averages(panel.values, first, 7.5, FREQUENCIES[name])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_definition(panel.values, first, 7.5, MEMORIES[name]), rtol=1e-5)


SALES = st.floats(-1e15, 1e15) | st.integers(0, 3).map(float)


@given(
    st.lists(st.lists(SALES, min_size=8, max_size=8), min_size=1, max_size=3),
    st.integers(0, 7),
    st.floats(1e-6, 1e12),
    st.sampled_from(sorted(MEMORIES)),
)
def test_averages_are_above_zero_finite_and_blind_to_the_future(
    rows: list[list[float]], t: int, typical: float, name: str
) -> None:
    values = np.array(rows, dtype=np.float32)
    first = np.arange(len(values)) % 3
    found = averages(values, first, typical, FREQUENCIES[name])
    assert np.isfinite(found).all()
    assert (found > 0).all()
    other = values.copy()
    other[:, t:] = 12345
    np.testing.assert_array_equal(averages(other, first, typical, FREQUENCIES[name])[:, :t], found[:, :t])


def test_a_series_has_the_averages_it_has_alone() -> None:
    values = sales(5, 40)
    together = averages(values, np.zeros(5, np.int64), 3.0, FREQUENCIES["daily"])
    alone = averages(values[2:3], np.zeros(1, np.int64), 3.0, FREQUENCIES["daily"])
    np.testing.assert_array_equal(together[2:3], alone)


def test_typical_size_is_the_median_of_what_series_sell() -> None:
    panel = panel_of([[1, 1, 1, 1], [0, 0, 6, 6], [0, 0, 0, 0], [100, 0, 0, -100]], first=[0, 2, 0, 0])
    assert typical_size(panel) == 6.0  # of 1, 6 and 50: nothing was sold of the third
    assert typical_size(panel_of(np.zeros((2, 5)))) == 1.0


def test_a_history_holds_the_calendar_of_the_horizon_too() -> None:
    panel = panel_of(sales(2, 10), [0, 4])
    history = history_of(panel, 3, 2.0, np.array([0, 7]))
    dates = np.datetime64("2023-01-02") + np.arange(13)
    np.testing.assert_array_equal(history.calendar, calendar_features(dates, panel.frequency))
    assert history.items.tolist() == [0, 7]
    assert history.first.tolist() == [0, 4]
    assert history.until.tolist() == [10, 10]
    np.testing.assert_array_equal(history.values, panel.values)
    assert history_from(panel, until=[5, 10]).until.tolist() == [5, 10]


@pytest.mark.parametrize("season", [1, 7, 52])
def test_what_a_phase_usually_sold_is_that_of_its_definition(season: int) -> None:
    values, first = sales(3, 60, seed=2), np.array([0, 5, 59])
    values[1] *= -1
    panel = panel_of(values, first)
    level = averages(panel.values, first, 3.0, FREQUENCIES["daily"])[..., -1]
    found = usual(panel.values, first, level, season)
    for n, t in np.ndindex(3, 60):
        seen = [panel.values[n, k] for k in range(t, first[n] - 1, -season)]
        weights = (1 - 1 / 8.0) ** np.arange(len(seen))
        expected = ((weights * seen).sum() + level[n, t]) / (weights.sum() + 1)
        assert found[n, t] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    short = usual(panel.values[:, :30], first, level[:, :30], season)
    np.testing.assert_array_equal(short, found[:, :30])  # blind to the future
