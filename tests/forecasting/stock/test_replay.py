from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.stock.lead_times import LeadTime
from recurra.forecasting.stock.replay import Played, Supply, empirical_levels, moving_average_levels, play


def played(demand: Any, level: Any, *, lost: bool = False, **changes: Any) -> Played:
    """Play one item, or the rows of `demand`, against a level that stays."""
    demand = np.atleast_2d(np.array(demand, dtype=np.float64))
    settings = {name: changes.pop(name, 1) for name in ("lead_time", "review")}
    supply = replace(Supply.alike(*demand.shape, **settings), **changes)
    level = np.broadcast_to(np.reshape(level, (-1, 1)), (len(demand), 1)).astype(np.float64)
    return play("rule", demand, dict.fromkeys(range(demand.shape[1]), level), supply, lost=lost)


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
    grid = np.broadcast_to(np.array(levels, dtype=float), (3, len(levels)))
    supply = Supply.alike(3, 20, lead_time=lead_time, review=review)

    def run(rows: Any, supply: Supply) -> Played:
        each = dict.fromkeys(range(20), grid[rows])
        return play("rule", demand[rows], each, supply, lost=lost)

    result = run(slice(None), supply)
    assert (np.diff(result.fill_rate) >= -1e-12).all()
    assert (np.diff(result.stock) >= -1e-12).all()
    assert ((result.fill_rate >= 0) & (result.fill_rate <= 1)).all()
    # An item's figures do not depend on the others.
    one = Supply.alike(1, 20, lead_time=lead_time, review=review)
    alone = [run(slice(n, n + 1), one) for n in range(3)]
    np.testing.assert_allclose(sum(each.stock for each in alone), result.stock)
    np.testing.assert_allclose(sum(each.missing for each in alone), result.missing)


def test_a_demand_that_is_always_met_by_the_newsvendors_level() -> None:
    demand = np.random.default_rng(0).poisson(6, (400, 60))
    level = float(np.quantile(np.random.default_rng(1).poisson(6 * 4, 100_000), 0.9))
    result = played(demand, level, lead_time=3, review=1)
    # The level covers lead time + review in 90% of the cycles; whole pieces make it a little more.
    assert result.cycle_service[0] == pytest.approx(0.92, abs=0.02)


def test_the_stock_at_a_fill_rate_lies_between_those_played() -> None:
    fills, stocks = np.array([0.97, 0.9, 0.98]), np.array([900.0, 100.0, 300.0])
    result = Played("rule", fills, np.zeros(3), stocks, np.ones(3), np.ones(3))
    assert result.stock_at(0.94) == pytest.approx(
        200
    )  # the first one is the plan's, and no part of the curve
    assert math.isnan(result.stock_at(0.99))


def leads(*given: Any) -> list[LeadTime]:
    return [LeadTime.of(each) for each in given]


def test_the_usual_rules() -> None:
    values = np.array([[0, 0, 2, 4, 2, 4.0]])
    first, review = np.array([2]), np.array([1])
    shares = np.array([[0.5, 0.975]])
    (levels,) = moving_average_levels(values, first, leads(3), review, shares, 6, whole=False)
    assert levels.tolist() == pytest.approx([12, 12 + 1.959964 * np.std([2, 4, 2, 4], ddof=1) * 2])

    def empirical(shares: Any, first: int, lead: Any) -> list[float]:
        return empirical_levels(
            values, np.array([first]), leads(lead), review, np.array([shares]), whole=True
        ).tolist()[0]

    assert empirical((0.5, 0.95), 2, 1) == [6, 6]
    assert empirical((0.3, 0.9), 0, 1) == [2, 6]
    assert empirical((0.3,), 5, 1) == [6]


def test_the_usual_rules_with_an_uncertain_lead_time() -> None:
    values = np.array([[2, 4, 2, 4.0]])
    lead = LeadTime.of({1: 0.5, 3: 0.5})
    assert (lead.mean, lead.variance) == (2, 1)
    arguments: Any = (values, np.array([0]), [lead], np.array([1]))
    (levels,) = moving_average_levels(*arguments, np.array([[0.975]]), 4, whole=False)
    variance = 3 * np.var([2, 4, 2, 4], ddof=1) + 3**2 * 1
    assert levels.tolist() == pytest.approx([9 + 1.959964 * math.sqrt(variance)])
    # Sums of two periods 6, 6, 6 and of four 12: each length weighs a half.
    assert empirical_levels(*arguments, np.array([[0.49, 0.51]]), whole=True).tolist() == [[6, 12]]


