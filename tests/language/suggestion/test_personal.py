"""The personal layer learns at once, forgets nothing it was told, and is wiped."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.language.suggestion import Keyboard, Personal
from recurra.language.suggestion.personal import usual_place


@pytest.fixture
def own(folder: Path) -> Keyboard:
    return Keyboard.load(folder)


def said(keyboard: Keyboard, text: str) -> list[str]:
    return [each.text for each in keyboard.suggest(text)]


def test_a_new_word_is_suggested_at_once(own: Keyboard) -> None:
    assert "Zsófia" not in said(own, "I met Zs")
    own.learn("I met Zsófia.")
    assert said(own, "we saw Zs")[0] == "Zsófia"
    assert said(own, "we saw zs")[0] == "Zsófia"


def test_a_phrase_is_suggested_at_once(own: Keyboard) -> None:
    own.learn("kind regards from Budapest")
    assert "regards" in said(own, "kind ")
    assert said(own, "kind regards ")[0] == "from"


def test_words_of_the_text_so_far_count_too(own: Keyboard) -> None:
    assert said(own, "Zsófia said that Zs") == ["Zsófia"]


def test_blocked_words_are_never_suggested(own: Keyboard) -> None:
    assert "London" in said(own, "l")
    layer = Personal()
    layer.block(["london", "ZSÓFIA"])
    own.personal = layer
    own.learn("Zsófia in London. Zsófia in London.")
    assert "London" not in said(own, "London is l")
    assert "Zsófia" not in said(own, "Zsófia, z")
    own.set_params(blocked=["like"])
    own.personal = None
    assert "like" not in said(own, "we really l")


def test_it_is_kept_in_a_file_that_only_its_owner_reads(own: Keyboard, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "personal.jsonl"
    own.personal = Personal.open(file)
    own.learn("Zsófia writes from Budapest")
    again = Personal.open(file)
    assert again.rows() == Personal.open(file).rows() == own.personal.rows()
    assert {row["word"] for row in again.rows()} == {"zsófia", "writes", "from", "budapest"}
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again.wipe()
    assert not file.exists()
    assert Personal.open(file).rows() == again.rows() == []


def test_a_model_folder_keeps_nothing_of_it(own: Keyboard, tmp_path: Path) -> None:
    own.learn("Zsófia Zsófia Zsófia")
    own.save(tmp_path / "model")
    assert all(b"zs" not in each.read_bytes().lower() for each in (tmp_path / "model").glob("*.json"))
    assert "Zsófia" not in said(Keyboard.load(tmp_path / "model"), "Zs")


@pytest.mark.parametrize(
    "line", ["nonsense", "[1]", '{"word": 3}', '{"word": "a", "after": ["b", "c", "d"], "count": 1}']
)
def test_a_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "personal.jsonl"
    file.write_text(f'{{"word": "a", "after": [], "count": 1}}\n{line}\n')
    with pytest.raises(InputError, match=r"personal\.jsonl.*--wipe-personal"):
        Personal.open(file)


def test_its_place_can_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RECURRA_PERSONAL", raising=False)
    assert usual_place().name == "personal.jsonl"
    monkeypatch.setenv("RECURRA_PERSONAL", str(tmp_path / "mine"))
    assert usual_place() == tmp_path / "mine"


@given(st.lists(st.text(max_size=60), max_size=8))
def test_whatever_is_learnt_comes_back(texts: list[str]) -> None:
    layer, again = Personal(), Personal()
    for text in texts:
        layer.learn(text)
    rows = json.loads(json.dumps(layer.rows()))
    again.phrases.take(rows)
    assert sorted(map(str, again.rows())) == sorted(map(str, rows))
