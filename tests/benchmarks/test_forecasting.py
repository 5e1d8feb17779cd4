"""The forecasting benchmarks run on a tiny cut, keep what they found, and score as they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "forecasting"


@pytest.fixture(scope="module")
def measuring() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import measuring

    yield measuring
    sys.path.remove(str(FOLDER))
    del sys.modules["measuring"]


@pytest.fixture(scope="module")
def competitions(measuring: ModuleType) -> Iterator[ModuleType]:
    import competitions

    yield competitions
    del sys.modules["competitions"]


def run(name: str, *arguments: str | Path, data: Path = ROOT) -> str:
    environment = os.environ | {"RECURRA_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def series(file: Path) -> None:
    """A file like competitions.parquet, of one set with a test part and one without."""
    draw = np.random.default_rng(0)
    rows = []
    for dataset, period, horizon in (("m3", "yearly", 6), ("m4", "weekly", 13)):
        for number in range(6):
            y = (100 + 5 * np.arange(40 + number) + draw.normal(0, 5, 40 + number)).tolist()
            test = y[-horizon:] if dataset == "m3" else []
            rows.append((dataset, f"{period}{number}", period, horizon, y, test))
    file.parent.mkdir()
    pl.DataFrame(
        rows, schema=["dataset", "unique_id", "period", "horizon", "y", "y_test"], orient="row"
    ).write_parquet(file)


@pytest.mark.slow
def test_competitions_prints_each_set_and_keeps_its_figures(tmp_path: Path) -> None:
    series(tmp_path / "series" / "competitions.parquet")
    arguments = ["--quick", "--sets", "m3-yearly,m4-weekly", "--out", tmp_path / "kept.json"]
    said = run("competitions.py", *arguments, data=tmp_path)
    assert said.count("recurra") == 2
    assert "m4-weekly: MASE against AutoTheta: not measured" in said
    kept = json.loads((tmp_path / "kept.json").read_text())
    kept["m3-yearly recurra"]["mase"] = 2.610
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    again = run("competitions.py", *arguments, data=tmp_path)
    assert "m3-yearly: MASE against the better peer, 2.610: 1.000 × (at most 1.03): reached" in again


def test_competitions_holds_out_the_last_horizon_where_there_is_no_test_part(
    competitions: ModuleType, tmp_path: Path
) -> None:
    series(tmp_path / "series" / "competitions.parquet")
    table = pl.read_parquet(tmp_path / "series" / "competitions.parquet")
    panel, actual = competitions.load(table, competitions.SETS["m4-weekly"])
    whole = table.filter(dataset="m4").sort("unique_id")["y"].to_list()
    for row, first, came, y in zip(panel.values, panel.first, actual, whole, strict=True):
        np.testing.assert_allclose(np.concatenate([row[first:], came]), y, rtol=1e-6)
    assert panel.values.shape == (6, 45 - 13)  # the series end together


@pytest.mark.slow
def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "competitions.py")]
    environment = os.environ | {"RECURRA_DATA": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 1
    assert "skipped" in done.stderr


@pytest.mark.slow
def test_peers_prints_the_methods_at_hand(tmp_path: Path) -> None:
    said = run("peers.py", "--quick", "--methods", "recurra,weekday-8", "--out", tmp_path / "kept.json")
    assert "| recurra |" in said
    assert "WQL against weekday-8's" in said
    assert json.loads((tmp_path / "kept.json").read_text())["recurra"]["gigabytes"] > 0.05


@pytest.mark.slow
def test_large_goes_from_parquet_to_parquet() -> None:
    said = run("large.py", "--quick", "--paths", "5")
    assert "| packed | 60 |" in said
    assert "packed: peak memory" in said
    assert "torch: peak memory" in said


def test_what_is_kept_is_read_again_and_added_to(measuring: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "kept.json"
    measuring.Kept(file).add("first", {"loss": 0.5})
    again = measuring.Kept(file)
    again.add("second", {"loss": 0.25})
    both = measuring.Kept(file)
    assert (both["first"]["loss"], both["second"]["loss"]) == (0.5, 0.25)
    assert both["first"]["date"] in both.sources()
    assert list(tmp_path.glob("folder/*")) == [file]


def test_the_peers_take_the_torch_that_recurra_is_tested_with() -> None:
    files = (ROOT / "constraints.txt", ROOT / "benchmarks" / "requirements.txt")
    pins = [[line for line in file.read_text().splitlines() if line.startswith("torch==")] for file in files]
    assert pins[0] == pins[1]
    assert len(pins[0]) == 1
