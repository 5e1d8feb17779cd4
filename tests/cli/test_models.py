"""`recurra train forecaster` and `recurra forecast --model`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.forecasting import Forecaster

QUICK = ("--horizon", 5, "--steps", 3)


def test_training_writes_a_folder(run: Any, shop: Path) -> None:
    answer = run("train", "forecaster", "sales.csv", *QUICK, "--out", "models/my shop")
    assert answer.code == 0
    assert answer.out == ""
    assert answer.err.endswith("Wrote models/my shop\n")
    names = {path.name for path in (shop / "models/my shop").iterdir()}
    assert names == {"config.json", "weights.safetensors", "README.md"}
    assert Forecaster.load("models/my shop").horizon == 5


def test_the_document_of_a_training(run: Any, shop: Path) -> None:
    answer = run("train", "forecaster", "sales.csv", *QUICK, "--out", "m", "--json")
    assert answer.err == ""
    document = answer.document
    assert document.keys() == {"notes", "model", "training", "interrupted"}
    assert document["model"] == "m"
    assert document["training"]["steps"] == 3
    assert document["notes"]


def test_a_model_answers_as_the_forecast_that_trained_it(run: Any, shop: Path, trained: Path) -> None:
    run("forecast", "sales.csv", *QUICK, "--no-backtest", "--out", "fresh")
    answer = run("forecast", "sales.csv", "--model", trained, "--out", "saved")
    assert answer.code == 0
    assert "Backtest" not in answer.out
    for name in ("fresh", "saved"):
        assert (shop / name / "forecast.csv").exists()
    assert (shop / "fresh/forecast.csv").read_bytes() == (shop / "saved/forecast.csv").read_bytes()


def test_items_that_are_new_to_the_model_are_forecast_and_named(
    run: Any, shop: Path, trained: Path, sales_text: Callable[..., str]
) -> None:
    (shop / "later.csv").write_text(sales_text(("apple", "quince", "kiwi")))
    document = run("forecast", "later.csv", "--model", trained, "--json").document
    assert {row["unique_id"] for row in document["forecast"]} == {"apple", "quince", "kiwi"}
    assert document["notes"][-1] == (
        "2 items that the model was not trained on (kiwi, quince): forecast from their own history alone."
    )


def test_a_model_plans_orders(run: Any, shop: Path, trained: Path) -> None:
    document = run(
        "forecast", "sales.csv", "--model", trained, "--lead-time", 1, "--review", 2, "--json"
    ).document
    assert len(document["plan"]) == 2
    assert document["backtest"] is None


def test_a_model_reads_data_as_it_was_trained_to(run: Any, shop: Path) -> None:
    rows = [f"a,2025-01-{day:02},{day - 16},x\n" for day in range(1, 32)]
    (shop / "kept.csv").write_text("item,date,quantity,other\n" + "".join(rows))
    assert (
        run(
            "train", "forecaster", "kept.csv", *QUICK, "--negative", "keep", "--item", "other", "--out", "m"
        ).code
        == 0
    )
    kept = run("forecast", "kept.csv", "--model", "m", "--json")
    assert {row["unique_id"] for row in kept.document["forecast"]} == {"x"}
    assert not any("counted as 0" in note for note in kept.document["notes"])
    changed = run("forecast", "kept.csv", "--model", "m", "--item", "item", "--negative", "returns", "--json")
    assert {row["unique_id"] for row in changed.document["forecast"]} == {"a"}
    assert any("counted as 0" in note for note in changed.document["notes"])


def test_the_seed_draws_other_paths_from_a_model(run: Any, shop: Path, trained: Path) -> None:
    plan = ("--lead-time", 1, "--review", 2, "--json")
    own, same, other = (
        run("forecast", "sales.csv", "--model", trained, *plan, *seed).document
        for seed in ((), ("--seed", 0), ("--seed", 7))
    )
    assert own["forecast"] == same["forecast"] == other["forecast"]
    assert own["plan"] == same["plan"]
    assert own["plan"] != other["plan"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--horizon", 6), "the model forecasts 5 periods (found '--horizon 6'). Leave --horizon out"),
        (("--steps", 3), "--steps is for training, and --model brings a trained model"),
        (("--max-seconds", 3), "--max-seconds is for training"),
        (("--cell", "gru"), "--cell is for training"),
        (("--checkpoint", "c"), "--checkpoint is for training"),
        (("--backtest",), "--backtest is for training"),
        (("--lead-time", 3, "--review", 3), "lead time + review is 6 periods"),
    ],
)
def test_options_that_do_not_fit_a_model(
    run: Any, shop: Path, trained: Path, options: tuple[object, ...], said: str
) -> None:
    answer = run("forecast", "sales.csv", "--model", trained, *options)
    assert answer.code == 2
    assert said in answer.err
    assert answer.out == ""


def test_the_same_horizon_and_no_backtest_fit_a_model(run: Any, shop: Path, trained: Path) -> None:
    answer = run("forecast", "sales.csv", "--model", trained, "--horizon", 5, "--no-backtest")
    assert answer.code == 0


def test_data_of_another_frequency_are_refused(
    run: Any, shop: Path, trained: Path, sales_text: Callable[..., str]
) -> None:
    (shop / "weekly.csv").write_text(sales_text(days=7))
    answer = run("forecast", "weekly.csv", "--model", trained)
    assert answer.code == 1
    assert "the data are weekly, the model was trained on daily data" in answer.err


def damaged(model: Path) -> None:
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])


def without_weights(model: Path) -> None:
    (model / "weights.safetensors").unlink()


def without_config(model: Path) -> None:
    (model / "config.json").unlink()


def newer(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config |= {"version": 2, "recurra": "9.0"}
    (model / "config.json").write_text(json.dumps(config))


def of_another_class(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["class"] = "Chatbot"
    (model / "config.json").write_text(json.dumps(config))


def of_another_size(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["arguments"]["hidden_size"] = 65
    (model / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damaged, "weights.safetensors: the file is damaged"),
        (without_weights, "weights.safetensors: the model folder lacks this file"),
        (without_config, "the model folder lacks this file"),
        (newer, "written by a newer recurra (9.0, model format 2)"),
        (of_another_class, "this model is no Forecaster (found 'Chatbot')"),
        (of_another_size, "float32"),
    ],
)
def test_a_model_folder_that_cannot_be_used(
    run: Any, shop: Path, trained: Path, damage: Callable[[Path], None], said: str
) -> None:
    shutil.copytree(trained, "m")
    damage(Path("m"))
    answer = run("forecast", "sales.csv", "--model", "m")
    assert answer.code == 1
    assert said in answer.err
    assert "m" in answer.err
    assert answer.out == ""


def test_what_is_no_model_folder(run: Any, shop: Path) -> None:
    (shop / "empty").mkdir()
    for name, said in (
        ("nothing", "nothing: there is no such model folder"),
        ("sales.csv", "sales.csv: this is a file, not a model folder"),
        ("empty", "the model folder lacks this file"),
    ):
        answer = run("forecast", "sales.csv", "--model", name)
        assert answer.code == 1
        assert said in answer.err


def never(*_: object, **__: object) -> None:
    raise AssertionError("training began")


def test_a_place_that_no_model_can_take_is_found_before_the_training(
    run: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Forecaster, "fit", never)
    (shop / "letters").mkdir()
    (shop / "letters/to a friend.txt").write_text("Dear friend")
    for out, code, said in (
        ("sales.csv", 2, "a model is a folder, and this is a file"),
        ("letters", 2, "this folder holds something else than a model"),
        ("sales.csv/m", 1, "this is a file, a folder was expected"),
    ):
        answer = run("train", "forecaster", "sales.csv", *QUICK, "--out", out)
        assert (answer.code, said in answer.err) == (code, True), answer.err
    assert (shop / "letters/to a friend.txt").read_text() == "Dear friend"


def test_a_model_that_is_there_is_replaced(run: Any, shop: Path, trained: Path) -> None:
    shutil.copytree(trained, "m")
    assert run("train", "forecaster", "sales.csv", "--horizon", 4, "--steps", 2, "--out", "m").code == 0
    assert recurra.load("m").get_params()["horizon"] == 4