def test_packs_and_least_orders() -> None:
    demand = [0, 0, 0, 5, 0, 0, 0, 0]
    plain, packs, least = (
        played(demand, 20, **changes)
        for changes in ({}, {"pack_size": np.array([6.0])}, {"minimum": np.array([9.0])})
    )
    # Five are sold in period 3; period 2 is the first that counts. The order comes in period 5.
    assert plain.stock[0] == pytest.approx((20 + 15 + 15 + 20 * 3) / 6)
    assert packs.stock[0] == pytest.approx((20 + 15 + 15 + 21 * 3) / 6)
    assert least.stock[0] == pytest.approx((20 + 15 + 15 + 24 * 3) / 6)


def test_costs_are_each_items_own() -> None:
    demand = np.array([[0, 0, 0, 3, 0], [0, 0, 0, 0, 9]])
    costs = {"holding_cost": np.array([1.0, 10.0]), "shortage_cost": np.array([100.0, 1000.0])}
    result = played(demand, [4, 2], **costs)
    # Counted are the periods 2, 3, 4: 4 + 1 + 1 and 2 + 2 + 0 are held, 7 of the second item are missing.
    assert result.cost[0] == pytest.approx((6 * 1 + 4 * 10 + 7 * 1000) / 3)
    assert result.stock[0] == pytest.approx(10 / 3)


def test_items_are_reviewed_in_their_own_time_and_orders_take_theirs() -> None:
    demand = np.zeros((2, 12))
    demand[:, 5] = 4
    supply = replace(Supply.alike(2, 12, lead_time=2, review=1), review=np.array([1, 4]), warm_up=4)
    level = np.full((2, 1), 6.0)
    result = play("rule", demand, dict.fromkeys(range(12), level), supply)
    # Ordered in period 6, there in 8; the other one is looked at in 8, and served in 10.
    assert result.stock[0] == pytest.approx((6 + 2 * 3 + 6 * 4 + 6 + 2 * 5 + 6 * 2) / 8)
    late = supply.lead_time.copy()
    late[0, 6] = 5  # this one order is slow, and one of the next period would overtake it
    result = play("rule", demand, dict.fromkeys(range(12), level), replace(supply, lead_time=late))
    assert result.stock[0] == pytest.approx((6 + 2 * 6 + 6 + 6 + 2 * 5 + 6 * 2) / 8)


def test_cycles_are_counted_from_arrival_to_arrival() -> None:
    # Orders arrive in the periods 1, 4, 7, 10, 13: of the cycles that end after the warm-up of 4, the first has a gap.
    demand = [0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]
    result = played(demand, 8, lead_time=1, review=3)
    assert result.cycle_service[0] == pytest.approx(2 / 3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lost=st.booleans())
def test_nothing_is_lost_or_made_on_the_way(seed: int, lost: bool) -> None:
    """Whatever the lead times and packs: what was there and what came is what was delivered and what is left."""
    generator = np.random.default_rng(seed)
    demand = generator.poisson(4, (3, 30)).astype(float)
    supply = replace(
        Supply.alike(3, 30, lead_time=0, review=1),
        review=generator.integers(1, 5, 3),
        lead_time=generator.integers(0, 6, (3, 30)),
        pack_size=generator.choice([0.0, 1.0, 6.0], 3),
        minimum=generator.choice([0.0, 10.0], 3),
        warm_up=0,
    )
    levels = {t: generator.integers(0, 40, (3, 1)).astype(float) for t in range(30)}
    result = play("rule", demand, levels, supply, lost=lost)
    assert 0 <= result.fill_rate[0] <= 1
    assert result.fill_rate[0] == pytest.approx(1 - 30 * result.missing[0] / demand.sum())
    assert result.stock[0] >= 0
    plenty = play("rule", demand, {t: np.full((3, 1), 1e6) for t in range(30)}, supply, lost=lost)
    assert (plenty.fill_rate[0], plenty.missing[0]) == (1, 0)


def test_too_few_periods_or_levels() -> None:
    with pytest.raises(ValueError, match="too few"):
        played([1, 1], 3)
    with pytest.raises(ValueError, match="too few"):
        play("rule", np.ones((1, 9)), {}, Supply.alike(1, 9, lead_time=1, review=2))
