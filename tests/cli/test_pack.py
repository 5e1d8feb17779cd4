"""`recurra pack`, and `recurra forecast --model` of a packed model, in a process without torch too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recurra import native
from recurra.forecasting import Forecaster

pytestmark = pytest.mark.skipif(not native.available(), reason="the extension was not built")

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
sys.argv = {arguments!r}
from recurra.cli import main
main()
"""


@pytest.fixture
def model(trained: Path, shop: Path) -> Path:
    """A trained model's folder of one's own, beside the sales; the folder is the current one."""
    shutil.copytree(trained, shop / "model")
    return Path("model")


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = WITHOUT_TORCH.format(arguments=["recurra", *map(str, arguments)])
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_packed_model_forecasts_without_torch(run: Any, model: Path) -> None:
    options = ("--lead-time", 1, "--review", 2)
    assert run("forecast", "sales.csv", "--model", model, *options, "--out", "before").code == 0
    answer = run("pack", model)
    assert answer.code == 0
    assert "read.packed" in answer.out
    assert "weights in float32" in answer.out
    assert "differs from its source by" in answer.err
    done = without_torch("forecast", "sales.csv", "--model", model, *options, "--out", "after")
    assert done.returncode == 0, done.stderr
    before, after = (pl.read_csv(f"{name}/forecast.csv") for name in ("before", "after"))
    assert before.columns == after.columns
    for name in before.columns[2:]:
        assert (before[name] - after[name]).abs().max() <= 2e-4  # type: ignore[operator]
    plans = [pl.read_csv(f"{name}/plan.csv")["order_up_to"] for name in ("before", "after")]
    assert (plans[0] - plans[1]).abs().max() <= 1  # type: ignore[operator]
    assert "packed weights" in Path("after/report.html").read_text(encoding="utf-8")


def test_the_document(run: Any, model: Path) -> None:
    document = run("pack", model, "--weights", "int8", "--json").document
    assert document.keys() == {"notes", "model", "weights", "error", "files"}
    assert (document["model"], document["weights"]) == ("model", "int8")
    assert 0 < document["error"] < 0.1
    assert document["files"] == {path.name: path.stat().st_size for path in model.glob("*.packed")}
    assert set(document["files"]) == {"answer.packed", "read.packed"}
    again = run("pack", model, "--json").document
    assert again["error"] < document["error"]
    assert again["files"]["read.packed"] > document["files"]["read.packed"]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_cannot_be_packed_stays_as_it_was(
    run: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("pack", model).code == 0
    before = content(model)
    answer = run("pack", model, "--weights", "int3")
    assert answer.code == 2
    assert "no such weights (found 'int3'). Use float32, float16, int8, int4." in answer.err
    monkeypatch.setattr("recurra.forecasting.fitting.BOUNDS", {"int8": 1e-9})
    answer = run("pack", model, "--weights", "int8")
    assert answer.code == 2
    assert "differ from the network's by 0.0" in answer.err
    assert "1e-09 is allowed" in answer.err
    for wrong, said in (("nothing", "no such model folder"), ("sales.csv", "this is a file")):
        answer = run("pack", wrong)
        assert answer.code == 1
        assert said in answer.err
    assert content(model) == before
    Forecaster.load(model).predict()


def test_a_damaged_packed_file_is_named(run: Any, model: Path) -> None:
    assert run("pack", model).code == 0
    read = model / "read.packed"
    read.write_bytes(read.read_bytes()[:1000])
    answer = run("forecast", "sales.csv", "--model", model)
    assert answer.code == 1
    assert "model/read.packed: this is no packed network" in answer.err
    assert answer.out == ""


def test_packing_needs_torch_and_says_so(model: Path) -> None:
    done = without_torch("pack", model)
    assert done.returncode == 2
    assert "pip install 'recurra[train]'" in done.stderr
    assert "Traceback" not in done.stderr
