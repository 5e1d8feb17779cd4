"""Stop strings and UTF-8: however a text is split, what comes out is the same."""

from __future__ import annotations

import doctest
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.decoding import StopStrings, Utf8, stops
from recurra.errors import UsageError

FEW = st.text("ab\n", max_size=40)  # in which stop strings occur and overlap


def split(text: str | bytes, places: list[int]) -> list[str] | list[bytes]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[first:last] for first, last in itertools.pairwise(bounds)]


def cut(text: str, strings: list[str]) -> str:
    """The definition: what stands before the first place where one of them begins."""
    for place in range(len(text)):
        if text.startswith(tuple(strings), place):
            return text[:place]
    return text


@given(
    st.one_of(FEW, st.text(max_size=20)),
    st.lists(st.one_of(st.text("ab\n", min_size=1, max_size=5), st.text(min_size=1)), max_size=4),
    st.lists(st.integers(0, 100)),
)
@example("xabce", ["abcd", "bc"], [4])
@example("xabcd", ["abcd", "bc"], [3, 4])
def test_any_split_gives_the_text_up_to_the_first_stop_string(
    text: str, strings: list[str], places: list[int]
) -> None:
    stream = StopStrings(strings)
    shown = ""
    for piece in split(text, places):
        shown += stream.push(piece)
        assert cut(text, strings).startswith(shown)
    assert shown + stream.flush() == cut(text, strings)
    assert stream.stopped == (cut(text, strings) != text)
    assert stream.push("more") == ("" if stream.stopped else cut("more", strings)[: len("more")])


def test_what_cannot_be_a_stop_string_is_shown_at_once() -> None:
    stream = StopStrings(["\n\n", "User:"])
    assert [stream.push(each) for each in ("Hi\n", "there", " Us", "er", "s")] == [
        "Hi",
        "\nthere",
        " ",
        "",
        "Users",
    ]
    assert not stream.stopped


def test_nothing_comes_after_a_stop_string() -> None:
    stream = StopStrings(["."])
    assert stream.push("one. two.") == "one"
    assert stream.stopped
    assert stream.push("three") + stream.flush() == ""


@pytest.mark.parametrize("stop", ["END", "E!"])
def test_it_stops_with_the_last_character_of_a_stop_string(stop: str) -> None:
    stream = StopStrings(["END", "E!"])
    assert [(stream.push(each), stream.stopped) for each in "a" + stop[:-1]] == [
        ("a", False),
        *[("", False)] * (len(stop) - 1),
    ]
    assert (stream.push(stop[-1]), stream.stopped) == ("", True)


def test_without_stop_strings_nothing_is_held_back() -> None:
    assert StopStrings([]).push("text") == "text"


@pytest.mark.parametrize("wrong", [[""], [b"end"], [None], "end"])
def test_what_is_no_stop_string_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="stop string"):
        StopStrings(wrong)  # type: ignore[arg-type]


@given(st.one_of(st.text().map(str.encode), st.binary()), st.lists(st.integers(0, 100)))
def test_bytes_in_pieces_give_the_text_of_the_whole(data: bytes, places: list[int]) -> None:
    stream = Utf8()
    text = "".join(stream.push(piece) for piece in split(data, places))  # type: ignore[arg-type]
    assert text + stream.flush() == data.decode("utf-8", errors="replace")


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(stops).failed == 0
