"""A keyboard learns, suggests, and goes to a folder and back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recurra
from recurra.errors import InputError, ModelError, NotFittedError, UsageError
from recurra.language.suggestion import Keyboard


def said(keyboard: Keyboard, context: str, prefix: str | None = None, k: int = 3) -> list[str]:
    return [each.text for each in keyboard.suggest(context, prefix, k)]


def test_it_knows_what_comes_next(keyboard: Keyboard) -> None:
    assert said(keyboard, "How are ", k=1) == ["you"]
    assert said(keyboard, "See you ", k=1) == ["tomorrow"]
    assert said(keyboard, "How are you?\nwe went ", k=1) == ["to"]


def test_the_word_at_the_end_is_being_typed(keyboard: Keyboard) -> None:
    assert said(keyboard, "How are you?\nwe really l", k=1) == ["like"]
    assert said(keyboard, "we really ", "l") == said(keyboard, "we really l")
    assert said(keyboard, "See you", "", k=1) == ["tomorrow"]


def test_what_is_typed_already_is_no_suggestion(keyboard: Keyboard) -> None:
    assert "like" not in said(keyboard, "we really like")


def test_words_are_written_as_they_usually_are(keyboard: Keyboard) -> None:
    assert said(keyboard, "How are you?\nthey went to l", k=1) == ["London"]


def test_the_answer_does_not_depend_on_what_was_asked_before(keyboard: Keyboard) -> None:
    text = "How are you?\nwe want to see the beach.\nSee you t"
    whole = keyboard.suggest(text)
    for end in range(len(text)):
        keyboard.suggest(text[:end])
    assert [each.text for each in keyboard.suggest(text)] == [each.text for each in whole]
    np.testing.assert_allclose(
        *([e.probability for e in s] for s in (keyboard.suggest(text), whole)), rtol=1e-5
    )


def test_a_folder_brings_back_the_same(keyboard: Keyboard, folder: Path) -> None:
    again = recurra.load(folder)
    assert isinstance(again, Keyboard)
    for text in ("How are ", "we went to the ", "s", ""):
        assert said(again, text) == said(keyboard, text)
    again.save(folder.parent / "copy")
    assert (folder / "network.packed").read_bytes() == (folder.parent / "copy/network.packed").read_bytes()


def test_using_it_needs_no_torch(folder: Path) -> None:
    program = f"""
import sys
sys.modules["torch"] = None
import recurra
print(recurra.load({str(folder)!r}).suggest("See you ")[0].text)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "tomorrow", done.stderr


def test_too_little_text_is_refused() -> None:
    for texts in ([], [""], ["a few words only"]):
        with pytest.raises(InputError, match="200 words"):
            Keyboard().fit(texts)


@pytest.mark.parametrize("arguments", [{"vocabulary": 0}, {"cell": "lstn"}, {"dropout": 1.0}, {"epochs": 0}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], texts: list[str]) -> None:
    with pytest.raises(UsageError):
        Keyboard(**arguments).fit(texts)  # type: ignore[arg-type]


def test_it_must_be_fitted_first() -> None:
    with pytest.raises(NotFittedError):
        Keyboard().suggest("a")


@pytest.mark.parametrize(
    ("name", "value"),
    [("words", "b a"), ("words", ""), ("marks", ["."] * 3), ("outcome", None), ("parameters", "many")],
)
def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path, name: str, value: object) -> None:
    recurra.load(folder).save(tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    config["fitted"][name] = value
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        recurra.load(tmp_path / "model")


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_where_it_would_have(texts: list[str], tmp_path: Path) -> None:
    arguments = {"embedding_size": 8, "hidden_size": 12, "batch_size": 4, "span": 5, "dropout": 0.1}
    whole = Keyboard(steps=150, **arguments).fit(texts)  # reads the texts more than once
    first = Keyboard(steps=150, **arguments).fit(texts, max_seconds=0.05, checkpoint=tmp_path)
    assert first.outcome_.stopped == "time"
    assert first.outcome_.steps < 150
    again = Keyboard(steps=150, weights="int8", blocked=["like"], **arguments).fit(texts, checkpoint=tmp_path)
    assert again.outcome_.steps == 150
    assert again.network_.description["digest"] == whole.network_.description["digest"]
    with pytest.raises(UsageError, match="other data or another network"):
        Keyboard(steps=150, **arguments).fit(texts[1:], checkpoint=tmp_path)


def test_a_keyboard_is_packed_already(keyboard: Keyboard) -> None:
    with pytest.raises(UsageError, match="packed already"):
        keyboard.pack("int4")
