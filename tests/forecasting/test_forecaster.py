"""What a forecaster answers: forecasts, paths, plans; and what its model depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import HORIZON, assert_sound, frame_of, numbers, panel_of, sales, shop, tiny

from recurra.cells import CELLS
from recurra.errors import InputError, NotFittedError, RecurraError, UsageError
from recurra.forecasting.distribution import Copula
from recurra.forecasting.forecast import QUANTILES
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.covariates import AT_LEAST
from recurra.forecasting.sales.data import Panel

COLUMNS = ["unique_id", "ds", "mean", *(f"q{level:g}" for level in QUANTILES)]


# What comes out


def test_predict_has_a_row_for_each_series_and_period_ahead(fitted: Forecaster, small_panel: Panel) -> None:
    table = fitted.predict()
    assert table.columns == COLUMNS
    assert table["unique_id"].to_list() == np.repeat(small_panel.ids, HORIZON).tolist()
    ahead = small_panel.dates[-1] + np.arange(1, HORIZON + 1)
    assert table["ds"].to_list() == ahead.tolist() * 6
    assert_sound(table)
    assert (table["mean"] > table["q0.1"]).all()
    assert (table["mean"] < fitted.predict(quantiles=[0.99])["q0.99"]).all()


@pytest.mark.parametrize("frequency", ["hourly", "weekly", "monthly", "quarterly", "yearly"])
def test_every_frequency_goes_on_with_its_own_dates(frequency: str) -> None:
    panel = panel_of(sales(2, 20), [0, 3], frequency=frequency, start="2001-01-01")
    model = tiny(steps=2, frequency=frequency).fit(frame_of(panel))
    table = model.predict()
    expected = panel.frequency.dates(panel.dates[0], 20 + HORIZON)[20:]
    np.testing.assert_array_equal(table["ds"].to_numpy()[:HORIZON], expected)
    assert_sound(table)


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame, pa.table])
def test_the_answer_comes_in_the_library_of_the_frame(
    fitted: Forecaster, small_panel: Panel, library: Any
) -> None:
    frame = library(frame_of(small_panel).to_dict(as_series=False))
    model = tiny().fit(frame)
    for answer, expected in (
        (model.predict(), fitted.predict()),
        (model.simulate(4), fitted.simulate(4)),
        (fitted.predict(frame), fitted.predict(frame_of(small_panel))),
        (model.plan_stock(lead_time=2, review=1).frame, fitted.plan_stock(lead_time=2, review=1).frame),
        (
            fitted.plan_stock(frame, lead_time=2, review=1).frame,
            fitted.plan_stock(lead_time=2, review=1).frame,
        ),
    ):
        assert type(answer) is type(frame)
        found = pl.DataFrame({name: list(answer[name]) for name in expected.columns})
        if library is pa.table:
            found = pl.DataFrame(answer.to_pydict())
        assert found["unique_id"].to_list() == expected["unique_id"].to_list()
        for name in expected.columns:
            if expected[name].dtype.is_numeric():
                np.testing.assert_array_equal(found[name].to_numpy(), expected[name].to_numpy())


def test_a_file_a_frame_and_a_panel_are_the_same(
    fitted: Forecaster, small_panel: Panel, tmp_path: Path
) -> None:
    frame_of(small_panel).write_csv(tmp_path / "sales.csv")
    for data in (tmp_path / "sales.csv", str(tmp_path / "sales.csv"), small_panel):
        assert tiny().fit(data).predict().equals(fitted.predict())
        assert fitted.predict(data).equals(fitted.predict(frame_of(small_panel)))


def test_any_quantiles_can_be_asked(fitted: Forecaster) -> None:
    levels = np.linspace(0.001, 0.999, 97)
    assert_sound(fitted.predict(quantiles=levels))
    table = fitted.predict(quantiles=(0.05, 0.5))
    assert table.columns == ["unique_id", "ds", "mean", "q0.05", "q0.5"]
    np.testing.assert_array_equal(table["q0.5"], fitted.predict()["q0.5"])
    for wrong in (
        (),
        (0.5, 0.1),
        (0.5, 0.5),
        (0, 0.5),
        (0.5, 1),
        (float("nan"),),
        ("half",),
        0.5,
        None,
        [[0.5]],
    ):
        with pytest.raises(UsageError, match=r"the quantiles do not fit.*Give rising numbers"):
            fitted.predict(quantiles=wrong)  # type: ignore[arg-type]


ZEROS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 7.0]), min_size=24, max_size=24)
SERIES = st.one_of(
    ZEROS,
    st.just([0.0] * 24),
    st.floats(0.0, 1e6).map(lambda value: [value] * 24),
    st.lists(st.floats(0.0, 1e12), min_size=24, max_size=24),
    st.lists(st.floats(-1e3, 1e3), min_size=24, max_size=24),
)


@given(st.lists(SERIES, min_size=1, max_size=4), st.integers(0, 9))
@settings(max_examples=12)
def test_forecasts_are_sound_whatever_was_sold(rows: list[list[float]], seed: int) -> None:
    panel = panel_of(rows, [seed] * len(rows))
    model = tiny(steps=3, seed=seed).fit(panel)
    table = model.predict(quantiles=(0.00001, *QUANTILES, 0.99999))
    assert_sound(table, nonnegative=panel.nonnegative)
    assert (table["mean"] >= table["q1e-05"]).all()
    assert (table["mean"] <= table["q0.99999"]).all()
    paths = model.simulate(20)["y"].to_numpy()
    assert np.isfinite(paths).all()
    assert paths.min() >= 0 or not panel.nonnegative
    if panel.whole:
        np.testing.assert_array_equal(paths, np.rint(paths))


# Paths and plans


def test_paths_are_whole_where_sales_are(fitted: Forecaster, small_panel: Panel) -> None:
    table = fitted.simulate(30)
    assert table.columns == ["unique_id", "path", "ds", "y"]
    assert table.height == 6 * 30 * HORIZON
    assert table["path"].to_list() == np.tile(np.repeat(range(30), HORIZON), 6).tolist()
    assert table["unique_id"].to_list() == np.repeat(small_panel.ids, 30 * HORIZON).tolist()
    assert table["ds"].to_list() == (small_panel.dates[-1] + np.arange(1, HORIZON + 1)).tolist() * 180
    y = table["y"].to_numpy()
    np.testing.assert_array_equal(y, np.rint(y))
    assert y.min() >= 0
    halves = tiny().fit(panel_of(small_panel.values / 2 + 0.25)).simulate(30)["y"].to_numpy()
    assert (halves != np.rint(halves)).any()


def test_each_period_of_the_paths_has_its_forecast_distribution() -> None:
    model = tiny(steps=20).fit(panel_of(sales(3, 60) + 0.5))  # not whole, so that nothing is rounded
    drawn = model.forecast().draw(20_000)
    expected = model.predict().select(pl.col("^q.*$")).to_numpy().reshape(3, HORIZON, 9)
    # Of a jump, such as many zeros, the level lies somewhere inside.
    assert ((drawn[..., None] < expected[:, None]).mean(1) <= np.array(QUANTILES) + 0.02).all()
    assert ((drawn[..., None] <= expected[:, None]).mean(1) >= np.array(QUANTILES) - 0.02).all()
    means = model.predict()["mean"].to_numpy().reshape(3, HORIZON)
    np.testing.assert_allclose(drawn.mean(1), means, rtol=0.03)


def test_the_same_seed_gives_the_same_paths(fitted: Forecaster) -> None:
    assert fitted.simulate(9).equals(fitted.simulate(9))
    assert fitted.simulate(9).equals(fitted.simulate(9, seed=0))
    assert not fitted.simulate(9).equals(fitted.simulate(9, seed=1))
    assert fitted.simulate(9).filter(path=2).equals(fitted.simulate(3).filter(path=2))


@pytest.mark.parametrize("wrong", [-1, 1.5, "one", True, 2**70])
def test_a_seed_that_is_none_is_refused(fitted: Forecaster, wrong: Any) -> None:
    with pytest.raises(UsageError, match="seed"):
        fitted.simulate(2, seed=wrong)
    with pytest.raises(UsageError, match="seed"):
        fitted.plan_stock(lead_time=1, review=1, seed=wrong)
    with pytest.raises(UsageError, match="seed"):
        tiny(seed=wrong).fit(shop())


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "many", True, None])
def test_a_number_of_paths_that_is_none_is_refused(fitted: Forecaster, wrong: Any) -> None:
    with pytest.raises(UsageError, match="paths must be a whole number"):
        fitted.simulate(wrong)


def test_a_series_forecast_does_not_depend_on_which_others_are_asked(
    fitted: Forecaster, small_panel: Panel
) -> None:
    frame = frame_of(small_panel)
    for some in (["item 05"], ["item 01", "item 05"]):  # the last one begins late
        part = frame.filter(pl.col("unique_id").is_in(some))
        expected = fitted.predict().filter(pl.col("unique_id").is_in(some))
        np.testing.assert_allclose(numbers(fitted.predict(part)), numbers(expected), rtol=5e-5, atol=1e-5)
        paths = fitted.simulate(50).filter(pl.col("unique_id").is_in(some))["y"].to_numpy()
        # Rounding to whole units may turn on the last bit.
        assert (fitted.simulate(50, part)["y"].to_numpy() == paths).mean() > 0.99


def test_plans_order_more_for_more_safety(fitted: Forecaster, small_panel: Panel) -> None:
    plan = fitted.plan_stock(on_hand=3, lead_time=2, review=3, service_level=0.9)
    table = plan.frame
    assert table["unique_id"].to_list() == list(small_panel.ids)
    np.testing.assert_array_equal(table["order_quantity"], np.maximum(table["order_up_to"].to_numpy() - 3, 0))
    safer = fitted.plan_stock(on_hand=3, lead_time=2, review=3, service_level=0.99).frame
    assert (safer["order_up_to"] >= table["order_up_to"]).all()
    assert safer["order_up_to"].sum() > table["order_up_to"].sum()
    demand = fitted.forecast().draw(500).sum(2)
    np.testing.assert_allclose(table["expected_demand"], demand.mean(1), rtol=1e-6)
    np.testing.assert_array_equal(
        table["order_up_to"], np.quantile(demand, 0.9, axis=1, method="inverted_cdf")
    )
    some = fitted.plan_stock(on_hand={"item 01": 5}, lead_time=0, review=1).frame
    assert some.filter(unique_id="item 01")["on_hand"].item() == 5


def test_a_plan_that_does_not_fit_is_refused_before_any_path_is_drawn(
    fitted: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: Any) -> Any:
        raise AssertionError("paths were drawn")

    monkeypatch.setattr(Copula, "draw", draw)
    wrong: list[dict[str, Any]] = [
        {"lead_time": 3, "review": 3},
        {"lead_time": 3},  # a daily model is reviewed weekly
        {"lead_time": -1, "review": 1},
        {"lead_time": 1, "review": 0},
        {"lead_time": 1.5, "review": 1},
        {"lead_time": 1, "review": 1, "service_level": 1.0},
        {"lead_time": 1, "review": 1, "service_level": "high"},
    ]
    for arguments in wrong:
        with pytest.raises(UsageError):
            fitted.plan_stock(**arguments)
    with pytest.raises(UsageError, match=r"lead time \+ review is 6 periods.*forecasts only 5"):
        fitted.plan_stock(lead_time=3, review=3)


def test_stock_that_cannot_be_read_is_refused(fitted: Forecaster) -> None:
    with pytest.raises(InputError, match="no forecast for: 'item 99'"):
        fitted.plan_stock(on_hand={"item 99": 1}, lead_time=1, review=1)


# The model


def test_the_seed_makes_the_model(fitted: Forecaster, small_panel: Panel) -> None:
    assert tiny().fit(small_panel).predict().equals(fitted.predict())
    assert not tiny(seed=1).fit(small_panel).predict().equals(fitted.predict())


def test_the_callers_random_numbers_go_on_as_if_nothing_had_been(small_panel: Panel) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = tiny(dropout=0.5, layers=2).fit(small_panel)
    model.predict()
    model.simulate(2)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)


def test_nothing_stays_on_the_network(fitted: Forecaster, small_panel: Panel) -> None:
    def content() -> dict[str, bytes]:
        return {name: t.detach().numpy().tobytes() for name, t in fitted.network_.state_dict().items()}

    before, attributes = content(), [set(vars(each)) for each in fitted.network_.modules()]
    fitted.predict(frame_of(small_panel))
    fitted.simulate(3)
    assert content() == before
    assert [set(vars(each)) for each in fitted.network_.modules()] == attributes
    for each in fitted.network_.modules():
        assert not any(isinstance(value, torch.Tensor) for value in vars(each).values())


@pytest.mark.parametrize("cell", [kind.__name__.lower() for kind in CELLS])
def test_every_cell_can_be_used(cell: str, small_panel: Panel) -> None:
    model = tiny(cell=cell, layers=2, steps=3).fit(small_panel)
    assert_sound(model.predict())


def test_fit_forgets_what_was_fitted_before(small_panel: Panel) -> None:
    other = panel_of(sales(2, 40, seed=9), ids=("x", "y"))
    model = tiny().fit(frame_of(small_panel).to_pandas(use_pyarrow_extension_array=False)).fit(other)
    assert model.predict().equals(tiny().fit(other).predict())
    assert model.notes_ == tiny().fit(other).notes_


def test_a_fit_that_is_refused_leaves_the_model_as_it_was(small_panel: Panel) -> None:
    model = tiny().fit(small_panel)
    before = model.predict()
    for data, arguments in (
        ("no such file.csv", {}),
        (small_panel.until(3), {}),
        (small_panel, {"max_seconds": -1}),
    ):
        with pytest.raises(RecurraError):
            model.fit(data, **arguments)  # type: ignore[arg-type]
        assert model.predict().equals(before)


def test_predicting_another_frame_changes_nothing_of_the_model() -> None:
    """Weeks of another weekday, and other items: the model's own forecast stays."""
    mondays = panel_of(sales(2, 30), frequency="weekly")
    model = tiny(steps=2).fit(frame_of(mondays))
    before = model.predict()
    sundays = frame_of(mondays).with_columns(pl.col("ds").dt.offset_by("-1d"))
    found = model.predict(sundays)
    assert found["ds"].dt.weekday().unique().to_list() == [7]
    assert model.predict().equals(before)
    assert before["ds"].dt.weekday().unique().to_list() == [1]


