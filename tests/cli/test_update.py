"""`recurra update`: new sales go into the model's folder, and bad ones leave it as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recurra.cli import main

HEADER = "item,date,quantity\n"


@pytest.fixture
def model(trained: Path, shop: Path) -> Path:
    """A folder of one's own with a model that has read 40 days; it lies in the current one."""
    shutil.copytree(trained, shop / "model")
    return Path("model")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_new_days_move_the_model_on(run: Any, model: Path, sales_text: Callable[..., str]) -> None:
    whole = sales_text(periods=42)
    Path("whole.csv").write_text(whole)
    Path("new.csv").write_text(
        HEADER + "".join(line for line in whole.splitlines(True) if "2025-02-1" in line)
    )
    answer = run("update", "new.csv", "--model", model, "--out", "out")
    assert answer.code == 0, answer.err
    assert "Forecast of 2 items, 5 periods from 2025-02-12" in answer.out
    assert "Wrote out/forecast.csv" in answer.err + answer.out
    assert run("forecast", "whole.csv", "--model", "model", "--out", "again").code == 0
    for name in ("csv", "parquet"):
        read = pl.read_csv if name == "csv" else pl.read_parquet
        found, expected = (read(f"{folder}/forecast.{name}") for folder in ("out", "again"))
        assert found.columns == expected.columns
        assert found.height == 10
    second = run("update", "new.csv", "--model", model)
    assert second.code == 1
    assert "a period that was read already" in second.err


def test_the_document(run: Any, model: Path) -> None:
    Path("new.csv").write_text(HEADER + "apple,2025-02-10,3\nplum,2025-02-10,4\n")
    document = run("update", "new.csv", "--model", model, "--json").document
    assert document["model"] == "model"
    assert {row["unique_id"] for row in document["forecast"]} == {"apple", "pear", "plum"}
    assert document["forecast"][0]["ds"] == "2025-02-11"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("bad.csv", "--model", "model"), 1, "bad.csv"),
        (("old.csv", "--model", "model"), 1, "read already"),
        (("--model", "model"), 2, "either a file or a database"),
        (("none.csv", "--model", "model"), 1, "none.csv"),
        (("old.csv", "--model", "nowhere"), 1, "nowhere"),
        (("old.csv",), 2, "--model"),
    ],
)
def test_what_cannot_be_used_costs_nothing(
    run: Any, model: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    Path("bad.csv").write_text(HEADER + "apple,2025-02-10,many\n")
    Path("old.csv").write_text(HEADER + "apple,2025-02-09,3\n")
    before = contents(model)
    answer = run("update", *arguments)
    assert answer.code == code
    assert said in answer.err
    assert contents(model) == before


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["recurra", "update", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "--model" in capsys.readouterr().out
