from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import HORIZON, frame_of, panel_of, sales, tiny

import recurra
from recurra.artifact import Model, load_model, save_model
from recurra.errors import ModelError, RecurraError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel


@pytest.fixture(scope="module")
def saved(fitted: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "shop"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(saved: Path) -> Model:
    return load_model(saved)


def restored(model: Model, **changes: Any) -> Forecaster:
    parts = {
        "kind": model.kind,
        "arguments": model.arguments,
        "fitted": model.fitted,
        "weights": model.weights,
    }
    return Forecaster._of(Model(**(parts | changes)), "shop")


def test_a_loaded_model_answers_as_the_fitted_one(
    fitted: Forecaster, saved: Path, small_panel: Panel
) -> None:
    other = frame_of(panel_of(sales(2, 30, seed=5), ids=("item 01", "new")))
    before = torch.get_rng_state()
    for read in (Forecaster.load, recurra.load):
        loaded = read(saved)
        assert isinstance(loaded, Forecaster)
        assert loaded.get_params() == fitted.get_params()
        assert loaded.predict().equals(fitted.predict())
        assert loaded.simulate(7).equals(fitted.simulate(7))
        assert loaded.predict(other).equals(fitted.predict(other))
        plans = [each.plan_stock(lead_time=2, review=2, on_hand=1).frame for each in (loaded, fitted)]
        assert plans[0].equals(plans[1])
        assert loaded.training_facts() == fitted.training_facts()
        assert loaded.notes_ == fitted.notes_
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_model_can_be_saved_and_fitted_again(
    saved: Path, tmp_path: Path, small_panel: Panel
) -> None:
    loaded = Forecaster.load(saved)
    loaded.save(tmp_path / "again")
    for name in ("config.json", "weights.safetensors", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()
    assert loaded.fit(small_panel).predict().equals(tiny().fit(small_panel).predict())


@pytest.mark.parametrize("frequency", ["hourly", "weekly", "monthly", "yearly"])
def test_every_frequency_can_be_kept(frequency: str, tmp_path: Path) -> None:
    panel = panel_of(sales(2, 20), frequency=frequency, start="2001-01-01")
    model = tiny(steps=1).fit(panel)
    model.save(tmp_path / "m")
    assert Forecaster.load(tmp_path / "m").predict().equals(model.predict())


def test_the_card_says_what_the_model_is(saved: Path) -> None:
    card = (saved / "README.md").read_text()
    assert "Forecasts 5 daily periods of 6 series, after 2023-03-12." in card
    assert "1 × LSTM(8)" in card


@pytest.mark.parametrize(
    "absurd",
    [
        {"hidden_size": 10**9},
        {"layers": 10**6},
        {"horizon": 10**9},
        {"embedding_size": 2**70},
        {"hidden_size": 8192},
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(
    model: Model, absurd: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = torch.empty

    def small_or_meta(*args: Any, **options: Any) -> torch.Tensor:
        made = original(*args, **options)
        assert made.is_meta or made.numel() < 1000
        return made

    monkeypatch.setattr(torch, "empty", small_or_meta)
    with pytest.raises(ModelError):
        restored(model, arguments=model.arguments | absurd)


def broken(weights: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every array, spoiled in each way that an array can be."""
    for name, array in weights.items():
        ways = [array[:-1], array[None], array.reshape(-1)[:1], array.astype(np.float16)]
        if array.dtype.kind == "f" and array.size:
            ways += [array * np.nan, array.astype(np.float64 if array.dtype == np.float32 else np.float32)]
        for way in ways:
            yield weights | {name: way}
        yield {key: value for key, value in weights.items() if key != name}


def test_weights_that_do_not_fit_are_refused(model: Model) -> None:
    for weights in broken(model.weights):
        with pytest.raises(ModelError):
            restored(model, weights=weights)
    root, unit, codes = (model.weights[name] for name in ("copula.root", "memory.unit", "memory.codes"))
    for wrong in (
        {"network.more": np.zeros(3, dtype=np.float32)},
        {"copula.root": root * 2},
        {"copula.root": root * 1e200},
        {"copula.root": root.T[::-1].copy()},
        {"memory.unit": -unit},
        {"memory.unit": unit * 0},
        {"memory.unit": np.full_like(unit, 1e38)},
        {"memory.codes": codes + 1},
        {"memory.codes": codes - 2},
    ):
        with pytest.raises(ModelError):
            restored(model, weights=model.weights | wrong)


OUTCOME = {"steps": 1, "seconds": 1.0, "stopped": "steps", "best_step": 1, "best_loss": 1.0, "loss": 1.0}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("end", "2023-03-12T05:00:00"), ("end", "2023"), ("end", "99999-01-01"), ("end", "-2023-01-01"), ("end", "NaT"),
        ("end", 5), ("rhythm", {"name": "daily", "anchor": 10**30, "day": 1}), ("rhythm", {"name": "daily"}),
        ("rhythm", {"name": "monthly", "anchor": 0, "day": 400}), ("rhythm", {"name": "weekly", "anchor": 0, "day": 1}),
        ("shared", 1.0), ("shared", "nan"), ("inputs", {}), ("inputs", {"typical": 1e300}), ("leaves", ["no such"]),
        ("levels", [0.5]), ("spread", [1.0]), ("spread", [0.0, 1.0]),
        ("series", ["a"] * 6), ("series", "abcdef"), ("items", [1, 2, 3, 4, 5, 6]), ("items", []),
        ("outcome", {}), ("outcome", None),
        ("outcome", OUTCOME | {"best_loss": ""}), ("outcome", OUTCOME | {"loss": []}),
    ],
)  # fmt: skip
def test_what_was_found_out_must_fit(model: Model, place: str, value: Any) -> None:
    with pytest.raises(ModelError):
        restored(model, fitted=model.fitted | {place: value})


LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from([0, -1, 10**30, 1e300, "", "daily", "weekly", "2023-03-12", "1", "lstm"]),
)
JSON = st.one_of(LEAF, st.lists(LEAF, max_size=3), st.dictionaries(st.text(max_size=3), LEAF, max_size=3))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))


@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), JSON), min_size=1, max_size=2))
def test_a_hostile_config_is_refused_or_consistent(
    changes: list[tuple[int, Any]], model: Model, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = copy.deepcopy({"arguments": model.arguments, "fitted": model.fitted})
    places = [path for part in config for path in leaves(config[part], (part,)) if len(path) > 1]
    for number, value in changes:
        path = places[number % len(places)]
        inner: Any = config
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = copy.deepcopy(value)
        except (LookupError, TypeError):
            continue  # the first change took the place of the second
    try:
        found = restored(model, **config)
    except ModelError:
        return
    table = found.predict()
    quantiles = table.select(pl.col("^q.*$")).to_numpy()
    assert table.height == 6 * HORIZON
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles) >= 0).all()
    assert found.simulate(2).height == 12 * HORIZON
    found.plan_stock(lead_time=1, review=1)
    json.dumps(found.training_facts())
    folder = tmp_path_factory.mktemp("hostile") / "m"
    try:
        found.save(folder)
    except RecurraError:
        return
    assert Forecaster.load(folder).predict().equals(table)


def test_a_hostile_folder_of_another_kind(model: Model, tmp_path: Path) -> None:
    weights = {"x": np.zeros(2, dtype=np.float32)}
    save_model(tmp_path / "m", kind="Forecaster", arguments={}, fitted={}, weights=weights, card="")
    with pytest.raises(ModelError, match="does not fit a Forecaster"):
        recurra.load(tmp_path / "m")
