from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_shop import HORIZON, frame_of, panel_of, sales, shop, tiny

from recurra.errors import InputError, UsageError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.baselines import same_season_quantiles, seasonal_naive_quantiles
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.error_costs import error_cost
from recurra.forecasting.forecast import LEVELS, QUANTILES
from recurra.forecasting.metrics import (
    bias,
    calibration,
    mase,
    pit_coverage,
    pit_histogram,
    rmsse,
    weighted_quantile_loss,
)
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.sales.data import Panel

COSTS = {f"item {n:02}": 1.0 + n for n in range(6)}


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Six series, the last one beginning between the first origin and the second."""
    return panel_of(sales(6, 70), [0, 0, 10, 0, 0, 58])


@pytest.fixture(scope="module")
def result(panel: Panel) -> Backtest:
    return backtest(tiny(), panel, origins=3, holding_cost=0.5, shortage_cost=COSTS)


def test_the_model_never_sees_what_it_is_scored_on(panel: Panel) -> None:
    values = panel.values.copy()
    values[:, -HORIZON:] = np.random.default_rng(1).permutation(values[:, -HORIZON:].T).T[:, ::-1] + 7
    changed = backtest(tiny(), replace(panel, values=values), origins=1)
    original = backtest(tiny(), panel, origins=1)
    assert changed.window is not None
    assert original.window is not None
    np.testing.assert_array_equal(changed.window.quantiles, original.window.quantiles)
    np.testing.assert_array_equal(changed.window.mean, original.window.mean)
    assert changed.scores[0].weighted_quantile_loss != original.scores[0].weighted_quantile_loss


def test_weights_never_see_later_origins(panel: Panel, result: Backtest) -> None:
    """The last window is forecast by a model trained before the first, which has read on since."""
    model = tiny().fit(panel.until(55))
    forecast = model.forecast(panel.until(65))
    assert result.window is not None
    np.testing.assert_allclose(result.window.quantiles, forecast.at(QUANTILES), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result.window.mean, forecast.quantiles.mean(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(result.window.actual, panel.values[:, 65:])
    np.testing.assert_array_equal(result.window.dates, panel.dates[65:])
    assert result.window.ids == panel.ids


def test_scores_are_those_computed_directly(panel: Panel, result: Backtest) -> None:
    model = tiny().fit(panel.until(55))

    def ask(name: str, past: Panel) -> tuple[Any, Any]:
        if name.startswith("recurra"):
            forecast = model.forecast(past)
            return forecast.quantiles.values, forecast.quantiles.mean()
        method: Any = seasonal_naive_quantiles if name == "seasonal naive" else same_season_quantiles
        return method(past.values, past.first, HORIZON, 7, LEVELS)

    assert [score.name for score in result.scores] == [
        "recurra LSTM 1 × 8",
        "last 8 same weekdays",
        "seasonal naive",
    ]
    assert (result.horizon, result.origins) == (HORIZON, 3)
    assert result.costs is not None
    at = [LEVELS.index(level) for level in QUANTILES]
    for score, cost in zip(result.scores, result.costs, strict=True):
        actuals, quantiles, means, scaled, absolute = [], [], [], [], []
        shortage: list[float] = []
        for end in (55, 60, 65):
            past = panel.until(end)
            rows = [panel.ids.index(name) for name in past.ids]
            assert len(rows) == (5 if end == 55 else 6)  # the last one had not begun at the first origin
            found, mean = ask(score.name, past)
            actual = panel.values[rows, end : end + HORIZON]
            actuals.append(actual)
            quantiles.append(found)
            means.append(mean)
            shortage += [COSTS[item] for item in past.ids]
            scaled.append(rmsse(actual, mean, past.values, past.first).value)
            absolute.append(mase(actual, mean, past.values, past.first, 7).value)
        y, q = np.concatenate(actuals), np.concatenate(quantiles)[..., at]
        whole = Quantiles(np.array(LEVELS), np.concatenate(quantiles), 0.0)
        assert score.weighted_quantile_loss == pytest.approx(weighted_quantile_loss(y, q, QUANTILES))
        assert score.rmsse == pytest.approx(np.mean(scaled))
        assert score.mase == pytest.approx(np.mean(absolute))
        pit = pit_histogram(y, whole, whole=True)
        assert score.coverage == pytest.approx(pit_coverage(pit, 0.8))
        expected = error_cost(score.name, y, whole, np.full(len(y), 0.5), np.array(shortage), whole=True)
        assert cost.name == score.name
        assert cost.total == pytest.approx(expected.total)
        assert cost.sales == y.sum() == pytest.approx(expected.sales)
        assert score.bias == pytest.approx(bias(y, np.concatenate(means)))
        if score is result.scores[0]:
            assert result.calibration is not None
            for ours, theirs in zip(result.calibration, calibration(y, q, QUANTILES), strict=True):
                np.testing.assert_allclose(ours, theirs)
            np.testing.assert_allclose(result.pit, pit)
    assert (result.counted, result.left_out) == (17 * HORIZON, 0)


@pytest.mark.parametrize("length", [19, 20, 21, 24, 25, 26])
def test_as_many_origins_as_fit(length: int) -> None:
    panel, model = panel_of(sales(2, length)), tiny(steps=1)
    most = next(n for n in range(9, 0, -1) if length - n * HORIZON > HORIZON)
    assert backtest(model, panel, origins=most).origins == most
    with pytest.raises(
        UsageError, match=rf"needs more than .* there are {length}\. Use at most {most} origin"
    ):
        backtest(model, panel, origins=most + 1)


def test_a_history_too_short_for_any_origin() -> None:
    with pytest.raises(UsageError, match=r"needs more than 10 periods.*there are 10\. Use a shorter horizon"):
        backtest(tiny(), panel_of(sales(2, 10)))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "one", None])
def test_origins_that_are_none(wrong: Any, panel: Panel) -> None:
    with pytest.raises(UsageError, match="origins must be a whole number"):
        backtest(tiny(), panel, origins=wrong)


def test_what_fit_refuses_is_refused(panel: Panel) -> None:
    with pytest.raises(UsageError, match="horizon must be a whole number"):
        backtest(tiny(horizon="week"), panel)
    with pytest.raises(InputError):
        backtest(tiny(), "no such file.csv")


def test_the_forecaster_given_stays_as_it_is(panel: Panel) -> None:
    model = tiny().fit(shop())
    before = model.predict()
    backtest(model, frame_of(panel), max_seconds=30)
    assert model.predict().equals(before)


def test_where_nothing_was_sold_scores_are_not_defined() -> None:
    found = backtest(tiny(), panel_of(np.zeros((2, 40))))
    assert math.isnan(found.scores[1].weighted_quantile_loss)
    plain = found.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["scores"][1]["weighted_quantile_loss"] is None


def test_another_rhythm_has_another_season() -> None:
    found = backtest(tiny(), panel_of(sales(2, 40), frequency="monthly"))
    assert found.scores[1].name == "last 8 of the same phase"


def test_what_nobody_knows_is_in_no_score(panel: Panel) -> None:
    """Absurd numbers where the item had run out or nothing is known change no score, only the count."""
    status = np.zeros(panel.values.shape, dtype=np.uint8)
    status[1, 61:64], status[2, 66] = AT_LEAST, MISSING
    scores = []
    for wrong in (0, 7, 10_000):
        values = panel.values.copy()
        values[status != 0] = wrong
        # Read from one origin alone: a network or a baseline that sees these numbers is another matter.
        found = backtest(
            tiny(horizon=10),
            replace(panel, values=values, status=status),
            holding_cost=1,
            shortage_cost=3,
        )
        assert (found.counted, found.left_out) == (60, 4)
        scores.append([{k: v for k, v in vars(score).items() if k != "seconds"} for score in found.scores])
        assert found.costs is not None
        assert found.costs[0].sales == panel.values[:, 60:][status[:, 60:] == 0].sum()
    assert scores[0] == scores[1] == scores[2]
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_history_that_nobody_knows_scales_no_error(panel: Panel) -> None:
    status = np.zeros(panel.values.shape, dtype=np.uint8)
    status[0, 20:40] = MISSING
    found = backtest(tiny(), replace(panel, status=status))
    history = panel.values[:, :65].astype(np.float64)
    history[0, 20:40] = np.nan
    assert found.window is not None
    expected = rmsse(panel.values[:, 65:], found.window.mean, history, panel.first).value
    assert found.scores[0].rmsse == pytest.approx(expected)
    assert found.scores[0].rmsse != pytest.approx(
        rmsse(panel.values[:, 65:], found.window.mean, panel.values[:, :65], panel.first).value
    )


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"holding_cost": 1}, "shortage_cost is missing: what an error costs needs both costs"),
        ({"holding_cost": 0, "shortage_cost": 1}, "holding_cost does not fit"),
        ({"holding_cost": {"item 00": 1}, "shortage_cost": 1}, "holding_cost of item 'item 01' is missing"),
        (
            {"holding_cost": 1, "shortage_cost": {"item 00": "much"}},
            "shortage_cost of item 'item 00' does not fit",
        ),
        ({"holding_cost": "1", "shortage_cost": 1}, "holding_cost does not fit"),
        (
            {"holding_cost": pl.DataFrame({"item": [1]}), "shortage_cost": 1},
            "holding_cost has no such column",
        ),
    ],
)
def test_costs_that_do_not_fit_are_told_before_the_training(
    costs: dict[str, Any], message: str, panel: Panel
) -> None:
    with pytest.raises((UsageError, InputError), match=message):
        backtest(tiny(), panel, **costs)


def test_costs_of_items_in_a_frame(panel: Panel) -> None:
    frame = pl.DataFrame({"unique_id": list(COSTS), "shortage_cost": list(COSTS.values())})
    one, other = (backtest(tiny(), panel, holding_cost=0.5, shortage_cost=given) for given in (COSTS, frame))
    assert one.as_dict()["costs"] == other.as_dict()["costs"] != []
