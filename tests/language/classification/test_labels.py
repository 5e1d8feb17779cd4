"""What people hand over as texts and labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.language.classification.features import Features
from recurra.language.classification.labels import label_weights, labels_of, read_columns, texts_of
from recurra.sources import Source
from recurra.text.characters import CharacterGrams


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, pl.Series, iter])
def test_texts_and_labels_of_any_library(kind: Callable[[Any], Any]) -> None:
    assert texts_of(kind(["a", "b"])) == ["a", "b"]
    assert labels_of(kind([3, 1, 3]), 3).classes == (1, 3)
    assert labels_of(kind(["b", "a", "b"]), 3).numbers.tolist() == [1, 0, 1]


def test_whole_numbers_of_a_column_that_had_gaps() -> None:
    assert labels_of(pd.Series([1.0, 2.0]), 2).classes == (1, 2)
    assert labels_of([True, False], 2).classes == (False, True)


@given(st.lists(st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.booleans()), min_size=1))
def test_labels_are_taken_whole_or_refused(labels: list[Any]) -> None:
    try:
        classes, numbers = labels_of(labels, len(labels))
    except (InputError, UsageError):
        return
    assert [classes[n] for n in numbers] == labels
    assert list(classes) == sorted(set(labels))


def test_weights_of_classes() -> None:
    counts = np.array([90, 10])
    np.testing.assert_allclose(label_weights(None, ("a", "b"), counts), [1, 1])
    balanced = label_weights("balanced", ("a", "b"), counts)
    assert balanced[0] * 90 == pytest.approx(balanced[1] * 10)
    assert (balanced * counts).sum() == pytest.approx(100)
    given_ = label_weights({"5": 3.0}, (1, 5), counts)
    assert given_[1] == pytest.approx(3 * given_[0])


def columns(path: Path, text: str | None = None, label: str | None = None) -> Any:
    notes: list[str] = []
    return *read_columns(Source(path), text, label, labelled=True, say=notes.append), notes


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Category;Review;n\ngood;great;1\n;dull;2\nbad;;3\n")
    texts, labels, notes = columns(tmp_path / "t.csv")
    assert (texts.name, texts.values, texts.rows) == ("Review", ["great"], [2])
    assert (labels.name, labels.values) == ("Category", ["good"])
    assert notes == ["1 row without a text left out.", "1 row without a label left out."]


def test_numbers_are_no_texts(tmp_path: Path) -> None:
    pl.DataFrame({"text": [1, 2], "label": ["a", "b"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet, row 1, column 'text': this is no text \(found '1'\)"):
        columns(tmp_path / "t.parquet")


def test_other_encodings_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("text,label\nschön,gut\n".encode("cp1252"))
    texts, _, notes = columns(tmp_path / "t.csv")
    assert texts.values == ["schön"]
    assert "cp1252" in notes[0]


@given(st.lists(st.text(), max_size=5), st.integers(1, 9))
def test_any_text_is_read(texts: list[str], most: int) -> None:
    empty = Features((), CharacterGrams(()), (), most)
    features = Features.learn([empty.split(text).words for text in texts[:2]], most)
    split = [features.split(text) for text in texts]
    for text, words in zip(texts, split, strict=True):
        assert len(words.words) <= most
        assert [text[a:b] for a, b in words.spans] == list(words.words)
    seen = features.encode([each.words for each in split])
    assert seen.lengths.tolist() == [len(each.words) for each in split]
    assert len(seen.known) == len(seen.which) == seen.lengths.sum()
    assert seen.known.max(initial=0) <= len(features.words)
