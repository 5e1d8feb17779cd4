from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from small_shop import shop, tiny

from recurra.errors import UsageError
from recurra.forecasting.backtest import Backtest, backtest
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
        *("name", "service_level", "fill_rate", "cycle_service", "stock", "missing"),
        *("stock_at_fill_0.95", "stock_at_fill_0.98"),
    }
    for method in replay.methods:
        assert (np.diff(method.fill_rate) >= -1e-12).all()
        assert 0.9 in method.service_levels
    assert all(row["service_level"] == 0.9 for row in rows)
    # Sales that come from one distribution are met by the past quantile about as often as asked.
    assert rows[2]["cycle_service"] == pytest.approx(0.9, abs=0.12)


def test_levels_know_nothing_of_what_comes(result: Backtest) -> None:
    assert result.model is not None
    panel = shop()
    start = len(panel.dates) - 20
    changed = shop()
    changed.values[:, -3:] += 500
    replays = [
        replay_stock(result.model, each, start, lead_time=2, review=3, service_level=0.9)
        for each in (panel, changed)
    ]
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
