from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.replay import Played, empirical_levels, moving_average_levels, play


def played(demand: Any, level: float, **changes: Any) -> Played:
    demand = np.atleast_2d(np.array(demand, dtype=np.float64))
    settings: dict[str, Any] = {"lead_time": 1, "review": 1} | changes
    levels = np.full((-(-demand.shape[1] // settings["review"]), len(demand), 1), level)
    return play("rule", demand, levels, (0.9,), **settings)


def test_a_replay_by_hand() -> None:
    # Filled up to 5 every period, a period under way: after 3 are sold 2 stay, and 3 come before the next demand.
    result = played([3, 3, 3, 3, 3], 5)
    # Period by period 5 - 3 = 2; then 2 + 0 - 3 < 0: one is late; from then on 3 come, one of them for the late one.
    assert result.fill_rate[0] == pytest.approx(2 / 3)
    assert result.stock[0] == 0
    assert result.missing[0] == pytest.approx(1)
    assert result.cycle_service[0] == 0


def test_lost_sales_are_not_delivered_later() -> None:
    demand = [0, 0, 0, 9, 3, 0, 0, 0]
    late, lost = (played(demand, 6, lead_time=2, review=1, lost=lost) for lost in (False, True))
    assert late.fill_rate[0] == lost.fill_rate[0] == pytest.approx(0.5)
    assert late.missing[0] == lost.missing[0] == pytest.approx(6 / 5)
    # Late: of the 9 that come in period 6, 6 are owed. Lost: 6 come, and stay.
    assert late.stock[0] == pytest.approx((0 + 0 + 0 + 3 + 6) / 5)
    assert lost.stock[0] == pytest.approx((0 + 0 + 0 + 6 + 6) / 5)


def test_an_order_takes_its_lead_time() -> None:
    demand = [0, 0, 0, 6, 0, 0, 0, 0, 0, 0]
    # Sold out in period 3, ordered in 4, there in 4 + lead time; the last case begins to count in period 4.
    for lead_time, empty in ((0, 1), (1, 2), (2, 3), (3, 3)):
        result = played(demand, 6, lead_time=lead_time, review=1)
        counted = len(demand) - lead_time - 1
        assert result.stock[0] == pytest.approx(6 * (counted - empty) / counted)
        assert result.fill_rate[0] == 1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lead_time=st.integers(0, 4),
    review=st.integers(1, 4),
    lost=st.booleans(),
    levels=st.lists(st.integers(0, 60), min_size=2, max_size=4, unique=True).map(sorted),
)
def test_more_stock_never_delivers_less(
    seed: int, lead_time: int, review: int, lost: bool, levels: list[int]
) -> None:
    demand = np.random.default_rng(seed).poisson(5, (3, 20))
    grid = np.broadcast_to(np.array(levels, dtype=float), (20, 3, len(levels)))
    arguments: dict[str, Any] = {"lead_time": lead_time, "review": review, "lost": lost}
    result = play("rule", demand, grid, levels, **arguments)
    assert (np.diff(result.fill_rate) >= -1e-12).all()
    assert (np.diff(result.stock) >= -1e-12).all()
    assert ((result.fill_rate >= 0) & (result.fill_rate <= 1)).all()
    for n in range(3):  # an item's figures do not depend on the others
        alone = play("rule", demand[n : n + 1], grid[:, n : n + 1], levels, **arguments)
        assert (alone.stock <= result.stock + 1e-9).all()
    alone = [play("rule", demand[n : n + 1], grid[:, n : n + 1], levels, **arguments) for n in range(3)]
    np.testing.assert_allclose(sum(each.stock for each in alone), result.stock)
    np.testing.assert_allclose(sum(each.missing for each in alone), result.missing)


def test_a_demand_that_is_always_met_by_the_newsvendors_level() -> None:
    demand = np.random.default_rng(0).poisson(6, (400, 60))
    levels = np.full((60, 400, 1), float(np.quantile(np.random.default_rng(1).poisson(6 * 4, 100_000), 0.9)))
    result = play("rule", demand, levels, (0.9,), lead_time=3, review=1)
    # The level covers lead time + review in 90% of the cycles; whole pieces make it a little more.
    assert result.cycle_service[0] == pytest.approx(0.92, abs=0.02)


def test_the_stock_at_a_fill_rate_lies_between_those_played() -> None:
    two = (np.array([0.9, 0.99]), np.array([0.9, 0.98]), np.zeros(2), np.array([100.0, 300.0]), np.ones(2))
    result = Played("rule", *two)
    assert result.stock_at(0.94) == pytest.approx(200)
    assert math.isnan(result.stock_at(0.99))
    assert result.cost(2.0, 10.0).tolist() == [210, 610]


def test_the_usual_rules() -> None:
    values = np.array([[0, 0, 2, 4, 2, 4.0]])
    first = np.array([2])
    (levels,) = moving_average_levels(values, first, 4, (0.5, 0.975), 6, whole=False)
    assert levels.tolist() == pytest.approx([12, 12 + 1.959964 * np.std([2, 4, 2, 4], ddof=1) * 2])
    (levels,) = empirical_levels(values, first, 2, (0.5, 0.95), whole=True)
    assert levels.tolist() == [6, 6]
    assert empirical_levels(values, np.array([0]), 2, (0.3, 0.9), whole=True).tolist() == [[2, 6]]
    assert empirical_levels(values, np.array([5]), 2, (0.3,), whole=True).tolist() == [[6]]


def test_too_few_periods_or_levels() -> None:
    with pytest.raises(ValueError, match="too few"):
        played([1, 1], 3)
    with pytest.raises(ValueError, match="too few"):
        play("rule", np.ones((1, 9)), np.ones((2, 1, 1)), (0.9,), lead_time=1, review=2)
