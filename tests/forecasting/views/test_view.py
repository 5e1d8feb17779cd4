"""What holds of every view of sales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import history_from, panel_of, sales

from recurra.forecasting.history import VIEWS
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views.view import View

SALES = st.floats(-1e15, 1e15) | st.integers(0, 3).map(float)
EVERY = pytest.mark.parametrize("name", VIEWS)


def seen(panel: Panel, name: str, typical: float = 3.0, *, marks: bool = True) -> View:
    """The view of a panel whose series are all of one typical size."""
    return history_from(panel, inputs=replace(Inputs.of(panel, view=name), marks=marks, typical=typical)).view


def everywhere(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """All series and periods."""
    series, length = panel.values.shape
    return np.arange(series), np.tile(np.arange(length), (series, 1))


@settings(max_examples=60)
@given(
    st.lists(st.lists(SALES, min_size=8, max_size=8), min_size=1, max_size=3),
    st.integers(0, 7),
    st.floats(1e-6, 1e12),
    st.sampled_from(sorted(FREQUENCIES)),
    st.sampled_from(sorted(VIEWS)),
    st.data(),
)
def test_what_is_told_is_finite_and_blind_to_the_future(
    values: list[list[float]], t: int, typical: float, frequency: str, name: str, data: st.DataObject
) -> None:
    first = np.arange(len(values)) % 3
    panel = panel_of(values, first, frequency=frequency, start="2001-01-01")
    said = st.sampled_from([OBSERVED, AT_LEAST, MISSING])
    status = data.draw(st.lists(said, min_size=panel.values.size, max_size=panel.values.size))
    panel = replace(panel, status=np.array(status, np.uint8).reshape(panel.values.shape))
    other = replace(panel, values=panel.values.copy())
    other.values[:, t:] = 12345
    (rows, time), found, changed = everywhere(panel), seen(panel, name, typical), seen(other, name, typical)
    standing, later = found.at(rows, time, 9), changed.at(rows, time[:, :t], 9)
    told = (
        found.read,
        found.columns(rows, time),
        *standing,
        found.weight(rows, time),
        found.worth(rows, time),
    )
    assert all(np.isfinite(each).all() and each.dtype == np.float32 for each in told)
    begun = time >= np.maximum(first - 1, 0)[:, None]
    assert (standing.unit[begun] > 0).all()
    assert (found.weight(rows, time)[begun] > 0).all()
    np.testing.assert_array_equal(changed.read[:, :t], found.read[:, :t])
    np.testing.assert_array_equal(changed.columns(rows, time[:, :t]), found.columns(rows, time[:, :t]))
    for ours, theirs in zip(later, standing, strict=True):
        np.testing.assert_array_equal(ours, theirs[:, :t])


@EVERY
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_the_end_is_where_the_last_period_leads(name: str, frequency: str) -> None:
    """What is carried on alone says what the whole history says, with a horizon of more than a season."""
    panel = panel_of(sales(4, 60) + 1, [0, 3, 40, 57], frequency=frequency, start="2001-01-01")
    found = seen(panel, name)
    here = found.at(np.arange(4), np.full((4, 1), 59), 30)
    for one, other in zip(found.at_end(30), here, strict=True):
        np.testing.assert_allclose(one, other[:, 0], rtol=1e-6, atol=1e-6)


@EVERY
def test_sizes_are_those_of_what_is_told(name: str) -> None:
    for rhythm in FREQUENCIES:
        panel = panel_of(sales(2, 9), frequency=rhythm, start="2001-01-01")
        sizes, (rows, time), found = VIEWS[name].sizes(panel.frequency), everywhere(panel), seen(panel, name)
        standing = found.at(rows, time, 4)
        assert found.columns(rows, time).shape == (2, 9, sizes.columns)
        assert standing.place.shape == (2, 9, sizes.place)
        assert standing.ahead.shape == (2, 9, 4, sizes.ahead)


@EVERY
def test_a_series_is_seen_as_it_is_alone(name: str) -> None:
    panel = panel_of(sales(5, 40), [0, 0, 7, 0, 30])
    together, (rows, time) = seen(panel, name), everywhere(panel)
    for row in range(5):
        alone = seen(panel.select(panel.ids[row : row + 1]), name)
        np.testing.assert_array_equal(
            alone.columns(np.zeros(1, np.int64), time[:1]), together.columns(rows, time)[row : row + 1]
        )


@EVERY
def test_what_was_answered_is_what_was_sold(name: str) -> None:
    panel = panel_of(sales(3, 40) + 1)
    standing = seen(panel, name).at(np.arange(3), np.full((3, 1), 30), 5)
    sold = panel.values[:, None, 31:36]
    np.testing.assert_allclose(standing.sold(standing.units(sold)[..., None])[..., 0], sold, rtol=1e-5)
