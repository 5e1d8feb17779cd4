"""`recurra suggest` and `recurra train keyboard`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recurra.cli.at_once import answer


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


def test_a_personal_layer_whose_last_line_is_torn_is_used_and_the_loss_is_said(
    run: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.jsonl"
    monkeypatch.setenv("RECURRA_PERSONAL", str(own))
    assert run("suggest", "--learn", "see you Zsófia").code == 0
    with own.open("a", encoding="utf-8") as file:
        file.write('{"learnt": 3, "ro')
    answer = run("suggest", "I am Zs", "--model", trained)
    assert answer.out.strip() == "Zsófia"
    assert "own.jsonl was not written to its end" in answer.err
    assert run("suggest", "--learn", "see you").code == 0
    assert "its end" not in run("suggest", "I am Zs", "--model", trained).err


def test_without_a_keyboard_it_says_how_to_get_one(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.cli.at_once.SHIPPED", Path("nowhere"))
    answer = run("suggest", "see you ")
    assert answer.code == 2
    assert "recurra train keyboard" in answer.err


@pytest.mark.parametrize("more", [[], ["--json"], ["-k", "2"], ["--no-personal", "-k", "1", "--json"]])
def test_a_plain_question_is_answered_at_once_and_as_ever(
    run: Any, trained: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["suggest", "see you to", "--model", str(trained), *more]
    assert answer(arguments)
    assert capsys.readouterr().out == run(*arguments).out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["forecast", "a"],
        ["suggest"],
        ["suggest", "--help"],
        ["suggest", "a", "b"],
        ["suggest", "a", "-k", "0"],
        ["suggest", "a", "-k"],
        ["suggest", "a", "-k", "²"],
        ["suggest", "a", "--model"],
        ["suggest", "a", "--model", "nowhere"],
        ["suggest", "a", "--learn"],
    ],
)
def test_all_else_is_left_to_the_parser(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert not answer(arguments)
    assert capsys.readouterr() == ("", "")
