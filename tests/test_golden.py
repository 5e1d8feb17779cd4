"""Model folders that releases wrote load forever, and answer as they did."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import recurra
from recurra.forecasting import Forecaster

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path for path in GOLDEN.iterdir() if path.is_dir() and path.name.startswith("forecaster-"))


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_forecaster_v1", GOLDEN / "make_forecaster_v1.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_one() -> None:
    assert GOLDEN / "forecaster-v1" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_forecaster_answers_as_it_did(folder: Path) -> None:
    model = recurra.load(folder)
    assert isinstance(model, Forecaster)
    expected = pl.read_csv(folder.with_name(f"{folder.name}.expected.csv"), try_parse_dates=True)
    found = maker().answers(model)
    assert found.columns == expected.columns
    assert found.select("asked", "unique_id", "ds").equals(expected.select("asked", "unique_id", "ds"))
    # A path is rounded to whole units: where rounding turns, one path of 50 may differ by one.
    slacks = dict.fromkeys(found.columns[3:-1], 1e-06) | {"paths": 0.021}
    for name, slack in slacks.items():
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=slack, err_msg=name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_saved_again_answers_the_same(folder: Path, tmp_path: Path) -> None:
    model = Forecaster.load(folder)
    model.save(tmp_path / "again")
    assert Forecaster.load(tmp_path / "again").predict().equals(model.predict())


def test_golden_folders_are_small() -> None:
    for folder in FOLDERS:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 60_000
