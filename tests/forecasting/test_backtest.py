from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_shop import HORIZON, frame_of, panel_of, sales, shop, tiny

from recurra.errors import InputError, UsageError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.baselines import same_season_quantiles, seasonal_naive_quantiles
from recurra.forecasting.data import Panel
from recurra.forecasting.forecast import QUANTILES
from recurra.forecasting.metrics import (
    bias,
    calibration,
    interval_coverage,
    mase,
    rmsse,
    weighted_quantile_loss,
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Six series, the last one beginning between the first origin and the second."""
    return panel_of(sales(6, 70), [0, 0, 10, 0, 0, 58])


@pytest.fixture(scope="module")
def result(panel: Panel) -> Backtest:
    return backtest(tiny(), panel, origins=3)


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
            return forecast.at(QUANTILES), forecast.quantiles.mean()
        method: Any = seasonal_naive_quantiles if name == "seasonal naive" else same_season_quantiles
        return method(past.values, past.first, HORIZON, 7, QUANTILES)

    assert [score.name for score in result.scores] == [
        "recurra LSTM 1 × 8",
        "last 8 same weekdays",
        "seasonal naive",
    ]
    assert (result.horizon, result.origins) == (HORIZON, 3)
    for score in result.scores:
        actuals, quantiles, means, scaled, absolute = [], [], [], [], []
        for end in (55, 60, 65):
            past = panel.until(end)
            rows = [panel.ids.index(name) for name in past.ids]
            assert len(rows) == (5 if end == 55 else 6)  # the last one had not begun at the first origin
            found, mean = ask(score.name, past)
            actual = panel.values[rows, end : end + HORIZON]
            actuals.append(actual)
            quantiles.append(found)
            means.append(mean)
            scaled.append(rmsse(actual, mean, past.values, past.first).value)
            absolute.append(mase(actual, mean, past.values, past.first, 7).value)
        y, q = np.concatenate(actuals), np.concatenate(quantiles)
        assert score.weighted_quantile_loss == pytest.approx(weighted_quantile_loss(y, q, QUANTILES))
        assert score.rmsse == pytest.approx(np.mean(scaled))
        assert score.mase == pytest.approx(np.mean(absolute))
        assert score.coverage == pytest.approx(interval_coverage(y, q, QUANTILES, 0.8))
        assert score.bias == pytest.approx(bias(y, np.concatenate(means)))
        if score is result.scores[0]:
            assert result.calibration is not None
            for ours, theirs in zip(result.calibration, calibration(y, q, QUANTILES), strict=True):
                np.testing.assert_allclose(ours, theirs)


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
