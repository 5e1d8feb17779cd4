from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.production import (
    ProductionPlan,
    ProductionTerms,
    least_cost,
    plan_production,
    requirements,
)

DAYS = np.arange("2025-03-01", "2025-03-07", dtype="datetime64[D]").astype("datetime64[s]")


def solved(demand: Any, capacity: Any, **changes: Any) -> ProductionPlan:
    demand = np.atleast_2d(np.array(demand, dtype=np.float64))
    items, horizon = demand.shape
    settings: dict[str, Any] = {
        "capacity": np.broadcast_to(np.array(capacity, dtype=np.float64), horizon),
        "use": np.ones(items),
        "cost": np.zeros(items),
        "holding_cost": np.ones(items),
        "shortage_cost": None,
        "stock": np.zeros(items),
        "overtime": np.zeros(horizon),
    }
    terms = ProductionTerms(**(settings | changes))
    names = [f"item {n}" for n in range(items)]
    return least_cost(np.cumsum(demand, axis=1), names, DAYS[:horizon], terms)


def made(plan: ProductionPlan) -> list[float]:
    return [round(x, 6) for x in plan.frame["quantity"]]


def test_with_capacity_to_spare_everything_is_made_in_time() -> None:
    plan = solved([3, 0, 7, 5], 10)
    assert made(plan) == [3, 0, 7, 5]
    assert plan.cost == pytest.approx(0)


def test_a_peak_is_made_ahead_and_as_late_as_can_be() -> None:
    plan = solved([2, 2, 12, 3], 6)
    assert made(plan) == [4, 6, 6, 3]
    assert [round(x, 6) for x in plan.frame["stock"]] == [2, 6, 0, 0]
    assert plan.cost == pytest.approx(8)


def test_stock_at_the_start_is_used_first() -> None:
    assert made(solved([2, 2, 12, 3], 6, stock=np.array([5.0]))) == [0, 5, 6, 3]


def test_overtime_is_taken_where_it_is_cheaper_than_holding() -> None:
    plan = solved([0, 0, 0, 8], 6, overtime=np.full(4, 5.0), overtime_cost=0.5)
    assert made(plan) == [0, 0, 0, 8]
    assert plan.periods["overtime"].to_list() == pytest.approx([0, 0, 0, 2])
    dear = solved([0, 0, 0, 8], 6, overtime=np.full(4, 5.0), overtime_cost=3.0)
    assert made(dear) == [0, 0, 2, 6]


def test_a_level_load() -> None:
    plan = solved([0, 0, 10, 0], 10, change=2.0)
    assert np.abs(np.diff(plan.periods["load"])).max() <= 2 + 1e-6
    assert sum(made(plan)[:3]) >= 10 - 1e-5


def test_what_is_missing_costs_where_it_may_be_late() -> None:
    plan = solved([9, 1, 0], 5, shortage_cost=np.array([4.0]))
    assert plan.frame["backlog"].to_list() == pytest.approx([4, 0, 0])
    assert plan.cost == pytest.approx(16)


def test_items_share_the_capacity_by_what_they_take() -> None:
    plan = solved([[0, 4], [0, 4]], 8, use=np.array([2.0, 1.0]), holding_cost=np.array([1.0, 3.0]))
    load = plan.periods["load"].to_list()
    assert load == pytest.approx([4, 8])
    # 4 units of capacity are lacking on the second day: making 2 of the first item ahead is the cheapest.
    assert made(plan) == [2, 2, 0, 4]


