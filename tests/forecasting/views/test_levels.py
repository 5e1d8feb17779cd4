from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_shop import history_from, panel_of, sales

from recurra.forecasting.inputs import Inputs
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views.levels import MEMORIES, Levels


def seen(panel: Panel, typical: float = 3.0, *, marks: bool = False) -> Levels:
    """The view of a panel whose series are all of one typical size."""
    inputs = replace(Inputs.of(panel), marks=marks, typical=typical)
    view = history_from(panel, inputs=inputs).view
    assert isinstance(view, Levels)
    return view


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
    found = seen(panel, 7.5).averages
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_definition(panel.values, first, 7.5, MEMORIES[name]), rtol=1e-5)


def test_a_series_has_the_averages_it_has_alone() -> None:
    values = sales(5, 40)
    together, alone = seen(panel_of(values)), seen(panel_of(values[2:3]))
    np.testing.assert_array_equal(together.averages[2:3], alone.averages)


@pytest.mark.parametrize("name", ["yearly", "daily", "weekly"])
def test_what_a_phase_usually_sold_is_that_of_its_definition(name: str) -> None:
    values, first = sales(3, 60, seed=2), np.array([0, 5, 59])
    values[1] *= -1
    panel = panel_of(values, first, frequency=name, start="2001-01-01")
    season = FREQUENCIES[name].season
    found = seen(panel)
    level = found.averages[..., -1]
    for n, t in np.ndindex(3, 60):
        sold = [panel.values[n, k] for k in range(t, first[n] - 1, -season)]
        weights = (1 - 1 / 8.0) ** np.arange(len(sold))
        expected = ((weights * sold).sum() + level[n, t]) / (weights.sum() + 1)
        assert found.usual[n, t] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def marked(values: list[float], status: list[int]) -> Panel:
    return replace(panel_of([values]), status=np.array([status], np.uint8))


def test_a_missing_value_is_read_as_usual_and_counts_nowhere() -> None:
    sold, said = [4.0, 5.0, 6.0, 999.0, 5.0], [OBSERVED] * 3 + [MISSING, OBSERVED]
    found, without = seen(marked(sold, said)), seen(marked([4.0, 5.0, 6.0, 0.0, 5.0], said))
    np.testing.assert_array_equal(found.averages, without.averages)
    np.testing.assert_array_equal(found.averages[0, 3], found.averages[0, 2])
    assert found.read[0, 3] == found.averages[0, 2, -1]  # no Thursday was seen before: the level


def test_a_lower_bound_draws_nothing_down() -> None:
    """An empty shelf is no fallen demand; what was sold beyond the usual counts."""
    week = [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    empty = seen(marked([*week, 0.0], [OBSERVED] * 7 + [AT_LEAST]))
    assert empty.read[0, 7] == empty.usual[0, 0] + (empty.averages[0, 6, -1] - empty.averages[0, 0, -1]) / 2
    assert empty.averages[0, 7, 0] > 0.95 * empty.averages[0, 6, 0]
    more = seen(marked([*week, 25.0], [OBSERVED] * 7 + [AT_LEAST]))
    same = seen(marked([*week, 25.0], [OBSERVED] * 8))
    np.testing.assert_array_equal(more.averages, same.averages)


def test_what_is_told_of_a_period_is_that_of_its_definition() -> None:
    values, first = sales(3, 30, seed=4), np.array([0, 0, 12])
    found = seen(panel_of(values, first), marks=False)
    rows, time = np.array([2, 0]), np.array([[12, 20, 29], [0, 1, 29]])
    columns = found.columns(rows, time)
    assert columns.shape[2] == Levels.sizes(FREQUENCIES["daily"]).columns
    y, averages = found.read[rows[:, None], time], found.averages[rows[:, None], time].astype(np.float64)
    level = averages[..., -1]
    np.testing.assert_allclose(columns[..., 0], np.log1p(y / level), rtol=1e-5)
    np.testing.assert_array_equal(columns[..., 1], y > 0)
    np.testing.assert_allclose(columns[..., 2], 0.3 * np.log(level), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        columns[..., 3:], np.log(averages[..., :-1] / level[..., None]), rtol=1e-3, atol=1e-6
    )


def test_what_is_told_of_the_periods_ahead_is_what_their_phase_usually_sold() -> None:
    first = np.array([0, 20])
    found = seen(panel_of(sales(2, 30, seed=4), first))
    standing = found.at(np.array([0, 1]), np.array([[25], [22]]), 9)
    assert not standing.base.any()
    for row, origin in ((0, 25), (1, 22)):
        level = found.averages[row, origin, -1]
        assert standing.unit[row, 0] == level
        for h in range(9):
            t = origin - (origin - (origin + 1 + h)) % 7  # the last period of that weekday
            expected = np.log1p(found.usual[row, t] / level) if t >= first[row] else 0.0
            assert standing.ahead[row, 0, h, 0] == pytest.approx(expected, rel=1e-5)


def test_a_loss_weighs_as_the_root_of_the_level() -> None:
    found = seen(panel_of(sales(3, 30)))
    everywhere = found.weight(np.arange(3), np.tile(np.arange(30), (3, 1)))
    assert everywhere.mean() == pytest.approx(1, rel=1e-5)
    level = found.averages[..., -1]
    np.testing.assert_allclose(everywhere / everywhere[0, 0], np.sqrt(level / level[0, 0]), rtol=1e-5)
