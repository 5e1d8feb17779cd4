"""What a tagger says of texts, as plain values for people and programs, and as files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.language.tagging.data import CONLLU
from recurra.language.tagging.spans import are_spans, spans
from recurra.language.tagging.tagger import Tagger
from recurra.sources.files import atomic_write

__all__ = ["answer", "answer_sentences", "write_answers"]

REASONS = 3  # words that speak most for a word's tag
LEAST_REASON = 0.01  # by how much its probability falls without them

Answer = dict[str, Any]


def answer(tagger: Tagger, text: str, *, explain: bool = False) -> Answer:
    """The words of a text with their places (characters), tags, probabilities, the spans, and if asked for reasons."""
    found = tagger.tag(text)
    words = [word._asdict() for word in found]
    if explain:
        _because(words, tagger.explain([word.word for word in found]))
    told = []
    for span in _spans(tagger, [word.tag for word in found]):
        start, stop = found[span.start].start, found[span.stop - 1].stop
        told.append({"text": text[start:stop], "label": span.label, "start": start, "stop": stop})
    return {"text": text, "words": words, "spans": told}


def answer_sentences(
    tagger: Tagger, tokens: Sequence[Sequence[str]], *, explain: bool = False
) -> list[Answer]:
    """The same of sentences that are lists of words; places are those of words."""
    answers = []
    numbers = {tag: number for number, tag in enumerate(tagger.classes_)}
    for sentence, tags, chances in zip(
        tokens, tagger.predict(tokens), tagger.predict_proba(tokens), strict=True
    ):
        words = [
            {"word": word, "tag": tag, "probability": float(row[numbers[tag]])}
            for word, tag, row in zip(sentence, tags, chances, strict=True)
        ]
        if explain:
            _because(words, tagger.explain(sentence))
        told = [
            {"text": " ".join(sentence[span.start : span.stop]), **span._asdict()}
            for span in _spans(tagger, tags)
        ]
        answers.append({"text": " ".join(sentence), "words": words, "spans": told})
    return answers


def _spans(tagger: Tagger, tags: Sequence[str]) -> Iterable[Any]:
    return spans(tags) if are_spans(tagger.classes_) else []


def _because(words: list[dict[str, Any]], falls: NDArray[np.float64]) -> None:
    """Put the words that speak most for each word's tag beside it."""
    for word, row in zip(words, falls, strict=True):
        best = np.argsort(-row, kind="stable")[:REASONS]
        word["because"] = [
            (words[other]["word"], float(row[other])) for other in best if row[other] >= LEAST_REASON
        ]


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write answers to a file, whole or not at all: `.conllu` (the tag as UPOS), `.tsv` (word and tag) or `.jsonl`.

    Raises UsageError for another name, InputError where it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in answers]
    elif suffix == ".tsv":
        lines = [
            "".join(f"{_plain(word['word'])}\t{_plain(word['tag'])}\n" for word in each["words"]) + "\n"
            for each in answers
        ]
    elif suffix == ".conllu":
        lines = [_conllu(number, each) for number, each in enumerate(answers, start=1)]
    else:
        raise UsageError(
            "such a file cannot be written", value=path.name, hint="Name it .conllu, .tsv or .jsonl."
        )
    with atomic_write(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", errors="replace", newline="\n")


def _conllu(number: int, answer: Answer) -> str:
    lines = [f"# sent_id = {number}", f"# text = {_plain(answer['text'])}"]
    for place, word in enumerate(answer["words"], start=1):
        fields = dict.fromkeys(CONLLU, "_") | {"id": str(place), "form": _plain(word["word"])}
        lines.append("\t".join((fields | {"upos": _plain(word["tag"])}).values()))
    return "\n".join(lines) + "\n\n"


def _plain(text: str) -> str:
    """A text without what would end its column or its line."""
    return " ".join(text.split("\t")).replace("\n", " ").replace("\r", " ")
