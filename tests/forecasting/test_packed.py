"""A packed forecaster forecasts as its source does, in a process without torch too, and a foreign one is refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from small_shop import HORIZON, frame_of, history_from, network_for, panel_of, sales, shop, tiny

import recurra
from recurra import native
from recurra.cells import CELLS
from recurra.errors import MissingExtraError, ModelError, UsageError
from recurra.forecasting import fitting
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.history import VIEWS
from recurra.forecasting.network import ForecastNetwork
from recurra.forecasting.packed import PackedNetwork
from recurra.forecasting.sales.data import Panel

pytestmark = pytest.mark.skipif(not native.available(), reason="the extension was not built")

NEAR = {"float32": 2e-6, "float16": 1e-3, "int8": 0.05, "int4": 0.3}  # of a quantile's size


def packed(network: ForecastNetwork, weights: str = "float32") -> PackedNetwork:
    return fitting.pack(network, 1, weights, fitting.arrays_of(network))


@pytest.fixture(scope="module")
def model(small_panel: Panel) -> Forecaster:
    """Large enough for matrices in fewer bits, and fitted: tests must not change it."""
    return tiny(hidden_size=64, layers=2, steps=8).fit(small_panel)


@pytest.fixture(scope="module")
def folder(model: Forecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, packed in float32; tests must not change it."""
    copied = copy.deepcopy(model)
    copied.pack()
    copied.save(tmp_path_factory.mktemp("packed") / "m")
    return tmp_path_factory.getbasetemp() / "packed0" / "m"


@pytest.mark.parametrize("cell", sorted(kind.__name__ for kind in CELLS))
@pytest.mark.parametrize("view", VIEWS)
def test_every_cell_forecasts_the_same(cell: str, view: str) -> None:
    """Also series that begin late, among them one that has only just begun."""
    panel = panel_of(sales(5, 40), first=[0, 39, 12, 0, 30])
    network, history = network_for(panel, cell=cell, layers=2, view=view), history_from(panel, view=view)
    found = packed(network)
    (here, state), (there, other) = found.contexts(history), network.contexts(history)
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=2e-6)
    assert state.keys() == other.keys()
    for name, leaf in state.items():
        np.testing.assert_allclose(leaf, other[name], rtol=1e-3, atol=1e-5)
    assert fitting.disagreement(network, found, history) < 2e-6


@pytest.mark.parametrize("weights", NEAR)
def test_fewer_bits_stay_near(model: Forecaster, small_panel: Panel, weights: str) -> None:
    copied = copy.deepcopy(model)
    told = copied.pack(weights, bound=NEAR[weights])
    history = copied._history(small_panel)
    assert copied.packed_ is not None
    assert told < NEAR[weights]
    assert fitting.disagreement(model.network_, copied.packed_, history) < NEAR[weights]
    formats = {each.format for program in copied.packed_.programs.values() for each in program.matrices}
    assert weights in formats


def test_each_series_is_forecast_as_alone() -> None:
    panel = shop()
    found, history = packed(network_for(panel)), history_from(panel)
    together, _ = found.contexts(history)
    for n in range(6):
        alone = history_from(panel.select(panel.ids[n : n + 1]), inputs=history.inputs)
        alone = replace(alone, codes=history.codes[n : n + 1])
        np.testing.assert_array_equal(found.contexts(alone)[0], together[n : n + 1])


def test_many_series_are_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shop()
    found, history = packed(network_for(panel)), history_from(panel)
    context, standing, items = (
        found.contexts(history)[0],
        history.after(np.arange(6), 69, HORIZON),
        history.codes,
    )
    place, ahead = standing.place, standing.ahead
    whole = found.answers(context, place, ahead, items)
    monkeypatch.setattr("recurra.forecasting.packed.ANSWERS", 2 * HORIZON)
    np.testing.assert_array_equal(found.answers(context, place, ahead, items), whole)
    assert found.answers(context[:0], place[:0], ahead[:0], items[:0]).shape == (0, *whole.shape[1:])


def test_quantiles_never_cross_and_are_numbers() -> None:
    panel = panel_of(np.array([np.full(20, 1e15), np.full(20, 1e-6), np.zeros(20), [0.0] * 19 + [1e15]]))
    history = history_from(panel)
    standing = history.after(np.arange(4), 19, HORIZON)
    for scale in (0.0, 1.0, 1e4):
        found = packed(network_for(panel, scale=scale))
        answers = found.answers(found.contexts(history)[0], standing.place, standing.ahead, history.codes)
        assert np.isfinite(answers).all()
        assert (np.diff(answers) >= 0).all()
    with pytest.raises(ModelError, match="not numbers"):
        found.answers(np.full((4, 8), np.nan, np.float32), standing.place, standing.ahead, history.codes)


