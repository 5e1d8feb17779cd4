"""What a tagger knows of words: the same in any order, cut where training had them cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.language.tagging.vocabulary import UNKNOWN, Vocabulary, folded

TOKENS = ["did", "n't", "do", "ca", "'s", "o'clock", "l'", "could", "'ve"]
VOCABULARY = Vocabulary.learn([TOKENS] * 2, [["X"] * len(TOKENS)] * 2)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("didn't", ["did", "n't"]),
        ("Didn’t", ["Did", "n’t"]),
        ("can't", ["ca", "n't"]),
        ("Varkala's", ["Varkala", "'s"]),
        ("l'homme", ["l'", "homme"]),
        ("couldn't've", ["could", "n't", "'ve"]),
        ("o'clock", ["o'clock"]),
        ("rock'n'roll", ["rock'n'roll"]),
        ("homme", ["homme"]),
        ("'", ["'"]),
        ("", [""]),
    ],
)
def test_words_are_cut_as_training_had_them(word: str, parts: list[str]) -> None:
    assert VOCABULARY.parts(word) == parts


@given(st.text("dint'’sclo", max_size=12))
def test_parts_are_the_word_again(word: str) -> None:
    parts = VOCABULARY.parts(word)
    assert "".join(parts) == word
    assert all(parts) or parts == [""]


@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_data_does_not_matter(tokens: list[list[str]], random: object) -> None:
    tags = [[word[:1] for word in each] for each in tokens]
    rows = list(zip(tokens, tags, strict=True))
    random.shuffle(rows)  # type: ignore[attr-defined]
    one = Vocabulary.learn(tokens, tags).as_dict()
    assert one == Vocabulary.learn([t for t, _ in rows], [t for _, t in rows]).as_dict()
    assert Vocabulary.from_dict(json.loads(json.dumps(one))).as_dict() == one


def test_rare_words_are_unknown_and_digits_and_capitals_are_folded() -> None:
    known = Vocabulary.learn([["The", "the", "1999", "2001", "once"]], [["A", "B", "A", "B", "A"]])
    assert known.words == ("0000", "the")
    assert known.numbers(["THE", "1234", "once", "new"]).tolist() == [2, 1, UNKNOWN, UNKNOWN]
    assert known.tags == ("A", "B")
    assert folded("A1b2") == "a0b0"
