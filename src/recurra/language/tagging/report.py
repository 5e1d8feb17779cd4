"""One HTML page on how good a tagger is: figures, what is taken for what, calibration, the worst errors."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra import __version__
from recurra.language.tagging.metrics import Scores
from recurra.language.tagging.tagger import Tagger
from recurra.reporting import plots
from recurra.reporting.page import (
    Fact,
    Html,
    Section,
    details,
    element,
    facts,
    figure,
    html,
    join,
    page,
    pairs,
    paragraph,
    percent,
    table,
    write_page,
)

__all__ = ["write_report"]

BINS = 10
MOST_TAGS = 40  # of the picture of what is taken for what
PAIRS = 15  # of tags that are taken for one another
EXAMPLES = 4  # words of each
ERRORS, EXPLAINED = 25, 10
AROUND = 8  # words before and after an error
LONGEST_EXPLAINED = 60  # words of a sentence whose errors are explained

Sentences = Sequence[Sequence[str]]


class _Word(NamedTuple):
    """A word: where it is, its tag, the answer, and the probability that the answer was given with."""

    sentence: int
    place: int
    tag: str
    answer: str
    probability: float


@dataclass(frozen=True)
class _Answers:
    """All that the page tells of."""

    model: Tagger
    tokens: Sentences
    scores: Scores
    words: list[_Word]


def write_report(path: str | os.PathLike[str], model: Tagger, tokens: Sentences, tags: Sentences) -> Scores:
    """Write the page on how good a tagger's tags of sentences are, and return the scores.

    Raises InputError for sentences that do not fit, and where the file cannot be written.
    """
    scores = model.evaluate(tokens, tags)
    numbers = {tag: number for number, tag in enumerate(model.classes_)}
    words = []
    for sentence, rows in enumerate(
        zip(tags, model.predict(tokens), model.predict_proba(tokens), strict=True)
    ):
        for place, (tag, answer, chances) in enumerate(zip(*rows, strict=True)):
            words.append(_Word(sentence, place, tag, answer, float(chances[numbers[answer]])))
    answers = _Answers(model, tokens, scores, words)
    sections = [
        Section("Tag by tag", "tags", _tags(scores)),
        Section("What is taken for what", "confusion", _confusion(answers)),
        Section("Can its probabilities be believed?", "calibration", _calibration(words)),
        Section("The worst errors", "errors", _errors(answers)),
        Section("The model", "model", _model(model)),
    ]
    subtitle = f"{scores.words:,} words in {scores.sentences:,} sentences, {len(model.classes_):,} tags"
    footer = f"Made by recurra {__version__}. This page is one file; it needs no network."
    write_page(path, page("How well words are tagged", subtitle, _lead(answers), sections, footer=footer))
    return scores


def _lead(answers: _Answers) -> Html:
    scores = answers.scores
    tiles = [Fact("Right tags", f"{scores.accuracy:.1%}", f"{scores.right:,} of {scores.words:,} words")]
    if scores.spans:
        every = scores.spans[0]
        note = f"of {every.there:,} spans, both ends and the label; precision and recall together"
        tiles.append(Fact("F1 of spans", f"{every.f1:.1%}", note))
    if scores.unknown:
        note = f"of {scores.unknown:,} words that training saw never or once"
        tiles.append(Fact("Right for unknown words", f"{scores.unknown_right / scores.unknown:.1%}", note))
    whole = scores.whole / max(scores.sentences, 1)
    tiles.append(
        Fact("Sentences without an error", percent(whole), f"{scores.whole:,} of {scores.sentences:,}")
    )
    common = max(scores.tags, key=lambda each: each.there)
    note = f"what an answer without reading, {common.name}, would reach"
    tiles.append(Fact("Always the most frequent tag", percent(common.there / max(scores.words, 1)), note))
    return facts(tiles)


def _tags(scores: Scores) -> Html:
    blocks = []
    for what, rows in (("kind of span", scores.spans), ("tag", scores.tags)):
        if rows:
            columns = [what, "there", "right of those said", "found of those there", "F1"]
            cells = [
                [
                    each.name,
                    f"{each.there:,}",
                    f"{each.precision:.1%}",
                    f"{each.recall:.1%}",
                    f"{each.f1:.1%}",
                ]
                for each in rows
            ]
            blocks.append(table(columns, cells))
    return join(blocks)


def _confusion(answers: _Answers) -> Html:
    scores, blocks = answers.scores, []
    names = [each.name for each in scores.tags]
    if len(names) <= MOST_TAGS:
        counts = np.zeros((len(names), len(names)), np.int64)
        places = {name: number for number, name in enumerate(names)}
        for word in answers.words:
            counts[places[word.tag], places[word.answer]] += 1
        alt = "A grid: the true tag of words from top to bottom, the tag that was said from left to right."
        caption = "Each row is a true tag, each column what was said of its words; the diagonal is right."
        blocks.append(figure(plots.confusion(names, counts), alt, caption, wide=True))
    examples: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for word in answers.words:
        if word.tag != word.answer:
            examples[word.tag, word.answer][answers.tokens[word.sentence][word.place]] += 1
    there = {each.name: each.there for each in scores.tags}
    rows = []
    for (tag, answer), count in list(scores.confused.items())[:PAIRS]:
        shown = ", ".join(word for word, _ in examples[tag, answer].most_common(EXAMPLES))
        rows.append([tag, answer, f"{count:,}", percent(count / there[tag]), shown])
    if rows:
        blocks.append(table(["true tag", "was taken for", "words", "of the tag's words", "such as"], rows))
    else:
        blocks.append(paragraph("Nothing was taken for anything else."))
    return join(blocks)


def _calibration(words: Sequence[_Word]) -> Html:
    chances = np.array([word.probability for word in words])
    right = np.array([word.tag == word.answer for word in words], float)
    bins = np.minimum((chances * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    held = counts > 0
    said, share = (np.bincount(bins, each, BINS)[held] / counts[held] for each in (chances, right))
    alt = "Dots near the diagonal: the share of right tags against the probability that was said."
    caption = "Of the tags that were given with 80%, 80% should be right. Larger dots are more words."
    shown = figure(plots.reliability(said, share, counts[held]), alt, caption)
    rows = [[percent(s), percent(r), f"{n:,}"] for s, r, n in zip(said, share, counts[held], strict=True)]
    return join([shown, details("As a table", table(["said", "right", "words"], rows))])


def _errors(answers: _Answers) -> Html:
    wrong = [word for word in answers.words if word.tag != word.answer]
    worst = sorted(wrong, key=lambda word: -word.probability)[:ERRORS]
    if not worst:
        return paragraph("There are none.")
    rows = []
    for number, word in enumerate(worst):
        sentence = answers.tokens[word.sentence]
        because = "–"
        if number < EXPLAINED and len(sentence) <= LONGEST_EXPLAINED:
            because = _because(sentence, answers.model.explain(sentence)[word.place])
        rows.append(
            [_around(sentence, word.place), word.tag, word.answer, percent(word.probability), because]
        )
    intro = (
        "Wrong tags, those given with most confidence first. Look at them: some are the network's errors, some are "
        "wrong tags in the data. The last column names the words without which the probability falls most."
    )
    return join([paragraph(intro), table(["word", "true tag", "said", "with", "because of"], rows)])


def _around(sentence: Sequence[str], place: int) -> Html:
    start, stop = max(place - AROUND, 0), min(place + AROUND + 1, len(sentence))
    shown = [html(word) for word in sentence[start:stop]]
    shown[place - start] = element("strong", sentence[place])
    return join([*(["…"] if start else []), *shown, *(["…"] if stop < len(sentence) else [])], " ")


def _because(sentence: Sequence[str], falls: NDArray[np.float64]) -> str:
    best = [int(place) for place in np.argsort(-falls, kind="stable")[:3] if falls[place] >= 0.01]
    return ", ".join(f"{sentence[place]} ({percent(float(falls[place]))})" for place in best) or "–"


def _model(model: Tagger) -> Html:
    outcome = model.outcome_
    numbers = sum(array.size for array in model.weights_.values())
    told = [
        (
            "network",
            f"{model.layers} × bidirectional {model.cell.upper()}({model.hidden_size}), linear-chain CRF",
        ),
        ("parameters", f"{numbers:,}"),
        (
            "known",
            f"{len(model.vocabulary_.words):,} words, {model.vocabulary_.grams.size:,} pieces of words",
        ),
        ("training", f"{outcome.steps:,} steps, {outcome.seconds:.0f} s, ended by: {outcome.stopped}"),
        ("seed", model.seed),
    ]
    return pairs(told)
