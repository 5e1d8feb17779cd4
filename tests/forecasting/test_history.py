from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_shop import history_from, panel_of, sales

from recurra.forecasting.history import MEMORIES, History, Running, history_of
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.sales.calendar import FREQUENCIES, calendar_features
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED, Covariates
from recurra.forecasting.sales.data import Panel


def history(
    panel: Panel, typical: float = 3.0, *, marks: bool = False, running: Running | None = None
) -> History:
    """The history of a panel whose series are all of one typical size."""
    inputs = replace(Inputs.of(panel), marks=marks, typical=typical)
    items = len(panel.ids)
    who = inputs.who(panel, np.arange(1, items + 1), items)
    return history_of(panel, 5, inputs, who, items, running=running)


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
    panel = panel_of(values, first, frequency=name, start="2001-01-01")
    found = history(panel, 7.5).averages
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_definition(panel.values, first, 7.5, MEMORIES[name]), rtol=1e-5)


SALES = st.floats(-1e15, 1e15) | st.integers(0, 3).map(float)


@given(
    st.lists(st.lists(SALES, min_size=8, max_size=8), min_size=1, max_size=3),
    st.integers(0, 7),
    st.floats(1e-6, 1e12),
    st.sampled_from(sorted(MEMORIES)),
    st.data(),
)
def test_what_is_read_is_finite_and_blind_to_the_future(
    rows: list[list[float]], t: int, typical: float, name: str, data: st.DataObject
) -> None:
    values = np.array(rows, dtype=np.float32)
    first = np.arange(len(values)) % 3
    panel = panel_of(values, first, frequency=name, start="2001-01-01")
    said = st.sampled_from([OBSERVED, AT_LEAST, MISSING])
    status = data.draw(st.lists(said, min_size=values.size, max_size=values.size))
    panel = replace(panel, status=np.array(status, np.uint8).reshape(values.shape))
    found = history(panel, typical, marks=True)
    assert np.isfinite(found.averages).all()
    assert (found.averages > 0).all()
    assert np.isfinite(found.read).all()
    other = replace(panel, values=panel.values.copy())
    other.values[:, t:] = 12345
    changed = history(other, typical, marks=True)
    for each in ("averages", "read", "usual"):
        np.testing.assert_array_equal(getattr(changed, each)[:, :t], getattr(found, each)[:, :t])


def test_a_series_has_the_averages_it_has_alone() -> None:
    values = sales(5, 40)
    together, alone = history(panel_of(values)), history(panel_of(values[2:3]))
    np.testing.assert_array_equal(together.averages[2:3], alone.averages)


def test_a_history_holds_the_calendar_of_the_horizon_too() -> None:
    panel = panel_of(sales(2, 10), [0, 4])
    found = history_from(panel, 3)
    dates = np.datetime64("2023-01-02") + np.arange(13)
    np.testing.assert_array_equal(found.calendar, calendar_features(dates, panel.frequency))
    assert found.codes.tolist() == [[1], [2]]
    assert found.first.tolist() == [0, 3]  # from the period before on, which is missing
    assert found.status is not None
    assert np.argwhere(found.status == MISSING).tolist() == [[1, 3]]
    assert found.until.tolist() == [10, 10]
    np.testing.assert_array_equal(found.values, panel.values)
    assert history_from(panel, until=[5, 10]).until.tolist() == [5, 10]


@pytest.mark.parametrize("name", ["yearly", "daily", "weekly"])
def test_what_a_phase_usually_sold_is_that_of_its_definition(name: str) -> None:
    values, first = sales(3, 60, seed=2), np.array([0, 5, 59])
    values[1] *= -1
    panel = panel_of(values, first, frequency=name, start="2001-01-01")
    season = FREQUENCIES[name].season
    found = history(panel)
    level = found.averages[..., -1]
    for n, t in np.ndindex(3, 60):
        seen = [panel.values[n, k] for k in range(t, first[n] - 1, -season)]
        weights = (1 - 1 / 8.0) ** np.arange(len(seen))
        expected = ((weights * seen).sum() + level[n, t]) / (weights.sum() + 1)
        assert found.usual[n, t] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def marked(values: list[float], status: list[int]) -> Panel:
    return replace(panel_of([values]), status=np.array([status], np.uint8))


def test_a_missing_value_is_read_as_usual_and_counts_nowhere() -> None:
    sold, said = [4.0, 5.0, 6.0, 999.0, 5.0], [OBSERVED] * 3 + [MISSING, OBSERVED]
    found, without = history(marked(sold, said)), history(marked([4.0, 5.0, 6.0, 0.0, 5.0], said))
    np.testing.assert_array_equal(found.averages, without.averages)
    np.testing.assert_array_equal(found.averages[0, 3], found.averages[0, 2])
    assert found.read[0, 3] == found.averages[0, 2, -1]  # no Thursday was seen before: the level
    assert found.values[0, 3] == 999.0


