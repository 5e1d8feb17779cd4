from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

QUICK = ("--horizon", 5, "--steps", 3)
PLAN = ("--lead-time", 2, "--review", 2)
LEVELS = [f"q0.{tenth}" for tenth in range(1, 10)]


def test_tables_and_all_files(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *PLAN, "--out", "new/out")
    assert answer.code == 0
    assert "Forecast of daily sales, 2 items, 5 periods" in answer.out
    assert "order now" in answer.out
    assert "Backtest: 1 × 5 periods" in answer.out
    assert "seasonal naive" in answer.out
    assert "override with --item, --date, --quantity" in answer.err
    names = ["forecast.csv", "forecast.parquet", "plan.csv", "report.html"]
    assert sorted(path.name for path in (shop / "new/out").iterdir()) == names
    for name in names:
        assert f"Wrote new/out/{name}\n" in answer.err
    report = (shop / "new/out/report.html").read_text()
    assert "apple" in report
    assert "<svg" in report


def test_files_hold_the_forecast(run: Any, shop: Path) -> None:
    run("forecast", "sales.csv", *QUICK, *PLAN, "--no-backtest", "--out", "out")
    exact = pl.read_parquet("out/forecast.parquet")
    assert exact.columns == ["unique_id", "ds", "mean", *LEVELS]
    assert exact["unique_id"].to_list() == ["apple"] * 5 + ["pear"] * 5
    rounded = pl.read_csv("out/forecast.csv", try_parse_dates=True)
    for name in ("mean", *LEVELS):
        assert (rounded[name] - exact[name]).abs().max() <= 0.5001e-4  # type: ignore[operator]
    for line in (shop / "out/forecast.csv").read_text().splitlines()[1:]:
        for number in line.split(",")[2:]:
            assert len(number.partition(".")[2]) <= 4
            assert not number.startswith("-")
    plan = pl.read_csv("out/plan.csv")
    assert plan["unique_id"].to_list() == ["apple", "pear"]
    assert (plan["order_quantity"] == plan["order_up_to"]).all()


def test_paths_are_written(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, "--no-backtest", "--out", "out", "--paths", "20")
    assert answer.code == 0
    paths = pl.read_parquet("out/paths.parquet")
    assert paths.columns == ["unique_id", "path", "ds", "y"]
    assert paths.group_by("unique_id").len()["len"].to_list() == [20 * 5] * 2
    assert "Wrote out/paths.parquet" in answer.err


def test_paths_need_a_folder(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, "--paths", "20")
    assert answer.code == 2
    assert "--out" in answer.err


def test_without_out_nothing_is_written(run: Any, shop: Path) -> None:
    assert run("forecast", "sales.csv", *QUICK, "--no-backtest").code == 0
    assert [path.name for path in shop.iterdir()] == ["sales.csv"]


def test_the_document(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *PLAN, "--out", "out", "--json")
    assert answer.code == 0
    assert answer.err == ""
    document = answer.document
    assert document.keys() == {
        *("notes", "training", "forecast", "plan", "production", "backtest", "files", "interrupted")
    }
    assert document["production"] is None
    assert document["interrupted"] is False
    assert all(isinstance(note, str) for note in document["notes"])
    assert document["training"]["ended_by"] == "steps"
    assert document["training"]["steps"] == 3
    assert all(name.isidentifier() for name in document["training"])
    assert len(document["forecast"]) == 10
    for row in document["forecast"]:
        assert list(row) == ["unique_id", "ds", "mean", *LEVELS]
        assert row["ds"].startswith("2025-02-1")
        assert [row[level] for level in LEVELS] == sorted(row[level] for level in LEVELS)
    assert [row["unique_id"] for row in document["plan"]] == ["apple", "pear"]
    assert document["backtest"].keys() >= {"horizon", "origins", "scores", "pit", "costs", "replay"}
    assert document["files"] == [
        f"out/{name}" for name in ("forecast.csv", "forecast.parquet", "plan.csv", "report.html")
    ]


