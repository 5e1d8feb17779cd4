"""The options of an order plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

QUICK = ("--horizon", 5, "--steps", 3, "--no-backtest", "--json")
PLAN = ("--lead-time", 2, "--review", 2)


def planned(run: Any, *arguments: object) -> list[dict[str, Any]]:
    answer = run("forecast", "sales.csv", *QUICK, *arguments)
    assert answer.code == 0, answer.err
    plan = answer.document["plan"]
    assert isinstance(plan, list)
    return plan


def test_options_hold_for_all_items_and_columns_for_their_own(run: Any, shop: Path) -> None:
    (shop / "stock.csv").write_text("sku,on_hand,pack_size,lead_time,price\napple,0,,3,\npear,0,12,,2.5\n")
    apple, pear = planned(run, *PLAN, "--on-hand", "stock.csv", "--pack-size", 5)
    assert (apple["lead_time"], pear["lead_time"]) == (3, 2)
    assert apple["order_quantity"] % 5 == 0
    assert pear["order_quantity"] % 12 == 0


def test_a_reorder_point_by_costs(run: Any, shop: Path) -> None:
    costs = ("--ordering-cost", 20, "--holding-cost", 0.1, "--shortage-cost", 2)
    plan = planned(run, "--lead-time", 2, "--policy", "min-max", "--target", "costs", *costs)
    for row in plan:
        assert row["rule"] == "(s, S), Zheng & Federgruen"
        assert row["reorder_point"] < row["order_up_to"] == row["order_quantity"]


def test_an_uncertain_lead_time_a_shelf_life_and_a_budget(run: Any, shop: Path) -> None:
    uncertain = ("--lead-time", 1.5, "--lead-time-sd", 0.5, "--review", 1, "--target", "fill")
    answer = run("forecast", "sales.csv", *QUICK, *uncertain, "--shelf-life", 1, "--price", 2, "--budget", 20)
    assert answer.code == 0
    plan = answer.document["plan"]
    assert sum(row["order_quantity"] for row in plan) <= 10
    assert all({"waste_probability", "cut"} <= row.keys() for row in plan)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("sku,on_hand,lead_time\napple,1,-2\n", "row 2, column 'lead_time': lead_time does not fit"),
        ("sku,on_hand,price\napple,1,\npear,0,cheap\n", "row 3, column 'price': price does not fit"),
        ("sku,on_hand,pack_size\npear,0,2.5\n", "row 2, column 'pack_size': .*whole pieces"),
        ("sku,on_hand,review\npear,0,9\n", "item 'pear' is 11 periods.*only 5.*--horizon 11"),
    ],
)
def test_settings_that_do_not_fit_are_named(run: Any, shop: Path, table: str, message: str) -> None:
    (shop / "stock.csv").write_text(table)
    answer = run("forecast", "sales.csv", *QUICK, *PLAN, "--on-hand", "stock.csv")
    assert answer.code in (1, 2)
    assert re.search(message, answer.document["error"]["message"])
    assert answer.document["error"].get("file", "stock.csv") == "stock.csv"


@pytest.mark.parametrize("option", [("--budget", 5), ("--policy", "min-max"), ("--lead-time-sd", 1)])
def test_a_plans_option_without_a_plan(run: Any, shop: Path, option: tuple[object, ...]) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *option)
    assert answer.code == 2
    assert "is for an order plan. Add --lead-time." in answer.document["error"]["message"]


def test_an_order_that_arrives_too_late_does_not_count(run: Any, shop: Path) -> None:
    (shop / "stock.csv").write_text(
        "sku,on_hand,on_order,arrives\napple,0,5,11/02/2025\npear,0,5,31/03/2025\n"
    )
    apple, pear = planned(run, *PLAN, "--on-hand", "stock.csv")
    assert (apple["on_order"], pear["on_order"]) == (5, 0)


def test_a_plan_calibrated_on_the_items_own_past(run: Any, shop: Path) -> None:
    asked = ("--lead-time", 1, "--review", 1)
    plain, calibrated = planned(run, *asked), planned(run, *asked, "--calibrate")
    for one, other in zip(plain, calibrated, strict=True):
        assert "spread" not in one
        assert other["spread"] > 0
        assert other["rule"] == f"{one['rule']}; own spread"
    refused = run("forecast", "sales.csv", *QUICK, "--lead-time", 2, "--review", 2, "--calibrate")
    assert refused.code == 2
    assert (
        "calibrating a plan needs 12 past stretches of 4 periods, and 40 periods"
        in refused.document["error"]["what"]
    )
    refused = run("forecast", "sales.csv", *QUICK, "--calibrate")
    assert "--calibrate is for an order plan" in str(refused.document["error"])