def test_a_lower_bound_draws_nothing_down() -> None:
    """An empty shelf is no fallen demand; what was sold beyond the usual counts."""
    week = [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    empty = history(marked([*week, 0.0], [OBSERVED] * 7 + [AT_LEAST]))
    assert empty.read[0, 7] == empty.usual[0, 0] + (empty.averages[0, 6, -1] - empty.averages[0, 0, -1]) / 2
    assert empty.averages[0, 7, 0] > 0.95 * empty.averages[0, 6, 0]
    more = history(marked([*week, 25.0], [OBSERVED] * 7 + [AT_LEAST]))
    same = history(marked([*week, 25.0], [OBSERVED] * 8))
    np.testing.assert_array_equal(more.averages, same.averages)


def along(panel: Panel, generator: np.random.Generator) -> Panel:
    """The panel with a price and a promotion known five periods ahead, visitors counted, and a size."""
    series, periods = panel.values.shape
    return replace(
        panel,
        covariates=Covariates(
            measures={"size": np.arange(series, dtype=np.float32)},
            past={"visitors": generator.gamma(2, 50, (series, periods)).astype(np.float32)},
            future={
                "price": generator.gamma(9, 1, (series, periods + 5)).astype(np.float32),
                "promotion": (generator.random((series, periods + 5)) < 0.2).astype(np.float32),
            },
        ),
    )


def test_what_goes_along_stands_beside_and_ahead() -> None:
    panel = along(panel_of(sales(3, 30), [0, 0, 9]), np.random.default_rng(0))
    found = history(panel, marks=True)
    rows, time = np.array([2, 0]), np.array([[8, 9, 29], [0, 1, 2]])
    beside = found.beside(rows, time)
    calendar = found.calendar.shape[1]
    assert beside.shape == (2, 3, calendar + found.inputs.beside)
    scales = {**found.inputs.past, **found.inputs.future}
    numbers = {**panel.covariates.past, **panel.covariates.future}
    for place, (name, scale) in enumerate(scales.items()):
        scaled = (numbers[name][rows[:, None], time] - scale.mean) / scale.deviation
        np.testing.assert_allclose(beside[..., calendar + 2 + place], scaled, rtol=1e-5, atol=1e-6)
    assert scales["promotion"].flag
    assert beside[0, :, calendar + 1].tolist() == [1, 0, 0]
    # The price beside its average over the last 56 days, from the series' beginning on.
    price = found.numbers[2, 8:10, 1]
    decay = 1 - 1 / MEMORIES["daily"][-1]
    average = (decay * price[0] + price[1]) / (decay + 1)
    assert beside[0, 1, calendar + 6] == pytest.approx(price[1] - average, rel=1e-4)
    ahead = found.ahead(rows, np.array([[29], [2]]), 5)
    assert ahead.shape == (2, 1, 5, calendar + found.inputs.ahead + 1)
    np.testing.assert_array_equal(ahead[0, 0, :, calendar], found.numbers[2, 30:35, 1])
    np.testing.assert_allclose(
        ahead[0, 0, :, calendar + 2], found.numbers[2, 30:35, 1] - found.number_averages[2, 29, 1], rtol=1e-5
    )


@given(st.integers(1, 29), st.integers(0, 99))
def test_a_history_that_goes_on_is_that_of_the_whole(cut: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    panel = along(panel_of(sales(3, 30, seed), [0, 0, 0]), generator)
    status = generator.choice([0, 0, 0, 1, 2], panel.values.shape).astype(np.uint8)
    panel = replace(panel, status=status)
    whole = history(panel, marks=True)
    before = history(panel.until(cut), marks=True)
    rest = replace(
        panel,
        values=panel.values[:, cut:],
        status=status[:, cut:],
        dates=panel.dates[cut:],
        covariates=Covariates(
            measures=panel.covariates.measures,
            past={name: each[:, cut:] for name, each in panel.covariates.past.items()},
            future={name: each[:, cut:] for name, each in panel.covariates.future.items()},
        ),
    )
    inputs, who = whole.inputs, before.inputs.who(panel, np.arange(1, 4), 3)
    after = history_of(rest, 5, inputs, who, 3, running=before.running)
    if before.inputs != inputs:  # scales are of what was seen: those of the whole here
        before = history_of(panel.until(cut), 5, inputs, who, 3)
        after = history_of(rest, 5, inputs, who, 3, running=before.running)
    for name in ("averages", "usual", "read", "number_averages"):
        np.testing.assert_array_equal(getattr(after, name), getattr(whole, name)[:, cut:])
    for name, array in after.running.as_dict().items():
        np.testing.assert_array_equal(array, whole.running.as_dict()[name])
