"""Scores of tags and spans, beside their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from recurra.language.tagging.metrics import scores
from recurra.language.tagging.spans import Span, are_spans, forbidden, spans

TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=8)


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ([], []),
        (["O"], []),
        (["B-X", "I-X", "O"], [(0, 2, "X")]),
        (["B-X", "B-X"], [(0, 1, "X"), (1, 2, "X")]),
        (["B-X", "I-Y"], [(0, 1, "X"), (1, 2, "Y")]),
        (["I-X", "I-X", "B-X"], [(0, 2, "X"), (2, 3, "X")]),
        (["O", "I-Y"], [(1, 2, "Y")]),
    ],
)
def test_spans_are_those_of_conlleval(tags: list[str], wanted: list[tuple[int, int, str]]) -> None:
    assert spans(tags) == [Span(*each) for each in wanted]


@given(TAGS)
def test_spans_cover_every_word_but_those_outside_once(tags: list[str]) -> None:
    covered = [place for span in spans(tags) for place in range(span.start, span.stop)]
    assert covered == [place for place, tag in enumerate(tags) if tag != "O"]
    for span in spans(tags):
        assert {tag[2:] for tag in tags[span.start : span.stop]} == {span.label}
        assert all(tag.startswith("I-") for tag in tags[span.start + 1 : span.stop])


def test_tags_are_spans_only_where_all_are() -> None:
    assert are_spans(["O", "B-X", "I-X"])
    assert not are_spans(["O", "B-X", "NOUN"])
    assert not are_spans(["B-X", "I-X"])
    assert not are_spans(["O", "I-X"])
    assert not are_spans(["O", "B-"])


def test_an_inside_needs_its_begin() -> None:
    after, first = forbidden(["O", "B-X", "I-X", "B-Y", "I-Y"])
    assert after[:, 2].tolist() == [True, False, False, True, True]
    assert not after[:, [0, 1, 3]].any()
    assert first.tolist() == [False, False, True, False, True]


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=5))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[list[str], list[str]]]) -> None:
    wanted = [a[: len(b)] for a, b in pairs]
    found = [b[: len(a)] for a, b in pairs]
    tokens = [["w"] * len(each) for each in wanted]
    got = scores(tokens, wanted, found, {"w"})
    flat, answers = sum(wanted, []), sum(found, [])  # noqa: RUF017
    assert got.words == len(flat)
    assert got.unknown == 0
    if not flat:
        return
    assert got.accuracy == pytest.approx(accuracy_score(flat, answers))
    names = [each.name for each in got.tags]
    precision, recall, f1, there = precision_recall_fscore_support(
        flat, answers, labels=names, zero_division=0
    )
    for each, *numbers in zip(got.tags, precision, recall, f1, there, strict=True):
        np.testing.assert_allclose([each.precision, each.recall, each.f1, each.there], numbers)
    if got.spans:
        right = [set(spans(a)) & set(spans(b)) for a, b in zip(wanted, found, strict=True)]
        assert got.spans[0].right == sum(map(len, right))
        assert got.spans[0].there == sum(len(spans(each)) for each in wanted)
        assert got.spans[0].there == sum(each.there for each in got.spans[1:])


def test_words_that_training_did_not_know_count_apart() -> None:
    got = scores([["The", "1999", "sea"]], [["D", "N", "N"]], [["D", "N", "V"]], {"the", "0000"})
    assert (got.unknown, got.unknown_right, got.whole, got.sentences) == (1, 0, 0, 1)
    assert got.confused == {("N", "V"): 1}
