from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.error_costs import error_cost

LEVELS = np.array([0.1, 0.5, 0.9])


def test_the_cost_of_a_worked_example() -> None:
    # Ratios 0.9 and 0.5: 9 and 5 are held. Demands 4 and 12 leave 5 and lack 3; 7 and an unknown one lack 2.
    quantiles = Quantiles(LEVELS, np.array([[[1, 5, 9]] * 2, [[1, 5, 9]] * 2], dtype=float), 0.0)
    actual = np.array([[4, 12], [7, np.nan]])
    cost = error_cost("a", actual, quantiles, np.array([1.0, 2.0]), np.array([9.0, 2.0]), whole=True)
    assert (cost.left, cost.missing, cost.sales) == (5, 5, 23)
    assert (cost.holding, cost.shortage) == (5 * 1, 3 * 9 + 2 * 2)
    assert cost.total == 36
    assert cost.per_unit == pytest.approx(36 / 23)
    assert cost.row() == {
        **{"name": "a", "holding": 5.0, "shortage": 31.0, "left": 5.0, "missing": 5.0, "sales": 23.0},
        **{"total": 36.0, "per_unit": 36 / 23},
    }


def test_who_knew_the_demand_pays_nothing() -> None:
    actual = np.random.default_rng(0).poisson(4, (5, 7)).astype(float)
    knowing = Quantiles(LEVELS, np.repeat(actual[..., None], 3, axis=2), 0.0)
    cost = error_cost("b", actual, knowing, np.full(5, 0.3), np.full(5, 7.0), whole=True)
    assert cost.total == cost.per_unit == 0


def test_the_cost_is_the_weighed_pinball_loss_at_the_items_own_ratio() -> None:
    generator = np.random.default_rng(1)
    actual = generator.gamma(2, 3, (4, 6))
    quantiles = Quantiles(LEVELS, np.sort(generator.gamma(2, 3, (4, 6, 3)), axis=-1), 0.0)
    holding, shortage = np.array([1.0, 1.0, 9.0, 1.0]), np.array([9.0, 1.0, 1.0, 1.0])
    cost = error_cost("c", actual, quantiles, holding, shortage, whole=False)
    at = np.take_along_axis(quantiles.values, np.array([2, 1, 0, 1])[:, None, None], -1)[..., 0]
    ratio = (shortage / (shortage + holding))[:, None]
    error = actual - at
    pinball = np.maximum(ratio * error, (ratio - 1) * error)
    assert cost.total == pytest.approx((pinball * (holding + shortage)[:, None]).sum())


def test_the_right_forecast_costs_least_in_the_mean() -> None:
    generator = np.random.default_rng(2)
    levels = np.linspace(0.01, 0.99, 99)
    truth = np.broadcast_to(np.quantile(generator.gamma(2, 3, 100_000), levels), (300, 30, 99))
    actual = generator.gamma(2, 3, (300, 30))
    costs = [
        error_cost("d", actual, Quantiles(levels, values, 0.0), np.ones(300), np.full(300, 5.0), whole=False)
        for values in (truth, truth * 0.7, truth * 1.3, truth + 2)
    ]
    assert all(costs[0].total < other.total for other in costs[1:])


def test_nothing_sold_has_no_cost_for_a_unit() -> None:
    cost = error_cost(
        "e", np.zeros((1, 2)), Quantiles(LEVELS, np.zeros((1, 2, 3)), 0.0), np.ones(1), np.ones(1), whole=True
    )
    assert cost.total == 0
    assert math.isnan(cost.per_unit)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), whole=st.booleans(), factor=st.floats(0.01, 100))
def test_costs_grow_with_their_prices_and_returns_are_no_demand(
    seed: int, whole: bool, factor: float
) -> None:
    generator = np.random.default_rng(seed)
    actual = np.rint(generator.normal(3, 5, (3, 4)))
    quantiles = Quantiles(LEVELS, np.sort(generator.normal(3, 5, (3, 4, 3)), axis=-1))
    holding, shortage = generator.uniform(0.1, 9, 3), generator.uniform(0.1, 9, 3)
    one = error_cost("f", actual, quantiles, holding, shortage, whole=whole)
    assert one.total == pytest.approx(
        error_cost("f", np.maximum(actual, 0), quantiles, holding, shortage, whole=whole).total
    )
    dearer = error_cost("f", actual, quantiles, holding * factor, shortage * factor, whole=whole)
    assert dearer.total == pytest.approx(one.total * factor)
    assert min(one.holding, one.shortage, one.left, one.missing) >= 0
