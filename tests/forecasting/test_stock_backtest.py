from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_shop import shop, tiny

from recurra.errors import UsageError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.sales.covariates import AT_LEAST
from recurra.forecasting.stock.terms import StockTerms
from recurra.forecasting.stock_backtest import replay_stock


@pytest.fixture(scope="module")
def result() -> Backtest:
    return backtest(tiny(), shop(), origins=4, lead_time=2, review=3, service_level=0.9)


def test_the_model_beside_two_usual_rules(result: Backtest) -> None:
    replay = result.replay
    assert replay is not None
    assert [method.name for method in replay.methods] == [
        "recurra LSTM", "moving average + z·σ·√L", "empirical lead-time quantile",
    ]  # fmt: skip
    assert replay.periods == 20
    rows = replay.rows()
    assert rows[0].keys() == {
        *("name", "target", "service_level", "fill_rate", "cycle_service", "stock", "missing", "cost"),
        *("stock_at_fill_0.95", "stock_at_fill_0.98"),
    }
    for method in replay.methods:
        assert (np.diff(method.fill_rate[1:]) >= -1e-12).all()
        assert (np.diff(method.stock[1:]) >= -1e-12).all()
        between = np.searchsorted(method.fill_rate[1:], method.fill_rate[0])
        assert method.stock[between] <= method.stock[0] + 1e-9
    assert all(math.isnan(row["cost"]) for row in rows)
    assert all(row["service_level"] == 0.9 for row in rows)
    # Sales that come from one distribution are met by the past quantile about as often as asked.
    assert rows[2]["cycle_service"] == pytest.approx(0.9, abs=0.12)


def test_levels_know_nothing_of_what_comes(result: Backtest) -> None:
    assert result.model is not None
    panel = shop()
    start = len(panel.dates) - 20
    changed = shop()
    changed.values[:, -3:] += 500
    terms = StockTerms(lead_time=2, review=3, service_level=0.9)
    replays = [replay_stock(result.model, each, start, terms) for each in (panel, changed)]
    for one, other in zip(*(each.methods for each in replays), strict=True):
        # Only the last cycles differ: no level before them has moved, or stock would have.
        assert other.missing[-1] > one.missing[-1]
        assert (other.stock <= one.stock + 1e-9).all()


def test_equal_fill_rates_compare_like_with_like(result: Backtest) -> None:
    assert result.replay is not None
    for saved, other in zip(result.replay.saved(0.95), result.replay.methods[1:], strict=True):
        stocks = result.replay.methods[0].stock_at(0.95), other.stock_at(0.95)
        assert math.isnan(saved) or saved == pytest.approx(1 - stocks[0] / stocks[1])


def test_a_backtest_without_a_lead_time_replays_nothing_and_says_null() -> None:
    plain = backtest(tiny(), shop())
    assert plain.replay is None
    assert plain.as_dict()["replay"] is None


