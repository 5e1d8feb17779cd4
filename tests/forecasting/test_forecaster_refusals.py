"""What a forecaster refuses, and the small and odd data that it takes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_shop import HORIZON, assert_sound, frame_of, panel_of, sales, tiny

from recurra.errors import InputError, NotFittedError, UsageError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel


def test_nothing_works_before_fit(tmp_path: Path) -> None:
    model = tiny()
    for verb in (
        model.predict,
        model.simulate,
        model.forecast,
        model.training_facts,
        partial(model.save, tmp_path / "m"),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            verb()
    with pytest.raises(NotFittedError):
        model.plan_stock(lead_time=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": 0}, {"horizon": 2.5}, {"horizon": True}, {"horizon": 10**9}, {"horizon": "week"},
        {"hidden_size": 10**9}, {"layers": 0}, {"layers": 10**6}, {"embedding_size": -1}, {"batch_size": 0},
        {"dropout": 1.0}, {"dropout": -0.1}, {"dropout": "half"}, {"dropout": float("nan")},
        {"cell": "lstn"}, {"cell": 7}, {"steps": 0}, {"steps": 1.5}, {"learning_rate": 0.0}, {"learning_rate": "fast"},
        {"patience": 0}, {"seed": -1}, {"seed": "x"}, {"frequency": "fortnightly"}, {"frequency": 7},
        {"date_format": 7}, {"unit": 7}, {"decimal": 7}, {"gaps": 1}, {"columns": ["a"]}, {"negative": "drop"},
        {"cancellations": 1}, {"view": "far"},
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong: dict[str, Any], small_panel: Panel) -> None:
    with pytest.raises(UsageError):
        tiny(**wrong).fit(frame_of(small_panel))


def test_data_of_another_frequency_are_refused(fitted: Forecaster) -> None:
    with pytest.raises(InputError, match="the data are weekly, the model was trained on daily data"):
        fitted.predict(panel_of(sales(2, 20), frequency="weekly"))


def test_histories_that_are_too_short(fitted: Forecaster) -> None:
    one_row = pl.DataFrame({"unique_id": ["a"], "ds": ["2023-01-02"], "y": [1]})
    one_date = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2023-01-02"] * 2, "y": [1, 2]})
    for frame in (one_row, one_date):
        for verb in (tiny().fit, fitted.predict):
            with pytest.raises(InputError, match="at least two"):
                verb(frame)
    with pytest.raises(UsageError, match=r"horizon of 5 periods is longer than the history.*at most 3"):
        tiny().fit(panel_of(sales(2, 4)))
    for length in (6, 14):  # too short to hold anything out, but enough
        model = tiny(steps=2).fit(panel_of(sales(2, length)))
        assert model.outcome_.best_loss is None
        assert_sound(model.predict())


def test_a_frame_shorter_than_the_horizon_can_be_forecast(fitted: Forecaster) -> None:
    table = fitted.predict(panel_of(sales(2, 2)))
    assert_sound(table)
    assert table.height == 2 * HORIZON


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_series(value: float) -> None:
    model = tiny(steps=150, learning_rate=0.02).fit(panel_of(np.full((3, 40), value)))
    table = model.predict()
    assert_sound(table)
    np.testing.assert_allclose(table["q0.5"], value, atol=1.0)
    assert model.plan_stock(lead_time=1, review=1).frame.height == 3


def test_a_single_series() -> None:
    model = tiny().fit(panel_of(sales(1, 40)))
    assert model.predict().height == HORIZON
    assert model.copula_.shared == 0.0


def test_negative_sales_can_be_kept(small_panel: Panel) -> None:
    frame = frame_of(small_panel).with_columns(pl.col("y") - 30)
    kept, floored = tiny(negative="keep").fit(frame), tiny().fit(frame)
    assert kept.predict()["q0.1"].min() < 0
    assert floored.predict()["q0.1"].min() >= 0


def test_calibrating_a_plan_needs_the_sales(fitted: Forecaster, small_panel: Panel) -> None:
    with pytest.raises(UsageError, match="calibrating a plan needs the sales"):
        fitted.plan_stock(lead_time=1, review=1, calibrate=True)
    plan = fitted.plan_stock(small_panel, lead_time=1, review=1, calibrate=True)
    assert plan.frame["spread"].min() > 0
