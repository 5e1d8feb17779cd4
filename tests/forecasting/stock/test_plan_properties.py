"""What every order plan keeps, whatever is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.stock.plan import plan_stock

ITEMS = 4
IDS = tuple("abcd")

lead_times = st.one_of(
    st.integers(0, 4),
    st.dictionaries(st.integers(0, 4), st.floats(0.1, 1), min_size=1, max_size=3),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
)
numbers = st.integers(1, 12)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    table = {
        "unique_id": IDS,
        "on_hand": draw(st.lists(st.integers(-5, 40), min_size=ITEMS, max_size=ITEMS)),
        "on_order": draw(st.lists(st.integers(0, 20), min_size=ITEMS, max_size=ITEMS)),
        "pack_size": draw(st.lists(numbers, min_size=ITEMS, max_size=ITEMS)),
        "minimum": draw(st.lists(st.integers(0, 30), min_size=ITEMS, max_size=ITEMS)),
        "price": draw(st.lists(st.floats(0.1, 9), min_size=ITEMS, max_size=ITEMS)),
        "shelf_life": draw(st.lists(st.one_of(st.none(), numbers), min_size=ITEMS, max_size=ITEMS)),
    }
    policy = draw(st.sampled_from(["periodic", "fixed-quantity", "min-max"]))
    return {
        "on_hand": pl.DataFrame(table, schema_overrides={"shelf_life": pl.Int64}),
        "lead_time": draw(lead_times),
        "review": draw(st.integers(1 if policy == "periodic" else 0, 4)),
        "service_level": draw(st.floats(0.3, 0.98)),
        "target": draw(st.sampled_from(["cycle", "fill", "costs"])),
        "policy": policy,
        "ordering_cost": draw(st.floats(0.1, 50)),
        "holding_cost": draw(st.floats(0.25, 1)),  # with less, costs ask for more paths than there are
        "shortage_cost": draw(st.floats(0.1, 10)),
    }


def paths_of(seed: int, items: int = ITEMS) -> np.ndarray[Any, Any]:
    rates = np.geomspace(0.05, 9, items)[:, None, None]
    return np.random.default_rng(seed).poisson(rates, (items, 300, 12)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), asked=questions(), budget=st.one_of(st.none(), st.floats(0, 300)))
def test_what_every_plan_keeps(seed: int, asked: dict[str, Any], budget: float | None) -> None:
    table = asked["on_hand"]
    frame = plan_stock(paths_of(seed), IDS, budget=budget, **asked).frame
    order = frame["order_quantity"].to_numpy()
    assert (order >= 0).all()
    assert (order % table["pack_size"].to_numpy() == 0).all()
    assert ((order == 0) | (order >= table["minimum"].to_numpy())).all()
    if budget is not None:
        assert order @ table["price"].to_numpy() <= budget * (1 + 1e-9)
        assert (frame["cut"] >= 0).all()
    for name in ("fill_rate", "stock_out_probability", "stock_out_after_order", "service_level"):
        assert frame[name].is_between(0, 1).all()
    assert (frame["stock_out_after_order"] <= frame["stock_out_probability"]).all()
    if "reorder_point" in frame.columns:
        assert (frame["reorder_point"] <= frame["order_up_to"]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), asked=questions())
def test_rows_of_items_do_not_touch(seed: int, asked: dict[str, Any]) -> None:
    paths = paths_of(seed)
    together = plan_stock(paths, IDS, **asked).frame
    for n, item in enumerate(IDS):
        mine = asked | {"on_hand": asked["on_hand"].filter(pl.col("unique_id") == item)}
        alone = plan_stock(paths[n : n + 1], [item], **mine).frame
        assert alone.row(0, named=True) == together.select(alone.columns).row(n, named=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), asked=questions(), more=st.floats(0.3, 0.98))
def test_more_service_never_means_a_lower_level(seed: int, asked: dict[str, Any], more: float) -> None:
    paths = paths_of(seed)
    low, high = sorted((asked["service_level"], more))
    levels = [
        plan_stock(paths, IDS, **(asked | {"service_level": level})).frame["order_up_to"]
        for level in (low, high)
    ]
    assert (levels[1] >= levels[0]).all()


def test_every_rule_is_named_where_it_changed_the_order() -> None:
    paths = np.full((1, 200, 10), 2.0)
    arguments: dict[str, Any] = {"lead_time": 1, "review": 4, "price": 1.0}
    cases = {
        "(R, S), cycle service level": {},
        "(R, S), fill rate": {"target": "fill"},
        "(R, S), newsvendor": {"target": "costs", "holding_cost": 1, "shortage_cost": 9},
        "(R, S), cycle service level; packs and minimum": {"pack_size": 7},
        "(R, S), cycle service level; shelf life": {"shelf_life": 2},
        "(R, S), cycle service level; budget": {"budget": 3.5},
        "(s, Q), cycle service level, EOQ": {
            "policy": "fixed-quantity", "ordering_cost": 4, "holding_cost": 1,
        },
        "(s, S), fill rate, EOQ": {
            "policy": "min-max", "target": "fill", "ordering_cost": 4, "holding_cost": 1,
        },
        "(s, Q), Federgruen & Zheng": {
            "policy": "fixed-quantity", "target": "costs", "ordering_cost": 4, "holding_cost": 1,
            "shortage_cost": 9,
        },
        "(s, S), Zheng & Federgruen": {
            "policy": "min-max", "target": "costs", "ordering_cost": 4, "holding_cost": 1, "shortage_cost": 9,
        },
    }  # fmt: skip
    for rule, asked in cases.items():
        plan = plan_stock(paths, ["a"], **(arguments | asked))
        assert plan.frame["rule"].to_list() == [rule]
    short = plan_stock(paths, ["a"], shelf_life=2, **arguments)
    assert short.frame["order_quantity"].item() == 6  # what sells in lead time and shelf life, 3 periods
    cut = plan_stock(paths, ["a"], budget=3.5, **arguments)
    assert (cut.frame["order_quantity"].item(), cut.frame["cut"].item()) == (3, 7)
    assert cut.notes == ("The budget of 3.5 cuts the orders of 1 item: 10.00 were wanted, 3.00 are ordered.",)


def test_a_reorder_point_orders_only_at_or_below_it() -> None:
    paths = np.full((3, 200, 8), 2.0)
    asked: dict[str, Any] = {"lead_time": 3, "ordering_cost": 4.0, "holding_cost": 1.0, "review": 0}
    stock = {"a": 7, "b": 6, "c": -3}
    for policy, orders in (("fixed-quantity", [0, 4, 12]), ("min-max", [0, 4, 13])):
        frame = plan_stock(paths, list("abc"), policy=policy, on_hand=stock, **asked).frame
        assert frame["reorder_point"].to_list() == [6, 6, 6]
        assert frame["order_up_to"].to_list() == [10, 10, 10]
        assert frame["order_quantity"].to_list() == orders


def test_a_longer_or_less_certain_lead_time_needs_more_stock() -> None:
    paths = np.random.default_rng(0).poisson(5, (1, 2000, 20))
    levels = [
        plan_stock(paths, ["a"], lead_time=lead, lead_time_sd=sd, review=1).frame["order_up_to"].item()
        for lead, sd in ((4, 0), (4, 1.5), (4, 3), (9, 3))
    ]
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_shelf_life_of_some_items_in_every_library(backend: str) -> None:
    table = {"unique_id": ["a"], "on_hand": [0], "shelf_life": [2]}
    plan = plan_stock(
        np.ones((2, 100, 4)), ["a", "b"], lead_time=1, review=2, service_level=0.9,
        on_hand=pl.DataFrame(table), backend=backend,
    )  # fmt: skip
    assert plan.items[1].shelf_life is None
