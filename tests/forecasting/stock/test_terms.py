from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.errors import InputError, UsageError
from recurra.forecasting.stock.lead_times import LeadTime
from recurra.forecasting.stock.plan import plan_stock
from recurra.forecasting.stock.terms import SETTINGS, StockTerms, item_terms

IDS = ("apple", "pear")


def read(table: Any = 0, *, whole: bool = True, **asked: Any) -> list[Any]:
    return item_terms(StockTerms(lead_time=2, on_hand=table, **asked), IDS, review=7, whole=whole)


def test_options_hold_for_all_items_and_columns_for_one() -> None:
    table = pl.DataFrame(
        {"unique_id": ["pear"], "on_hand": [0], "lead_time": [4], "pack_size": ["6"], "price": [None]}
    )
    apple, pear = read(table, pack_size=2, price=3.5)
    assert (apple.lead_time, apple.pack_size, apple.price, apple.review) == (LeadTime.of(2), 2, 3.5, 7)
    assert (pear.lead_time, pear.pack_size, pear.price, pear.review) == (LeadTime.of(4), 6, 3.5, 7)


def test_a_pandas_table_with_gaps_is_read() -> None:
    frame = pd.DataFrame({"unique_id": IDS, "on_hand": [1, 2], "shelf_life": [np.nan, 3]})
    assert [item.shelf_life for item in read(frame)] == [None, 3]


def test_uncertain_lead_times_of_an_item() -> None:
    table = pl.DataFrame({"unique_id": ["pear"], "on_hand": [0], "lead_time_sd": [1.0]})
    apple, pear = read(table)
    assert apple.lead_time.longest == 2
    assert pear.lead_time.longest > 3
    with pytest.raises(UsageError, match="lead_time_sd does not fit"):
        read(lead_time_sd=-1)


@pytest.mark.parametrize("name", list(SETTINGS))
@pytest.mark.parametrize("value", [-1.0, float("inf"), "many", True, [1]])
def test_a_setting_that_does_not_fit_is_named_with_its_item(name: str, value: object) -> None:
    table = pd.DataFrame({"unique_id": ["pear"], "on_hand": [0], name: [value]}, dtype=object)
    with pytest.raises(InputError, match=f"{name} of item 'pear' does not fit") as caught:
        read(table)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["pack_size", "minimum"])
def test_parts_of_a_piece_cannot_be_packed(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} does not fit \(found '1.5'\).*whole pieces"):
        read(**{name: 1.5})
    table = pl.DataFrame({"unique_id": ["pear"], "on_hand": [0], name: [2.5]})
    with pytest.raises(InputError, match=rf"column '{name}'.*whole pieces"):
        read(table)
    assert getattr(read(whole=False, **{name: 1.5})[0], name) == 1.5


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ({"target": "costs"}, "holding_cost"),
        ({"target": "costs", "holding_cost": 1}, "shortage_cost"),
        ({"policy": "min-max", "holding_cost": 1}, "ordering_cost"),
        ({"budget": 100}, "price"),
    ],
)
def test_what_a_plan_needs_is_asked_for(asked: dict[str, Any], missing: str) -> None:
    with pytest.raises(UsageError, match=f"needs the {missing} of every item, and item 'apple' has none"):
        read(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"policy": "weekly"}, "policy must be one of periodic, fixed-quantity, min-max"),
        ({"target": "profit"}, "target must be one of cycle, fill, costs"),
        ({"budget": -1}, "budget does not fit"),
        ({"shelf_life": 0}, "shelf_life does not fit"),
        ({"review": 0}, "review does not fit"),
    ],
)
def test_arguments_that_do_not_fit(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(**asked)


def test_the_item_whose_lead_time_is_too_long_for_the_forecast_is_named() -> None:
    table = pl.DataFrame({"unique_id": ["pear"], "on_hand": [0], "lead_time": [9]})
    with pytest.raises(UsageError, match=r"review of item 'pear' is 11 periods.*only 10.*--horizon 11"):
        plan_stock(np.ones((2, 500, 10)), IDS, lead_time=2, review=2, on_hand=table)


@pytest.mark.parametrize("name", ["holding_cost", "shortage_cost"])
def test_costs_of_items_by_a_mapping_or_a_frame(name: str) -> None:
    table = pl.DataFrame({"unique_id": ["pear", "apple"], "on_hand": [0, 0], name: [5.0, 6.0]})
    frame = pd.DataFrame({"unique_id": ["pear"], name: [3]})
    for given in ({"pear": 3}, frame):
        apple, pear = read(**{name: given})
        assert (getattr(apple, name), getattr(pear, name)) == (0, 3)
        apple, pear = read(table, **{name: given})  # where both say something, the argument does
        assert (getattr(apple, name), getattr(pear, name)) == (6, 3)
    for wrong in ({"pear": -3}, pd.DataFrame({"unique_id": ["pear"], name: ["many"]})):
        with pytest.raises(InputError, match=f"{name} of item 'pear' does not fit"):
            read(**{name: wrong})
    with pytest.raises(InputError, match=f"the table of {name} has no such column; it has item"):
        read(**{name: pl.DataFrame({"item": [1]})})
    with pytest.raises(UsageError, match=f"{name} does not fit"):
        read(**{name: "3"})


def test_a_plan_with_costs_of_each_item() -> None:
    paths = np.random.default_rng(0).poisson(5, (2, 2000, 10)).astype(float)
    asked: dict[str, Any] = {"lead_time": 2, "review": 2, "target": "costs", "holding_cost": 1}
    plan = plan_stock(paths, IDS, shortage_cost={"apple": 2, "pear": 38}, **asked)
    assert plan.frame["service_level"].to_list() == pytest.approx([0.5, 0.95])
    with pytest.raises(UsageError, match="needs the shortage_cost of every item, and item 'apple' has none"):
        plan_stock(paths, IDS, shortage_cost={"pear": 38}, **asked)