def test_a_capacity_that_is_not_enough_says_where_and_how_much() -> None:
    message = r"at the least 5 more is needed, 5 on 2025-03-02.*shortage_cost"
    with pytest.raises(UsageError, match=message):
        solved([2, 15, 0], 6)
    with pytest.raises(UsageError, match=r"3 more is needed, 2 on 2025-03-01, 1 on 2025-03-02.*--change"):
        solved([5, 5, 0], [2, 9, 9], change=2.0, stock=np.array([1.0]))
    with pytest.raises(UsageError, match=r"more is needed, .*, .*, .* and 3 more periods"):
        solved([9] * 6, 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    capacity=st.floats(1, 60),
    change=st.one_of(st.none(), st.floats(0, 20)),
    overtime=st.floats(0, 10),
    late=st.booleans(),
)
def test_every_plan_keeps_its_limits(
    seed: int, capacity: float, change: float | None, overtime: float, late: bool
) -> None:
    generator = np.random.default_rng(seed)
    demand = generator.poisson(6, (3, 6))
    use = generator.uniform(0.5, 2, 3)
    try:
        plan = solved(
            demand, capacity, use=use, change=change, overtime=np.full(6, overtime), overtime_cost=1.0,
            shortage_cost=np.full(3, 5.0) if late else None,
        )  # fmt: skip
    except UsageError:
        assert not late
        return
    quantity, stock, backlog = (
        plan.frame[n].to_numpy().reshape(3, 6) for n in ("quantity", "stock", "backlog")
    )
    assert min(x.min() for x in (quantity, stock, backlog)) >= -1e-6
    np.testing.assert_allclose(np.cumsum(quantity - demand, axis=1), stock - backlog, atol=1e-5)
    load = use @ quantity
    assert (load <= capacity + plan.periods["overtime"].to_numpy() + 1e-5).all()
    assert (plan.periods["overtime"] <= overtime + 1e-6).all()
    if change is not None:
        assert np.abs(np.diff(load)).max() <= change + 1e-5
    if not late:
        assert backlog.max() <= 1e-6


def test_what_must_be_there_is_a_quantile_of_the_sum() -> None:
    paths = np.zeros((1, 100, 2))
    paths[0, :, 0] = np.arange(100)
    paths[0, :, 1] = 99 - np.arange(100)
    assert requirements(paths, np.array([0.9]), whole=True).tolist() == [[89, 99]]


def test_from_a_forecast_with_settings_of_items(fitted: Forecaster) -> None:
    table = pl.DataFrame({"unique_id": ["item 05"], "on_hand": [100_000], "capacity_use": [3.0]})
    plan = plan_production(fitted.forecast(), capacity=20_000, on_hand=table, service_level=0.9)
    assert plan.frame.columns == ["unique_id", "ds", "quantity", "required", "stock", "backlog"]
    assert plan.frame.filter(pl.col("unique_id") == "item 05")["quantity"].sum() == 0
    assert plan.periods.height == 5
    document = plan.as_dict()
    assert document["periods"][0].keys() == {"ds", "capacity", "load", "overtime", "backlog"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"capacity": -1}, "capacity does not fit"),
        ({"capacity": [1, 2]}, "one for each of the 5 periods"),
        ({"capacity": "much"}, "capacity does not fit"),
        ({"capacity": 9, "overtime": float("nan")}, "overtime does not fit"),
        ({"capacity": 9, "change": -1}, "change does not fit"),
        ({"capacity": 9, "capacity_use": 0}, "capacity_use does not fit"),
        ({"capacity": 9, "service_level": 1}, "service_level does not fit"),
    ],
)
def test_arguments_that_do_not_fit(fitted: Forecaster, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_production(fitted.forecast(), **asked)


def test_settings_of_items_that_do_not_fit(fitted: Forecaster) -> None:
    table = pl.DataFrame({"unique_id": ["item 01"], "on_hand": [0], "production_cost": [-2.0]})
    with pytest.raises(InputError, match="production_cost of item 'item 01' does not fit"):
        plan_production(fitted.forecast(), capacity=10, on_hand=table)
    table = pl.DataFrame({"unique_id": ["item 01"], "on_hand": [0], "shortage_cost": [2.0]})
    with pytest.raises(UsageError, match="item 'item 00' has no shortage_cost"):
        plan_production(fitted.forecast(), capacity=10, on_hand=table)