def test_clone_and_parameters(fitted: Forecaster) -> None:
    base = pytest.importorskip("sklearn.base")
    copy = base.clone(tiny(columns={"y": "boxes"}))
    assert copy.get_params() == tiny(columns={"y": "boxes"}).get_params()
    assert base.clone(fitted).get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        base.clone(fitted).predict()


def test_arguments_are_kept_as_they_are() -> None:
    arguments = {"columns": {"y": "boxes"}, "horizon": "soon", "cell": None}
    model = Forecaster(**arguments)  # type: ignore[arg-type]
    assert model.get_params() | arguments == model.get_params()
    assert model.columns is arguments["columns"]


def test_an_unknown_item_is_forecast_like_any_other(fitted: Forecaster, small_panel: Panel) -> None:
    new = frame_of(small_panel).with_columns(
        pl.lit("never seen ").add(pl.col("unique_id")).alias("unique_id")
    )
    table = fitted.predict(new)
    assert table["unique_id"].unique().sort().to_list()[0] == "never seen item 00"
    assert_sound(table)
    width = (table["q0.9"] - table["q0.1"]).to_numpy()
    assert (width > 0.2 * (fitted.predict()["q0.9"] - fitted.predict()["q0.1"]).to_numpy()).all()
    assert not np.allclose(numbers(table), numbers(fitted.predict()))


