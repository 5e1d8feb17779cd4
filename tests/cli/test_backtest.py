from __future__ import annotations

from pathlib import Path
from typing import Any

QUICK = ("--horizon", 5, "--steps", 3)


def test_the_model_beside_the_baselines(run: Any, shop: Path) -> None:
    answer = run("backtest", "sales.csv", *QUICK, "--origins", 2)
    assert answer.code == 0
    assert "Backtest: 2 × 5 periods" in answer.out
    for method in ("recurra LSTM 2 × 64", "last 8 same weekdays", "seasonal naive"):
        assert f"│ {method} " in answer.out


def test_the_document(run: Any, shop: Path) -> None:
    answer = run("backtest", "sales.csv", *QUICK, "--json")
    assert answer.err == ""
    document = answer.document
    assert document.keys() == {
        *("notes", "horizon", "origins", "counted", "left_out"),
        *("scores", "pit", "costs", "replay"),
    }
    assert document["costs"] is document["replay"] is None
    assert (len(document["pit"]), document["left_out"]) == (10, 0)
    assert (document["horizon"], document["origins"]) == (5, 3)
    for score in document["scores"]:
        assert isinstance(score.pop("name"), str)
        assert score.keys() == {"weighted_quantile_loss", "rmsse", "mase", "coverage", "bias", "seconds"}
        assert all(isinstance(value, float) for value in score.values())


def test_the_same_seed_gives_the_same_scores(run: Any, shop: Path) -> None:
    first, again = (run("backtest", "sales.csv", *QUICK, "--json").document for _ in range(2))
    for score in (*first["scores"], *again["scores"]):
        del score["seconds"]
    assert first == again


def test_a_history_that_is_too_short(run: Any, shop: Path) -> None:
    answer = run("backtest", "sales.csv", *QUICK, "--origins", 20)
    assert answer.code == 2
    assert "needs more than 105 periods of history, there are 40. Use at most 6 origins." in answer.err


def test_order_plans_replayed(run: Any, shop: Path) -> None:
    answer = run("backtest", "sales.csv", *QUICK, "--lead-time", 1, "--review", 2, "--lost-sales")
    assert answer.code == 0, answer.err
    assert "Stock in a replay of 15 periods" in answer.out
    assert "moving average + z·σ·√L" in answer.out
    refused = run("backtest", "sales.csv", *QUICK, "--lost-sales")
    assert refused.code == 2
    assert "--lost-sales is for a replay of order plans. Add --lead-time." in refused.err


def test_what_errors_cost(run: Any, shop: Path) -> None:
    costs = ("--holding-cost", 0.5, "--shortage-cost", 4)
    answer = run("backtest", "sales.csv", *QUICK, *costs)
    assert "What the errors of the forecasts would have cost" in answer.out
    assert "│ who had known " in answer.out
    document = run("backtest", "sales.csv", *QUICK, *costs, "--json").document
    for row in document["costs"]:
        assert row["total"] == row["holding"] + row["shortage"] > 0
        assert row["holding"] == row["left"] * 0.5
        assert row["shortage"] == row["missing"] * 4
        assert row["per_unit"] == row["total"] / row["sales"]
    refused = run("backtest", "sales.csv", *QUICK, *costs[:2])
    assert refused.code == 2
    assert "shortage_cost is missing: what an error costs needs both costs of every item" in refused.err
    refused = run("backtest", "sales.csv", *QUICK, "--holding-cost", -1, "--shortage-cost", 4)
    assert refused.code == 2
    assert "holding_cost does not fit" in refused.err


def test_a_replay_of_what_a_plan_can_ask_for(run: Any, shop: Path) -> None:
    Path("stock.csv").write_text(
        "item,on_hand,pack_size,holding_cost,shortage_cost\napple,0,6,0.1,\npear,0,,0.2,9\n", encoding="utf-8"
    )
    asked = ("--lead-time", 1, "--review", 2, "--on-hand", "stock.csv", "--shortage-cost", 5)
    answer = run("backtest", "sales.csv", *QUICK, *asked, "--target", "costs")
    assert answer.code == 0, answer.err
    assert "Stock in a replay of 15 periods, at least cost" in answer.out
    document = run(
        "backtest", "sales.csv", *QUICK, *asked, "--target", "fill", "--lead-time-sd", 0.3, "--json"
    ).document
    assert all(row["cost"] > 0 and row["target"] == "fill" for row in document["replay"])
    assert [row["name"] for row in document["costs"]] == [row["name"] for row in document["scores"]]
    refused = run("backtest", "sales.csv", *QUICK, *asked[:4], "--on-hand", "stock.csv", "--target", "costs")
    assert refused.code == 2
    assert "needs the shortage_cost of every item, and item 'apple' has none" in refused.err
    Path("stock.csv").write_text("item,on_hand\napple,0\n", encoding="utf-8")
    refused = run("backtest", "sales.csv", *QUICK, "--on-hand", "stock.csv")
    assert refused.code == 2
    assert "--on-hand is for a replay of order plans, or for costs. Add --lead-time." in refused.err
    refused = run("backtest", "sales.csv", *QUICK, "--pack-size", 6)
    assert "--pack-size is for a replay of order plans" in refused.err
