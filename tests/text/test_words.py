from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.text.words import spans, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't pay 3.50, it's free…", ["Don't", "pay", "3.50", ",", "it's", "free", "…"]),
        ("rock ’n’ roll, o’clock", ["rock", "’", "n", "’", "roll", ",", "o’clock"]),
        ("12:30 or 1,000,000.", ["12:30", "or", "1,000,000", "."]),
        ("well-known -- wait... 3rd covid19", ["well", "-", "known", "--", "wait", "...", "3rd", "covid19"]),
        ("«Ça va?» e\u0301te\u0301", ["«", "Ça", "va", "?", "»", "e\u0301te\u0301"]),
        ("हिन्दी में। 海は", ["हिन्दी", "में", "।", "海は"]),
        ("ok 👍🏽 a_b", ["ok", "👍", "🏽", "a", "_", "b"]),
        (" \n\t\u00a0\u2009", []),
        ("", []),
    ],
)
def test_words_and_marks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(text=st.text() | st.text(st.sampled_from("ab'’.,-1: \n\x85é"), max_size=50))
def test_spans_are_the_words_and_only_white_space_is_between(text: str) -> None:
    places = spans(text)
    assert [text[start:stop] for start, stop in places] == words(text)
    edges = [0, *(edge for span in places for edge in span), len(text)]
    between = [text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    assert all(not part or part.isspace() for part in between)
