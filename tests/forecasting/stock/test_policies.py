from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.stock import policies


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), target=st.floats(0.3, 0.995), whole=st.booleans())
def test_the_fill_rate_level_is_the_least_that_reaches_its_target(
    seed: int, target: float, whole: bool
) -> None:
    generator = np.random.default_rng(seed)
    draw = generator.poisson if whole else lambda mean, size: generator.gamma(2, mean / 2, size)
    before, more = draw(6, 200), draw(9, 200)
    until = before + more
    level = policies.fill_rate_level(before, until, target, whole=whole)
    assert policies.fill_rate(before, until, level) >= target
    step = 1 if whole else 1e-3
    assert level == 0 or policies.fill_rate(before, until, level - step) < target


def test_a_worked_fill_rate() -> None:
    # Of 10 + 10 pieces, 8 in the window are on the shelf in the first future, all in the second.
    before, until = np.array([5.0, 5.0]), np.array([15.0, 15.0])
    assert policies.fill_rate(before, until, 13) == pytest.approx(0.8)
    assert policies.fill_rate(before, until, 3) == 0
    assert policies.fill_rate(before, before, 3) == 1


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 500), st.floats(0.1, 500), st.floats(0.01, 50))
def test_the_economic_quantity_is_the_cheapest(rate: float, ordering: float, holding: float) -> None:
    def cost(quantity: float) -> float:
        return ordering * rate / quantity + holding * quantity / 2

    exact = policies.economic_quantity(rate, ordering, holding, whole=False)
    assert exact == pytest.approx(math.sqrt(2 * ordering * rate / holding))
    pieces = policies.economic_quantity(rate, ordering, holding, whole=True)
    assert pieces % 1 == 0
    assert cost(pieces) <= cost(pieces + 1) * (1 + 1e-12)
    assert pieces == 1 or cost(pieces) <= cost(pieces - 1) * (1 + 1e-12)


@pytest.mark.parametrize("ordering", [1.0, 20.0, 300.0])
def test_point_and_quantity_are_the_cheapest_of_all(ordering: float) -> None:
    demand = np.random.default_rng(1).poisson(20, 4000)
    rate, holding, missing = 5.0, 1.0, 6.0

    levels = np.arange(1, 120)[:, None]
    costs = (holding * np.maximum(levels - demand, 0) + missing * np.maximum(demand - levels, 0)).mean(axis=1)

    def cost(point: int, lot: int) -> float:
        return float((ordering * rate + costs[point : point + lot].sum()) / lot)

    found = policies.cheapest_point_and_quantity(demand, rate, ordering, holding, missing, whole=True)
    best = min((cost(point, lot), point, lot) for point in range(0, 32) for lot in range(1, 75))
    assert found == best[1:]


@pytest.mark.parametrize("ordering", [0.0, 5.0, 64.0])
def test_min_and_max_are_the_cheapest_in_a_long_simulation(ordering: float) -> None:
    generator = np.random.default_rng(2)
    period = generator.poisson(4, 4000)
    found = policies.cheapest_min_max(period, period, ordering, 1.0, 9.0, whole=True)

    def cost(low: float, high: float) -> float:
        stock, total = np.full(400, high), 0.0
        stream = np.random.default_rng(3)
        for _ in range(400):
            due = stock <= low
            stock = np.where(due, high, stock) - stream.poisson(4, 400)
            total += ordering * due.mean() + np.maximum(stock, 0).mean() + 9 * np.maximum(-stock, 0).mean()
        return total

    best = cost(*found)
    for low in (-2, -1, 0, 1, 2):
        for high in (-4, -2, -1, 0, 1, 2, 4):
            if (low or high) and found[0] + low < found[1] + high:
                assert cost(found[0] + low, found[1] + high) > best * 0.995


def test_no_demand_needs_no_stock() -> None:
    nothing = np.zeros(50)
    assert policies.cheapest_min_max(nothing, nothing, 5.0, 1.0, 9.0, whole=True) == (-1, 0)
    assert policies.cheapest_point_and_quantity(nothing, 0.0, 5.0, 1.0, 9.0, whole=True)[0] <= 0
    assert policies.fill_rate_level(nothing, nothing, 0.9, whole=True) == 0


def test_large_and_rare_demand_keep_the_grid_small() -> None:
    generator = np.random.default_rng(4)
    for period in (generator.gamma(2, 1e7, 500), (generator.random(500) < 0.01) * 1e6):
        low, high = policies.cheapest_min_max(period, period, 100.0, 1.0, 9.0, whole=True)
        assert low < high
