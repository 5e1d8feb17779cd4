from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import ModelError, UsageError
from recurra.text.copies import CopyIndex
from recurra.text.documents import Document, Texts

SEA = (
    "The sea was calm that day, and the sailors sang. No one had seen the captain since the morning, when he "
    "went below with a letter in his hand; the mate, who had watched him go, said nothing to the men about it."
)
LAND = (
    "On the other side of the hill stood a house which nobody had lived in for as long as anyone could say."
)


def index(*texts: str, run: int = 5) -> CopyIndex:
    return CopyIndex.build(Texts(texts), run)


def test_a_copy_is_found_with_its_places() -> None:
    copied = "NO ONE had seen the captain - since the morning when he went below"
    text = f"It is told that {copied}, but that is another story."
    (copy,) = index(LAND, SEA).find(text)
    assert text[copy.start : copy.stop] == copied
    assert (copy.document, copy.where) == (1, "text 1")
    assert SEA[copy.offset :].startswith("No one had seen")
    assert copy.length == pytest.approx(len(copied), abs=3)
    assert copy.words == len(re.findall(r"\w+", copied))


def test_only_the_end_of_a_path_is_kept() -> None:
    documents = [
        Document(SEA, where="/home/me/books/sea.jsonl, row 3"),
        Document(LAND, where="C:\\me\\land.txt"),
    ]
    found = CopyIndex.build(documents, 5).find(SEA + LAND)
    assert [copy.where for copy in found] == ["books/sea.jsonl, row 3", "me/land.txt"]


def test_each_character_is_a_word_where_no_spaces_are() -> None:
    told = "海は静かで、船乗りたちは歌っていた。"
    (copy,) = index(told, SEA).find(f"昨日、{told}と言った。")
    assert (copy.document, copy.start - copy.offset) == (0, 3)
    assert copy.words >= 16 - 4


def test_a_changed_word_leaves_one_copy_and_fewer_sure_words() -> None:
    text = SEA.replace("letter", "knife")
    (copy,) = index(SEA).find(text)
    assert copy.start < 10
    assert copy.stop > len(text) - 10
    assert len(SEA.split()) - 9 <= copy.words < len(SEA.split())


def test_what_stands_in_no_document_is_no_copy() -> None:
    assert index(SEA).find(LAND) == []
    assert index(SEA).find("") == []
    assert index("one two").find(SEA) == []


def test_least_leaves_out_short_copies() -> None:
    text = "and the sailors sang no one had seen, it seems, " + LAND
    copies = index(SEA, LAND).find(text)
    assert [copy.document for copy in copies] == [0, 1]
    assert [copy.document for copy in index(SEA, LAND).find(text, least=15)] == [1]


WORDS = st.lists(st.sampled_from("abcdefg"), max_size=60)


@given(documents=st.lists(WORDS, min_size=1, max_size=3), text=WORDS, run=st.sampled_from([3, 5, 7]))
def test_every_long_run_is_found_and_nothing_else(
    documents: list[list[str]], text: list[str], run: int
) -> None:
    found = CopyIndex.build([Document(" ".join(words), where="x") for words in documents], run)
    copies = found.find(" ".join(text))
    covered = {place for copy in copies for place in range(copy.start // 2, copy.stop // 2 + 1)}
    size = (run + 1) // 2
    for start in range(len(text) - run + 1):
        run_ = text[start : start + run]
        if any(run_ == words[at : at + run] for words in documents for at in range(len(words))):
            assert len(covered.intersection(range(start, start + run))) >= size
    for copy in copies:
        there = documents[copy.document][copy.offset // 2 :][:size]
        assert there == text[copy.start // 2 :][:size]


@given(cuts=st.lists(st.integers(0, 60), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_a_document_in_parts_is_as_one(cuts: list[int], seed: int) -> None:
    words = [f" w{number}" for number in np.random.default_rng(seed).integers(0, 50, 60)]
    edges = [0, *sorted(cuts), 60]
    parts = ["".join(words[a:b]) for a, b in itertools.pairwise(edges)]
    pieces = [Document(part, where="x", more=number < len(parts) - 1) for number, part in enumerate(parts)]
    whole = CopyIndex.build([Document("".join(words), where="x")], 5).to_arrays()
    apart = CopyIndex.build(pieces, 5).to_arrays()
    kept = set(apart["places"].tolist())
    assert set(whole["places"].tolist()) <= kept
    assert apart["starts"].tolist() == whole["starts"].tolist()


def test_arrays_give_the_index_again_and_damage_is_told() -> None:
    made = index(SEA, LAND)
    arrays = made.to_arrays()
    again = CopyIndex.from_arrays(5, arrays)
    assert again.find(SEA + LAND) == made.find(SEA + LAND) != []
    damaged: list[dict[str, Any]] = [
        {"places": arrays["places"][1:]},
        {"places": arrays["places"] + np.uint32(10_000)},
        {"places": arrays["places"].astype(np.float32)},
        {"buckets": arrays["buckets"][:-1]},
        {"buckets": arrays["buckets"][::-1].copy()},
        {"buckets": arrays["buckets"] + 1},
        {"starts": arrays["starts"][:2]},
        {"names": np.frombuffer(b"a\nb\nc", np.uint8)},
        {"names": np.frombuffer(b"\xff\n", np.uint8)},
        {"low": arrays["low"].astype(np.int16)},
    ]
    for change in damaged:
        with pytest.raises(ModelError, match="index of copies is damaged"):
            CopyIndex.from_arrays(5, arrays | change)
    with pytest.raises(ModelError, match="damaged"):
        CopyIndex.from_arrays(5, {})
    with pytest.raises(ModelError, match="wrong run"):
        CopyIndex.from_arrays(4, arrays)


@pytest.mark.parametrize("run", [1, 4, 1003])
def test_a_run_that_cannot_be_is_refused(run: int) -> None:
    with pytest.raises(UsageError, match="odd number from 3"):
        index(SEA, run=run)