def test_what_was_not_asked_for_is_null(run: Any, shop: Path) -> None:
    document = run("forecast", "sales.csv", *QUICK, "--no-backtest", "--json").document
    assert document["plan"] is None
    assert document["backtest"] is None
    assert document["files"] == []


def test_the_stock_on_hand_lowers_the_order(run: Any, shop: Path) -> None:
    (shop / "stock.csv").write_text("sku,on_hand,on_order\n pear ,3,4\n\n,,\n")
    document = run(
        "forecast", "sales.csv", *QUICK, *PLAN, "--no-backtest", "--json", "--on-hand", "stock.csv"
    ).document
    apple, pear = document["plan"]
    assert (apple["on_hand"], pear["on_hand"], pear["on_order"]) == (0, 3, 4)
    assert pear["order_quantity"] == pear["order_up_to"] - 7
    assert any("1 of 2 items have no on_hand ('apple')" in note for note in document["notes"])


def test_the_same_seed_gives_the_same_files(run: Any, shop: Path) -> None:
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("forecast", "sales.csv", *QUICK, *PLAN, "--no-backtest", "--seed", seed, "--out", out)
    for name in ("forecast.csv", "plan.csv"):
        first, again, other = ((shop / out / name).read_bytes() for out in "abc")
        assert first == again
        assert first != other


def test_a_short_history_has_no_backtest_and_says_so(
    run: Any, shop: Path, sales_text: Callable[..., str]
) -> None:
    (shop / "short.csv").write_text(sales_text(periods=10))
    answer = run("forecast", "short.csv", *QUICK)
    assert answer.code == 0
    assert "too short for a backtest" in answer.err


def test_lines_of_one_day_are_summed_and_it_is_said(
    run: Any, shop: Path, sales_text: Callable[..., str]
) -> None:
    text = sales_text()
    (shop / "twice.csv").write_text(text + text.split("\n", 1)[1])
    answer = run("forecast", "twice.csv", *QUICK, "--no-backtest")
    assert answer.code == 0
    assert "Lines: 160, summed to 80" in answer.err


@pytest.mark.parametrize("quantity", [0, 5])
def test_a_constant_series_is_forecast(run: Any, shop: Path, quantity: int) -> None:
    rows = [f"a,2025-01-{day:02},{quantity}\n" for day in range(1, 32)]
    (shop / "flat.csv").write_text("item,date,quantity\n" + "".join(rows))
    answer = run("forecast", "flat.csv", *QUICK, *PLAN, "--out", "out")
    assert answer.code == 0
    assert "1 item," in answer.out
    assert "nan" not in answer.out
    document = run("forecast", "flat.csv", *QUICK, "--json").document
    assert all(row["q0.1"] >= 0 for row in document["forecast"])
    assert (document["backtest"]["scores"][0]["weighted_quantile_loss"] is None) is (quantity == 0)


def test_hostile_names_are_only_names(run: Any, shop: Path, sales_text: Callable[..., str]) -> None:
    names = ("<script>alert(1)</script>", "=cmd()", "[red]x[/]", ":smile:", "é" * 300, "a\x1b[31m")
    folder = shop / "a folder, ünïcode 商店"
    folder.mkdir()
    (folder / "my sales.csv").write_text(sales_text(names), encoding="utf-8")
    answer = run("forecast", folder / "my sales.csv", *QUICK, "--no-backtest", "--out", folder / "the out")
    assert answer.code == 0
    assert "[red]x[/]" in answer.out
    assert ":smile:" in answer.out
    assert "\x1b" not in answer.out + answer.err
    assert max(map(len, answer.out.splitlines())) < 120
    assert set(pl.read_csv(folder / "the out/forecast.csv")["unique_id"]) == set(names)
    report = (folder / "the out/report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert" in report


def test_many_items_show_those_that_sell_most(run: Any, shop: Path, sales_text: Callable[..., str]) -> None:
    (shop / "many.csv").write_text(sales_text(tuple(f"item {n}" for n in range(13)), 20))
    answer = run("forecast", "many.csv", *QUICK, "--no-backtest")
    assert answer.out.count("│ item ") == 10
    assert "… 3 more" in answer.out