def test_saved_loaded_copied_and_fitted_again(
    model: Forecaster, folder: Path, small_panel: Panel, tmp_path: Path
) -> None:
    assert {path.name for path in folder.iterdir()} >= {"read.packed", "answer.packed", "weights.safetensors"}
    loaded = Forecaster.load(folder)
    assert "network_" not in vars(loaded)  # torch was not needed
    frame = frame_of(small_panel)
    expected, found = model.predict(frame), loaded.predict(frame)
    assert expected.columns == found.columns
    for name in expected.columns[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
    assert "network_" not in vars(loaded)
    assert copy.deepcopy(loaded).predict(frame).equals(found)
    loaded.save(tmp_path / "again")
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    assert loaded.training_facts() == model.training_facts() | {"packed weights": "float32"}
    loaded.fit(small_panel)
    loaded.save(tmp_path / "again")
    assert not list((tmp_path / "again").glob("*.packed"))


def test_without_the_extension_torch_answers(
    model: Forecaster, folder: Path, small_panel: Panel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "_extension", None)
    monkeypatch.setattr(native, "_said", True)
    loaded = Forecaster.load(folder)
    assert loaded.predict(frame_of(small_panel)).equals(model.predict(frame_of(small_panel)))
    loaded.save(tmp_path / "m")
    assert (tmp_path / "m/read.packed").exists()


def test_packing_is_refused_with_the_figures(model: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = copy.deepcopy(model)
    with pytest.raises(UsageError, match=r"in int8 the forecasts differ .* by 0\.00\d+.*1e-09 is allowed"):
        copied.pack("int8", bound=1e-9)
    with pytest.raises(UsageError, match="no such weights"):
        copied.pack("int3")
    with pytest.raises(UsageError, match="not fitted"):
        tiny().pack()

    def unknown(self: Any, *given: torch.Tensor) -> torch.Tensor:
        return torch.special.i0(given[0])

    monkeypatch.setattr(ForecastNetwork, "answer", unknown)
    with pytest.raises(UsageError, match="cannot be packed: the engine does not know the operation"):
        copied.pack()
    assert copied.packed_ is None


def test_sales_to_compare_with_can_be_given(model: Forecaster, small_panel: Panel) -> None:
    copied = copy.deepcopy(model)
    drawn, told = copied.pack("int8"), copied.pack("int8", frame=small_panel)
    assert drawn != told
    assert copied.packed_ is not None
    assert told == fitting.disagreement(model.network_, copied.packed_, model._history(small_panel))


# Folders that others made


def shorter(model: Path) -> None:
    path = model / "read.packed"
    path.write_bytes(path.read_bytes()[:-100])


def no_packed_file(model: Path) -> None:
    (model / "answer.packed").write_bytes(b"PK\3\4 something else" * 10)


def one_alone(model: Path) -> None:
    (model / "answer.packed").unlink()


def another_one(model: Path) -> None:
    (model / "read.packed").rename(model / "more.packed")


def changed_places(model: Path) -> None:
    (model / "read.packed").write_bytes((model / "answer.packed").read_bytes())


def of_other_weights(model: Path) -> None:
    other = tiny(hidden_size=64, layers=2, steps=2, seed=1).fit(shop())
    other.pack(bound=1)
    other.save(model.parent / "other")
    for name in ("read.packed", "answer.packed"):
        (model / name).write_bytes((model.parent / "other" / name).read_bytes())


def of_another_horizon(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["arguments"]["horizon"] = HORIZON + 1
    (model / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shorter, r"read\.packed: this is no packed network"),
        (no_packed_file, r"answer\.packed: this is no packed network"),
        (one_alone, "a packed forecaster is two programs.*answer"),
        (another_one, "a packed forecaster is two programs.*more, read"),
        (changed_places, r"read\.packed does not fit this model"),
        (of_other_weights, r"read\.packed was packed from other weights"),
        (of_another_horizon, r"answer\.packed does not fit this model"),
    ],
)
def test_a_foreign_packed_file_is_refused(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    copied = tmp_path / "m"
    copied.mkdir()
    for path in folder.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    damage(copied)
    with pytest.raises(ModelError, match=said) as caught:
        recurra.load(copied)
    assert str(copied) in str(caught.value)


# Another process

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import polars as pl
import recurra
{program}
assert sys.modules["torch"] is None
"""
ALL_OF_IT = """
model = recurra.load({model!r})
model.predict({sales!r}).write_parquet("forecast.parquet")
model.simulate(20).write_parquet("paths.parquet")
model.plan_stock(lead_time=2, review=2, on_hand=1).frame.write_parquet("plan.parquet")
model.save("again")
assert recurra.load("again").predict().equals(model.predict())
"""


def without_torch(program: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH.format(program=program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_of_it_without_torch(model: Forecaster, folder: Path, small_panel: Panel, tmp_path: Path) -> None:
    frame_of(small_panel).write_csv(tmp_path / "sales.csv")
    without_torch(ALL_OF_IT.format(model=str(folder), sales=str(tmp_path / "sales.csv")), tmp_path)
    found, expected = pl.read_parquet(tmp_path / "forecast.parquet"), model.predict(frame_of(small_panel))
    for name in expected.columns[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
    paths, ours = pl.read_parquet(tmp_path / "paths.parquet"), model.simulate(20)
    assert (paths["y"] - ours["y"]).abs().max() <= 1  # type: ignore[operator]
    assert (paths["y"] == ours["y"]).mean() > 0.99  # type: ignore[operator]
    assert pl.read_parquet(tmp_path / "plan.parquet").height == 6


def test_a_model_that_is_not_packed_names_torch(model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    program = """
try:
    recurra.load("m")
except recurra.errors.MissingExtraError as error:
    print(error)
"""
    assert "pip install 'recurra[train]'" in without_torch("import recurra.errors" + program, tmp_path)


def test_training_names_torch(folder: Path, tmp_path: Path) -> None:
    program = f"""
import recurra.errors
model = recurra.load({str(folder)!r})
for ask in (lambda: model.fit("sales.csv"), lambda: model.pack("int8")):
    try:
        ask()
    except recurra.errors.MissingExtraError as error:
        print(error)
"""
    assert without_torch(program, tmp_path).count("pip install 'recurra[train]'") == 2
    assert MissingExtraError.of("torch", "train").exit_code == 2
