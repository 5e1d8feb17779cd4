"""`recurra suggest` and `recurra train keyboard`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the personal layer of whoever runs it."""
    monkeypatch.setenv("RECURRA_PERSONAL", str(tmp_path / "nobody.jsonl"))


@pytest.fixture(scope="module")
def trained(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keyboard")
    line = "how are you today\nI am fine thank you\nsee you tomorrow\n"
    (place / "chats.jsonl").write_text("\n".join(json.dumps({"text": line}) for _ in range(40)))
    answer = run(
        "train", "keyboard", place / "chats.jsonl", "--steps", 60, "--out", place / "model", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.document["words"] > 5
    return place / "model"


def test_it_suggests(run: Any, trained: Path) -> None:
    answer = run("suggest", "see you ", "--model", trained)
    assert answer.code == 0
    assert "tomorrow" in answer.out.strip().split(" · ")
    document = run("suggest", "see you to", "--model", trained, "-k", 2, "--json").document
    assert {each["text"] for each in document["suggestions"]} == {"today", "tomorrow"}
    assert 0 < document["suggestions"][0]["probability"] <= 1


def test_files_that_hold_no_text_are_named(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"txt": "two"}\n')
    answer = run("train", "keyboard", tmp_path / "a.jsonl", "--out", tmp_path / "m")
    assert answer.code == 1
    assert "row 2" in answer.err
    assert not (tmp_path / "m").exists()
    assert run("train", "keyboard", tmp_path / "b.txt", "--out", tmp_path / "m").code == 1


def test_the_personal_layer_is_learnt_shown_and_wiped(
    run: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_PERSONAL", str(tmp_path / "own.jsonl"))
    assert run("suggest", "--learn", "see you Zsófia").code == 0
    assert run("suggest", "--block", "today").code == 0
    assert run("suggest", "I am Zs", "--model", trained).out.strip() == "Zsófia"
    assert "Zsófia" not in run("suggest", "I am Zs", "--model", trained, "--no-personal").out
    assert "today" not in run("suggest", "see you to", "--model", trained).out
    shown = run("suggest", "--show-personal")
    assert "you Zsófia" in shown.out
    assert "today" in shown.err
    assert run("suggest", "--show-personal", "--json").document["rows"]
    assert run("suggest", "--wipe-personal").code == 0
    assert not (tmp_path / "own.jsonl").exists()
    assert run("suggest", "--show-personal", "--json").document["rows"] == []


def test_without_a_keyboard_it_says_how_to_get_one(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.cli.suggesting.SHIPPED", Path("nowhere"))
    answer = run("suggest", "see you ")
    assert answer.code == 2
    assert "recurra train keyboard" in answer.err
