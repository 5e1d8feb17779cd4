from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_shop import history_from, panel_of, sales

from recurra.forecasting.history import VIEWS, History, beginning, history_of
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.sales.calendar import calendar_features
from recurra.forecasting.sales.covariates import MISSING, Covariates
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views.levels import MEMORIES


def seen(panel: Panel, view: str) -> History:
    """The history of a panel whose series are all of one typical size."""
    return history_from(panel, inputs=replace(Inputs.of(panel, view=view), typical=3.0))


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
    found = seen(panel, "level")
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
    ahead = found.at(rows, np.array([[29], [2]]), 5).ahead
    assert ahead.shape == (2, 1, 5, calendar + found.inputs.ahead + 1)
    np.testing.assert_array_equal(ahead[0, 0, :, calendar], found.numbers[2, 30:35, 1])
    np.testing.assert_allclose(
        ahead[0, 0, :, calendar + 2], found.numbers[2, 30:35, 1] - found.number_averages[2, 29, 1], rtol=1e-5
    )


@given(st.integers(1, 29), st.integers(0, 99), st.sampled_from(sorted(VIEWS)))
def test_a_history_that_goes_on_is_that_of_the_whole(cut: int, seed: int, view: str) -> None:
    generator = np.random.default_rng(seed)
    panel = along(panel_of(sales(3, 30, seed), [0, 0, 0]), generator)
    status = generator.choice([0, 0, 0, 1, 2], panel.values.shape).astype(np.uint8)
    panel = replace(panel, status=status)
    whole = seen(panel, view)
    before = seen(panel.until(cut), view)
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
    assert type(after.view) is type(whole.view) is VIEWS[view]
    np.testing.assert_array_equal(after.number_averages, whole.number_averages[:, cut:])
    np.testing.assert_array_equal(after.view.read, whole.view.read[:, cut:])
    rows, time = np.arange(3), np.tile(np.arange(30 - cut), (3, 1))
    np.testing.assert_array_equal(after.columns(rows, time), whole.columns(rows, time + cut))
    assert after.running.keys() == whole.running.keys() == beginning(inputs, panel.frequency, 0).keys()
    for name, array in after.running.items():
        np.testing.assert_array_equal(array, whole.running[name], err_msg=name)
    for found, expected in zip(after.view.at_end(5), whole.view.at_end(5), strict=True):
        np.testing.assert_array_equal(found, expected)