def test_the_document_of_a_replay(result: Backtest) -> None:
    rows = result.as_dict()["replay"]
    assert all(value is None or isinstance(value, str | float) for row in rows for value in row.values())
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"lead_time": 4, "review": 2}, "6 periods, but the model forecasts only 5"),
        ({"lead_time": 0, "review": 3}, "replay over 5 periods is too short"),
    ],
)
def test_times_that_do_not_fit_are_told_before_the_training(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        backtest(tiny(), shop(), **asked)


@pytest.fixture(scope="module")
def again(result: Backtest) -> Any:
    """Replays of the same model."""

    def replay(panel: Any = None, *, lost: bool = False, **asked: Any) -> Any:
        panel = shop() if panel is None else panel
        asked = {"lead_time": 2, "review": 3, "service_level": 0.9} | asked
        assert result.model is not None
        return replay_stock(result.model, panel, len(panel.dates) - 20, StockTerms(**asked), lost=lost)

    return replay


def test_a_fill_rate_is_asked_of_every_item(again: Any) -> None:
    cycle, fill = again(), again(target="fill", service_level=0.9)
    assert [row["target"] for row in fill.rows()] == ["fill"] * 3
    assert fill.rows()[0]["stock"] != cycle.rows()[0]["stock"]
    for one, other in zip(cycle.methods[1:], fill.methods[1:], strict=True):
        np.testing.assert_array_equal(one.stock, other.stock)  # they know no fill rate
    assert again(target="fill", service_level=0.99).rows()[0]["stock"] > fill.rows()[0]["stock"]


def test_least_cost_is_asked_of_every_method_by_its_own_items(again: Any) -> None:
    table = pl.DataFrame({"unique_id": list(shop().ids), "on_hand": 0, "shortage_cost": [3.0] * 5 + [30.0]})
    replay = again(target="costs", holding_cost=0.5, on_hand=table)
    assert [item.shortage_cost for item in replay.items] == [3.0] * 5 + [30.0]
    assert replay.costed
    for row, method in zip(replay.rows(), replay.methods, strict=True):
        assert math.isnan(row["service_level"])
        assert row["cost"] == method.cost[0] > 0
    # More is asked of all, or less: an item's odds rise by the same factor.
    dear = again(target="costs", holding_cost=0.5, shortage_cost=300.0)
    for one, other in zip(dear.rows(), replay.rows(), strict=True):
        assert one["stock"] > other["stock"]


def test_costs_beside_a_service_level(again: Any) -> None:
    costs = {item: 1.0 + n for n, item in enumerate(shop().ids)}
    replay = again(holding_cost=costs, shortage_cost=4.0)
    plain = again()
    for one, other in zip(replay.rows(), plain.rows(), strict=True):
        assert one["stock"] == other["stock"]
        assert one["cost"] > 4.0 * one["missing"]


def test_lead_times_are_drawn_once_for_every_method(again: Any) -> None:
    chances = {1: 0.5, 2: 0.5}
    replay, same = again(lead_time=chances), again(lead_time=chances)
    for one, other in zip(replay.methods, same.methods, strict=True):
        np.testing.assert_array_equal(one.stock, other.stock)
    short, long = again(lead_time=1), again(lead_time=2)
    middle = replay.rows()[0]["stock"]
    assert short.rows()[0]["stock"] < middle < long.rows()[0]["stock"] * 1.3
    assert again(lead_time=1.5, lead_time_sd=0.4, review=2).items[0].lead_time.longest == 3


def test_packs_of_an_item_are_ordered_whole(again: Any) -> None:
    assert again(pack_size=50).rows()[0]["stock"] > again().rows()[0]["stock"]
    assert again(minimum=60).rows()[0]["stock"] > again().rows()[0]["stock"]
    table = pl.DataFrame({"unique_id": [shop().ids[0]], "on_hand": [0], "pack_size": [50.0]})
    assert [item.pack_size for item in again(on_hand=table).items] == [50.0] + [1.0] * 5


def test_items_with_reviews_of_their_own(again: Any) -> None:
    table = pl.DataFrame({"unique_id": [shop().ids[0]], "on_hand": [0], "review": [2]})
    replay = again(on_hand=table)
    assert [item.review for item in replay.items] == [2, 3, 3, 3, 3, 3]
    assert all(np.isfinite(method.stock).all() for method in replay.methods)


def test_demand_that_nobody_knows_is_counted(again: Any) -> None:
    panel = shop()
    status = np.zeros(panel.values.shape, dtype=np.uint8)
    status[0, 40], status[1, -3:] = AT_LEAST, AT_LEAST
    assert again(replace(panel, status=status)).unknown == 3
    assert again().unknown == 0


def test_plans_that_are_not_replayed(again: Any) -> None:
    with pytest.raises(UsageError, match="only plans with a fixed review are replayed"):
        again(policy="min-max", holding_cost=1, ordering_cost=1)
    with pytest.raises(UsageError, match="target must be one of"):
        again(target="profit")
    with pytest.raises(UsageError, match="needs the holding_cost of every item"):
        again(target="costs", shortage_cost=3)


def test_a_calibrated_plan_changes_the_models_levels_alone(result: Backtest) -> None:
    panel = shop()
    terms = StockTerms(lead_time=1, review=2, service_level=0.9)
    assert result.model is not None
    plain, calibrated = (
        replay_stock(result.model, panel, len(panel.dates) - 20, terms, calibrate=each)
        for each in (False, True)
    )
    assert all(item.spread != 1 for item in calibrated.items)
    assert plain.rows()[0]["stock"] != calibrated.rows()[0]["stock"]
    for one, other in zip(plain.methods[1:], calibrated.methods[1:], strict=True):
        np.testing.assert_array_equal(one.stock, other.stock)
    # Spreads are those of before the replay: what comes after changes nothing.
    changed = shop()
    changed.values[:, -20:] += 300
    again = replay_stock(result.model, changed, len(panel.dates) - 20, terms, calibrate=True)
    assert [item.spread for item in again.items] == [item.spread for item in calibrated.items]


def test_a_history_too_short_to_calibrate_is_told_before_the_training() -> None:
    with pytest.raises(UsageError, match="calibrating a plan needs 12 past stretches of 5 periods"):
        backtest(tiny(), shop(), origins=4, lead_time=2, review=3, calibrate=True)
