from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from small_shop import HORIZON, assert_sound, frame_of, numbers, panel_of, sales, shop, tiny

from recurra.errors import InputError, ModelError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.inputs import Inputs, Scale, typical_size
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED, Covariates
from recurra.forecasting.sales.data import Panel


def known(panel: Panel, **covariates: Any) -> Panel:
    return replace(panel, covariates=Covariates(**covariates))


def test_typical_size_is_the_median_of_what_series_sell() -> None:
    panel = panel_of([[1, 1, 1, 1], [0, 0, 6, 6], [0, 0, 0, 0], [100, 0, 0, -100]], first=[0, 2, 0, 0])
    assert typical_size(panel) == 6.0  # of 1, 6 and 50: nothing was sold of the third
    assert typical_size(panel_of(np.zeros((2, 5)))) == 1.0
    empty = replace(panel, status=np.where(panel.values == 0, MISSING, OBSERVED).astype(np.uint8))
    assert typical_size(empty) == 6.0  # of 1, 6 and 100: what is missing is no zero


def test_scales() -> None:
    assert Scale.of(np.array([0, 1, 1, np.nan], np.float32)) == (0, 1, True)
    price = Scale.of(np.array([2, 4, np.nan], np.float32))
    assert price == (3, 1, False)
    assert price.apply(np.array([2, 3, np.nan, 1e30], np.float32)).tolist() == [-1, 0, 0, 10]
    assert Scale.of(np.array([7, 7], np.float32)).apply(np.array([7.0], np.float32)).tolist() == [0]
    assert Scale.of(np.array([np.nan], np.float32)) == (0, 1, False)


def test_attributes_have_rows_of_their_own_and_one_for_any_other() -> None:
    panel = known(panel_of(sales(3, 9)), attributes={"kind": ("b", "a", None), "shop": ("x", "x", "y")})
    inputs = Inputs.of(panel)
    assert inputs.rows(3) == 4 + 3 + 3
    assert inputs.unknown(3).tolist() == [0, 4, 7]
    assert inputs.who(panel, np.array([1, 2, 3]), 3).codes.tolist() == [[1, 6, 8], [2, 5, 8], [3, 4, 9]]
    other = known(panel, attributes={"kind": ("c", "a", "b"), "shop": ("x", None, "y")})
    assert inputs.who(other, np.zeros(3, np.int64), 3).codes.tolist() == [[0, 4, 8], [0, 5, 7], [0, 6, 9]]
    assert inputs.notes(other) == ["Values of kind never seen in training: c; forecast as of no known kind."]
    with pytest.raises(InputError, match="lack the attribute") as caught:
        inputs.who(known(panel, attributes={"kind": ("a",) * 3}), np.zeros(3, np.int64), 3)
    assert caught.value.column == "shop"


def test_series_of_a_kind_are_of_a_size() -> None:
    """Ten series of either kind, one eight times as large: a new one is expected to be like its kind."""
    values = np.repeat([[4.0], [32.0]], 10, axis=0) * np.ones(20)
    panel = known(panel_of(values), attributes={"kind": ("small",) * 10 + ("large",) * 10})
    inputs = Inputs.of(panel)
    codes = inputs.who(panel, np.zeros(20, np.int64), 20).codes
    small, large = inputs.sizes(codes, 20)[[0, 10]]
    assert 4 <= small < 8
    assert 16 < large <= 32
    unknown = inputs.sizes(inputs.unknown(20)[None], 20)
    assert unknown[0] == np.float32(inputs.typical)


def test_what_is_known_goes_to_a_file_and_back() -> None:
    generator = np.random.default_rng(0)
    panel = known(
        panel_of(sales(3, 9)),
        attributes={"kind": ("b", "a", None)},
        measures={"size": np.array([1, 2, np.nan], np.float32)},
        past={"visitors": generator.random((3, 9), np.float32)},
        future={"promotion": (generator.random((3, 12)) < 0.5).astype(np.float32)},
    )
    inputs = Inputs.of(panel)
    assert Inputs.from_dict(json.loads(json.dumps(inputs.as_dict()))) == inputs
    for wrong in (
        {"marks": True},
        inputs.as_dict() | {"past": {"visitors": [1.0]}},
        inputs.as_dict() | {"past": {"visitors": [1.0, float("nan"), False]}},
        inputs.as_dict() | {"effects": {"kind": [0.0]}},
        inputs.as_dict() | {"effects": {"other": [0.0]}},
        inputs.as_dict() | {"attributes": 5},
    ):
        with pytest.raises(ModelError):
            Inputs.from_dict(wrong)
    assert Inputs.of(known(panel, **vars(inputs.drawn(3, 9, 12, generator)))).beside == inputs.beside


# What a forecaster does with it


def promoted(seed: int = 0) -> pl.DataFrame:
    """Six items over 120 days; a promotion, drawn for each item and day, makes sales four times as large."""
    generator = np.random.default_rng(seed)
    panel = panel_of(sales(6, 120, seed))
    flags = generator.random((6, 120)) < 0.3
    sold = frame_of(replace(panel, values=panel.values * np.where(flags, 4, 1).astype(np.float32)))
    return sold.with_columns(promotion=pl.Series(flags.ravel()))


