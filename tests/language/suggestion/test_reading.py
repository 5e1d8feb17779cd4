"""What is read of a text that is being typed, and how suggestions are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.language.suggestion import Keyboard, reading
from recurra.language.suggestion.chances import best_of
from recurra.language.suggestion.lexicon import folded, pieces
from recurra.language.suggestion.personal import Personal
from recurra.language.suggestion.reading import Reader, split
from recurra.language.suggestion.writing import Habits, written

START = "How are you?\n"


def said(keyboard: Keyboard, text: str, k: int = 3) -> list[str]:
    return [each.text for each in keyboard.suggest(text, k=k)]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("see you to", "to"),
        ("see you ", ""),
        ("", ""),
        ("I don't", "don't"),
        ("dogs'", "dogs'"),
        ("(wor", "wor"),
        ("wor\n", ""),
        ("a'b 'tis", "tis"),
        ("rock'n", "rock'n"),
    ],
)
def test_a_text_ends_in_what_is_typed_of_a_word(text: str, prefix: str) -> None:
    assert split(text) == (text[: len(text) - len(prefix)], prefix)


def test_pieces_mark_the_ends_of_lines() -> None:
    assert pieces("Hi, you\r\n\n  3 apples\n") == ["Hi", ",", "you", "\n", "3", "apples", "\n"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("tomorow", "tomorrow"), ("tmo", "tomorrow"), ("lodn", "London"), ("stattion", "station")],
)
def test_mistyped_letters_are_forgiven(keyboard: Keyboard, typed: str, meant: str) -> None:
    assert meant in said(keyboard, START + typed)


def test_apostrophes_may_be_left_out(keyboard: Keyboard) -> None:
    assert "don't" in said(keyboard, START + "we dont")


def test_capitals_follow_the_prefix_and_the_sentence(keyboard: Keyboard) -> None:
    assert said(keyboard, START + "we really LI", k=1) == ["LIKE"]
    assert said(keyboard, START + "we really Li", k=1) == ["Like"]
    assert said(keyboard, "How ", k=1) == ["are"]
    assert all(each[0].isupper() for each in said(keyboard, "How are you? "))


def test_a_writer_without_capitals_is_followed() -> None:
    habits = Habits()
    for piece in pieces("how are you?\ni am fine. and"):
        habits.observe(piece)
    assert written("I", "", habits) == "i"
    assert written("London", "", habits) == "London"
    habits.observe(".")
    assert written("we", "", habits) == "we"
    assert written("we", "", Habits()) == "We"


@given(st.text(max_size=80), st.text(max_size=12), st.integers(1, 5))
def test_any_text_gives_words_that_go_on_from_it(
    keyboard: Keyboard, context: str, prefix: str, k: int
) -> None:
    found = keyboard.suggest(context, prefix, k)
    assert len(found) <= k
    assert len({each.text for each in found}) == len(found)
    assert all(
        each.text and folded(each.text) != folded(prefix) and 0 < each.probability <= 1.001 for each in found
    )
    if len(folded(prefix)) < 3 and "'" not in prefix:
        letters = folded(prefix)
        assert all(folded(each.text).replace("'", "").startswith(letters) for each in found)


@given(st.text(alphabet="ab'. \n", max_size=30), st.integers(0, 30))
def test_reading_bit_by_bit_is_reading_at_once(folder: Path, text: str, cut: int) -> None:
    one, two = (Keyboard.load(folder) for _ in range(2))
    one.suggest(text[:cut])
    assert [each.text for each in one.suggest(text)] == [each.text for each in two.suggest(text)]


LETTERS = ["t", "o", "l", "w", "e", "a", "'", ".", ",", " ", "\n", "-", "3", "Z", "é"]
WORDS = ["London ", "Zsófia ", "we really like ", "see you t", "don't ", "How are you? ", "tomorow"]
KEYS = st.one_of(
    st.sampled_from(LETTERS), st.sampled_from(WORDS), st.integers(1, 12)
)  # a number: so many deletions


@given(st.lists(KEYS, max_size=12), st.booleans())
@example(["see you tomorrow", 9, " ", "London", 8, "t"], True)
@example(["Zsófia and Zsófia ", 3, "a ", 12, "Zs"], False)
@example(["we saw Foo ", "foo ", 4, "fo"], True)
@example(["we saw Bar. ", 6, "b", 1, "a", 1, "B"], False)
@example([*["Foo "] * 40, 150, "F"], True)
@example(["we ", ".", ".", " ", "t"], False)
@example(["we ", "3", ".", "3", " "], True)
def test_typing_and_deleting_comes_to_what_the_text_says(
    folder: Path, keys: list[str | int], own: bool
) -> None:
    one, two = (Keyboard.load(folder) for _ in range(2))
    for each in (one, two):
        each.blocked = ["London"] if own else []
        each.personal = Personal() if own else None
        if own:
            each.learn("Zsófia will see you in Zürich. Zsófia really likes London")
    text = ""
    for key in keys:
        text = text + key if isinstance(key, str) else text[:-key]
        one.suggest(text, k=5)
    assert one.suggest(text, k=5) == two.suggest(text, k=5)


@given(st.lists(st.one_of(KEYS, st.just("\n")), max_size=12))
@example(["we saw Foo and London", "\n", "foo ", 8, "London fo"])
@example(["Foo likes Bar", "\n", "and Bar ", 20, "we saw B"])
def test_learning_at_once_comes_to_what_was_learnt(folder: Path, keys: list[str | int]) -> None:
    one, two = (Keyboard.load(folder) for _ in range(2))
    layer = Personal()
    text, learnt = "", 0
    for key in keys:
        text = text + key if isinstance(key, str) else text[:-key]
        one.suggest(text, k=5)
        if key == "\n":
            layer.learn(text[learnt:])
            one.learn(text[learnt:])
            learnt = len(text)
    two.personal = layer
    found = {each.text: each.probability for each in one.suggest(text, k=5)}
    assert found == pytest.approx({each.text: each.probability for each in two.suggest(text, k=5)}, rel=1e-4)


@pytest.mark.parametrize("text", ["a" * 50_000, "word " * 10_000, "\n" * 50_000, "🙂" * 20_000])
def test_of_a_giant_text_its_end_is_read(
    keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    read: list[int] = []
    count = reading.pieces

    def pieces(part: str) -> list[str]:
        read.append(len(part))
        return count(part)

    monkeypatch.setattr(reading, "pieces", pieces)
    found = said(keyboard, text + " we went to the beach\nHow are ")
    assert sum(read) <= reading.SEEN
    assert found[0] == "you"
    assert said(keyboard, "How are ")[0] == "you"


def test_deleting_a_word_reads_nothing_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Keyboard.load(folder) for _ in range(2))
    text = "we went to London. Zsófia really likes the beach "
    whole = two.suggest(text + "and we went to ")
    for word in ("and ", "we ", "went ", "home "):
        text += word
        one.suggest(text)
    three = Keyboard.load(folder)
    three.suggest(text)  # all at once
    monkeypatch.setattr(Reader, "_restart", None)
    for each in (one, three):
        assert each.suggest(text.removesuffix("home ") + "to ") == whole
        for length in range(len(text) - 1, len(text) - 17, -1):
            each.suggest(text[:length])


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=90), st.integers(1, 40))
def test_the_best_are_the_largest(values: list[float], k: int) -> None:
    array = np.array(values, np.float32)
    found = best_of(array, k)
    assert len(set(found)) == min(k, len(values))
    assert array[found].tolist() == sorted(array.tolist(), reverse=True)[:k]
    if k <= 16:
        assert found == sorted(range(len(values)), key=lambda at: (-values[at], at))[:k]