def test_what_always_sells_is_seen_by_trend(tmp_path: Path) -> None:
    """It is told, it is kept, and can be said."""
    always = panel_of(sales() + 1)
    model = tiny().fit(always)
    assert model.inputs_.view == "trend"
    assert (
        model.notes_[-1]
        == "Sales are seen by level, trend and season: 0.0% of the periods have no sales (view)."
    )
    model.save(tmp_path / "m")
    assert Forecaster.load(tmp_path / "m").predict().equals(model.predict())
    assert_sound(model.predict())
    ran_out = np.zeros(always.values.shape, np.uint8)
    ran_out[0, 3] = AT_LEAST
    assert tiny().fit(replace(always, status=ran_out)).inputs_.view == "level"
    often = tiny().fit(panel_of(sales()))
    assert often.inputs_.view == "level"
    told = tiny(view="level").fit(always)
    assert told.inputs_.view == "level"
    assert told.notes_[-1] == "Sales are seen in units of their level: as told (view)."


def test_new_items_of_what_always_sells_are_forecast_wider() -> None:
    panel = panel_of(sales(12) + 20)
    model = tiny(steps=60, view="trend").fit(panel)
    late = panel_of(np.concatenate([panel.values[:2], panel.values[:2]]), [0, 0, 69, 69])
    found = model.forecast(late).quantiles.values
    width = (found[..., -2] - found[..., 1]).mean(1)
    assert (width[2:] > 1.5 * width[:2]).all()