@pytest.mark.slow
def test_a_promotion_that_is_planned_is_forecast() -> None:
    frame = promoted()
    model = Forecaster(
        HORIZON, future=["promotion"], steps=200, batch_size=16, hidden_size=24, layers=1, seed=1
    )
    model.fit(frame)
    days = np.datetime64("2023-01-02") + np.arange(120, 120 + HORIZON)
    means = []
    for flag in (True, False):
        ahead = pl.DataFrame({"ds": days, "promotion": [flag] * HORIZON})
        means.append(model.predict(future=ahead)["mean"].sum())
    assert means[0] > 2 * means[1]


def test_what_is_known_ahead_must_reach_over_the_horizon() -> None:
    frame = promoted()
    model = tiny(steps=1, future=["promotion"]).fit(frame)
    with pytest.raises(InputError, match="promotion is known for 0 of the 5 periods"):
        model.predict()
    ahead = pl.DataFrame({"ds": np.datetime64("2023-01-02") + np.arange(120, 123), "promotion": [True] * 3})
    with pytest.raises(InputError, match=r"promotion of item item 00 ends on .*, the forecast needs it"):
        model.predict(future=ahead)
    with pytest.raises(InputError) as caught:
        model.predict(frame.drop("promotion"))
    assert caught.value.column == "promotion"


def test_items_never_sold_are_forecast_from_their_attributes() -> None:
    panel = shop()
    kinds = {name: "odd" if number % 2 else "even" for number, name in enumerate(panel.ids)}
    frame = frame_of(panel).with_columns(kind=pl.col("unique_id").replace_strict(kinds))
    model = tiny(static=["kind"]).fit(frame)
    table = pl.DataFrame(
        {"unique_id": [*kinds, "new", "newer"], "kind": [*kinds.values(), "odd", "never seen"]}
    )
    found = model.predict(items=table)
    assert found["unique_id"].n_unique() == 8
    assert_sound(found)
    old = found.filter(pl.col("unique_id").is_in(panel.ids))
    np.testing.assert_allclose(numbers(old), numbers(model.predict()), rtol=1e-5, atol=1e-5)
    again = model.predict(frame, items=table)
    np.testing.assert_allclose(
        numbers(again.sort("unique_id")), numbers(found.sort("unique_id")), rtol=1e-4, atol=1e-4
    )
    model.update(
        pl.DataFrame({"unique_id": ["new"], "ds": [str(panel.dates[-1] + 1)], "y": [3], "kind": ["odd"]})
    )
    assert model.predict()["unique_id"].n_unique() == 7


@pytest.mark.slow
def test_a_new_item_has_a_wider_fan() -> None:
    """In units of its median: of an item that nothing is known of less can be said than of one that was seen."""
    panel = panel_of(sales(40, 140), first=np.arange(40) * 2)
    kinds = pl.col("unique_id").str.tail(2).cast(pl.Int64).mod(4).cast(pl.String)
    frame = frame_of(panel).with_columns(kind="kind " + kinds)
    model = Forecaster(HORIZON, static=["kind"], steps=250, batch_size=16, hidden_size=24, layers=1, seed=1)
    model.fit(frame)
    table = pl.DataFrame({"unique_id": ["new"], "kind": ["kind 1"]})
    found = model.predict(items=table)
    spread = found.with_columns(spread=(pl.col("q0.9") - pl.col("q0.1")) / pl.col("mean"))
    new = spread.filter(pl.col("unique_id") == "new")["spread"].mean()
    others = spread.filter(pl.col("unique_id") != "new")["spread"].mean()
    assert new > 1.3 * others  # type: ignore[operator]


@pytest.mark.slow
def test_censored_demand_is_estimated_nearer_the_truth() -> None:
    """Shelves hold less than is wanted on every other day: told so, the forecast is nearer to what is wanted."""
    generator = np.random.default_rng(3)
    wanted = generator.poisson(np.geomspace(4, 40, 20)[:, None], (20, 200)).astype(np.float32)
    means = np.geomspace(4, 40, 20)[:, None]
    filled = np.rint(means * generator.uniform(0.2, 0.9, wanted.shape))
    shelf = np.where(generator.random(wanted.shape) < 0.5, filled, np.inf)
    sold, out = np.minimum(wanted, shelf).astype(np.float32), wanted >= shelf
    panel = panel_of(sold)
    settings: dict[str, Any] = {"steps": 700, "batch_size": 16, "hidden_size": 16, "layers": 1, "seed": 0}
    errors = []
    for status in (None, np.where(out, AT_LEAST, OBSERVED).astype(np.uint8)):
        model = Forecaster(HORIZON, **settings).fit(replace(panel, status=status))
        expected = model.forecast().quantiles.mean().mean(1)
        errors.append(np.abs(expected / means[:, 0] - 1).mean())
    assert errors[0] > 0.15  # taken for all that was wanted, sales are far below it
    assert errors[1] < 0.1
