"""The personal layer learns at once, forgets nothing it was told, and is wiped."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.language.suggestion import Keyboard, Personal, personal
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
    "line",
    [
        "nonsense",
        "[1]",
        '{"word": 3}',
        '{"word": "a", "after": ["b", "c", "d"], "count": 1}',
        '{"learnt": 1e300, "rows": []}',
        '{"learnt": 1, "rows": [{"word": 3}]}',
        '{"learnt": 1}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "personal.jsonl"
    file.write_text(f'{{"word": "a", "after": [], "count": 1}}\n{line}\n')
    with pytest.raises(InputError, match=r"personal\.jsonl, row 2.*--wipe-personal"):
        Personal.open(file)


def test_its_place_can_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RECURRA_PERSONAL", raising=False)
    assert usual_place().name == "personal.jsonl"
    monkeypatch.setenv("RECURRA_PERSONAL", str(tmp_path / "mine"))
    assert usual_place() == tmp_path / "mine"


LINES = ["Zsófia writes from Budapest", "see you in Zürich, Zsófia", "see you there"]


def learnt(file: Path, lines: list[str]) -> Personal:
    layer = Personal.open(file)
    for line in lines:
        layer.learn(line)
    return layer


def test_a_line_that_was_not_written_to_its_end_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "personal.jsonl"
    learnt(file, LINES[:2])
    whole = file.read_bytes()
    layer = learnt(file, LINES[2:])
    added = file.read_bytes()[len(whole) :]
    for length in range(1, len(added) - 1):
        file.write_bytes(whole + added[:length])
        torn = Personal.open(file)
        assert torn.torn
        torn.learn(LINES[2])
        assert not torn.torn
        assert not Personal.open(file).torn
        assert file.read_bytes() == whole + added
        assert torn.rows() == layer.rows()
    file.write_bytes(whole + added[:-1])  # an editor left out the line's end
    assert not Personal.open(file).torn
    learnt(file, ["and again"])
    assert Personal.open(file).rows() == learnt(tmp_path / "other", [*LINES, "and again"]).rows()


WRITER = """
import sys
from recurra.language.suggestion import Personal, personal

personal.LONG = 2000
layer = Personal.open(sys.argv[1])
for number in range(10**6):
    layer.learn(f"see you in Zürich {chr(97 + number % 26)}")
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_what_was_learnt_survives_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "personal.jsonl"
    lines = 0.0
    for count in (1, 30, 7, 90):  # folded again and again meanwhile
        with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            done = [writer.stdout.readline() for _ in range(count)]
            writer.kill()
            done += writer.stdout.readlines()
        layer = Personal.open(file)
        found = layer.phrases.total(()) / 5
        assert 0.98 * (lines + len(done)) <= found <= lines + len(done) + 1
        lines = found


def test_it_is_folded_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"see you in Zürich, {'abcdefghij'[n % 10]} says" for n in range(60)]
    at_length = learnt(tmp_path / "long", lines)
    assert all(line.startswith(personal.SINCE) for line in (tmp_path / "long").read_text().splitlines())
    monkeypatch.setattr(personal, "LONG", 3000)
    file = tmp_path / "personal.jsonl"
    layer = learnt(file, lines)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert "word" in rows[0]
    assert file.stat().st_size < (tmp_path / "long").stat().st_size / 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name != "posix"
    for one, other in zip(layer.rows(), at_length.rows(), strict=True):
        assert one == other
    folded = {(row["word"], *row["after"]): row["count"] for row in Personal.open(file).rows()}
    for row in at_length.rows():
        assert folded[(row["word"], *row["after"])] == pytest.approx(row["count"], abs=0.02)


def test_two_processes_add_to_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "personal.jsonl"
    one, other = Personal.open(file), Personal.open(file)
    one.learn("Zsófia writes")
    other.learn("see you there")
    other.block(["never"])
    monkeypatch.setattr(personal, "LONG", 0)
    one.learn("in Zürich")
    again = Personal.open(file)
    words = {row["word"] for row in again.rows() if "word" in row}
    assert words == {"zsófia", "writes", "see", "you", "there", "in", "zürich"}
    assert again.blocked == {"never"}


def test_wiping_leaves_nothing_that_a_killed_process_left(tmp_path: Path) -> None:
    file = tmp_path / "personal.jsonl"
    layer = learnt(file, LINES)
    (tmp_path / ".personal.jsonl.new").write_bytes(file.read_bytes())
    layer.wipe()
    assert list(tmp_path.iterdir()) == []


def test_what_was_learnt_fades(tmp_path: Path) -> None:
    layer = Personal(tmp_path / "personal.jsonl")
    layer.learn("hello")
    layer.learn("word " * 50_000)
    layer.file = None
    (row,) = [row for row in layer.rows() if row["word"] == "hello"]
    assert row["count"] == pytest.approx(1 / math.e, abs=1e-3)


@given(st.lists(st.text(max_size=60), max_size=8))
def test_whatever_is_learnt_comes_back(texts: list[str]) -> None:
    layer, again = Personal(), Personal()
    for text in texts:
        layer.learn(text)
    rows = json.loads(json.dumps(layer.rows()))
    for row in rows:
        again.phrases.take(row)
    assert sorted(map(str, again.rows())) == sorted(map(str, rows))
