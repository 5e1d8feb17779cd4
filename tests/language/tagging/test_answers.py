"""What a tagger says, as values and as files that can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from esperanto import names

from recurra.errors import UsageError
from recurra.language.tagging import Tagger
from recurra.language.tagging.answers import answer, answer_sentences, write_answers
from recurra.language.tagging.data import read_corpus

TEXT = "Ludoviko Zamenhof kuras en Varsovio."


def test_spans_of_a_text_have_their_places(namer: Tagger) -> None:
    told = answer(namer, TEXT, explain=True)
    assert [TEXT[span["start"] : span["stop"]] for span in told["spans"]] == ["Ludoviko Zamenhof", "Varsovio"]
    assert [span["label"] for span in told["spans"]] == ["PER", "LOC"]
    assert all(len(word["because"]) <= 3 for word in told["words"])
    assert all(fall >= 0.01 for word in told["words"] for _, fall in word["because"])


def test_spans_of_words_count_words(namer: Tagger) -> None:
    (told,) = answer_sentences(namer, [["Ludoviko", "Zamenhof", "kuras", "en", "Varsovio", "."]])
    assert [(span["start"], span["stop"]) for span in told["spans"]] == [(0, 2), (4, 5)]


@pytest.mark.parametrize("name", ["out.conllu", "out.tsv"])
def test_what_is_written_is_read_again(namer: Tagger, tmp_path: Path, name: str) -> None:
    tokens, _ = names(5)
    answers = answer_sentences(namer, [*tokens, ["a\tb\nc", "."]])
    answers[0]["words"][0]["tag"] = "B-PER\tX\n"
    write_answers(tmp_path / name, answers)
    found = read_corpus(tmp_path / name)
    assert found.tokens == [*tokens, ["a b c", "."]]
    assert found.tags[1:] == [[word["tag"] for word in each["words"]] for each in answers[1:]]
    assert found.tags[0][0].split() == ["B-PER", "X"]


def test_another_kind_of_file_is_refused(namer: Tagger, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write_answers(tmp_path / "out.pdf", [])
    assert list(tmp_path.iterdir()) == []
