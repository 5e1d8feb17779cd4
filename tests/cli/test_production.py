from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

QUICK = ("--horizon", 5, "--steps", 3, "--no-backtest")


def test_a_production_plan_with_its_file_and_picture(run: Any, shop: Path) -> None:
    (shop / "stock.csv").write_text("item,on_hand,capacity_use\napple,3,2\npear,0,\n")
    answer = run(
        "forecast", "sales.csv", *QUICK, "--capacity", 600, "--on-hand", "stock.csv", "--out", "out", "--json"
    )
    assert answer.code == 0, answer.err
    production = answer.document["production"]
    assert production.keys() == {"cost", "rule", "items", "periods"}
    assert len(production["items"]) == 10
    table = pl.read_csv("out/plan_production.csv")
    assert table.columns == ["unique_id", "ds", "quantity", "required", "stock", "backlog"]
    assert "What to produce" in (shop / "out/report.html").read_text()


def test_capacity_from_a_file(run: Any, shop: Path) -> None:
    days = [f"{day:02}/02/2025" for day in range(10, 15)]
    (shop / "capacity.csv").write_text("date,capacity\n" + "".join(f"{day},800\n" for day in days))
    answer = run("forecast", "sales.csv", *QUICK, "--capacity", "capacity.csv", "--json")
    assert answer.code == 0, answer.document
    assert [row["capacity"] for row in answer.document["production"]["periods"]] == [800] * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,capacity\n2025-02-10,5\n", "4 of 5 periods is not there, the first on 2025-02-11"),
        ("date,capacity\n2025-02-10,-5\n", "row 2, column 'capacity': this is no capacity"),
        ("day,hours\n2025-02-10,5\n", "lacks a column"),
    ],
)
def test_a_file_of_capacity_that_cannot_be_used(run: Any, shop: Path, text: str, message: str) -> None:
    (shop / "capacity.csv").write_text(text)
    answer = run("forecast", "sales.csv", *QUICK, "--capacity", "capacity.csv", "--json")
    assert answer.code == 1
    assert message in answer.document["error"]["message"]


def test_too_little_capacity_is_explained(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, "--capacity", 1, "--json")
    assert answer.code == 2
    assert "capacity is not enough to have everything in time" in answer.document["error"]["message"]
    late = run("forecast", "sales.csv", *QUICK, "--capacity", 1, "--shortage-cost", 3, "--json")
    assert late.code == 0


def test_options_of_a_plan_that_is_not_asked_for(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, "--overtime", 5)
    assert answer.code == 2
    assert "--overtime is for a production plan. Add --capacity." in answer.err
