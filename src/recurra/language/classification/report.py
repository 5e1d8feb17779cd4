"""One HTML page on how good a classifier is: figures, confusion, calibration, the worst errors and their reasons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recurra import __version__
from recurra.language.classification.evaluation import Evaluation
from recurra.language.classification.explanation import Explanation
from recurra.reporting import plots
from recurra.reporting.page import (
    Fact,
    Html,
    Section,
    details,
    element,
    facts,
    figure,
    join,
    notes,
    page,
    pairs,
    paragraph,
    percent,
    table,
    write_page,
)

if TYPE_CHECKING:
    from recurra.language.classification.classifier import TextClassifier

__all__ = ["write_report"]

MOST_CLASSES = 40  # of a picture of the confusion
PAIRS = 15  # of classes that are taken for one another
ERRORS = 20
EXPLAINED = 10
LONGEST = 400  # characters of a text that are shown


def write_report(path: str | os.PathLike[str], model: TextClassifier, evaluation: Evaluation) -> None:
    """Write the page on an evaluation of a model; InputError where the file cannot be written."""
    title = "How well texts are told apart"
    right = int((evaluation.answers == evaluation.truth).sum())
    subtitle = f"{len(evaluation.texts):,} texts, {len(evaluation.classes):,} labels"
    shares = np.bincount(evaluation.truth[evaluation.truth >= 0], minlength=len(evaluation.classes))
    always = shares.max() / max(len(evaluation.texts), 1)
    lead = facts(
        [
            Fact("right answers", percent(evaluation.accuracy), f"{right:,} of {len(evaluation.texts):,}"),
            Fact(
                "always the most frequent label",
                percent(always),
                "what an answer without reading would reach",
            ),
            Fact("macro F1", f"{evaluation.macro_f1:.2f}", "every label counting the same; 1 is perfect"),
            Fact("calibration error", percent(evaluation.calibration_error), "said minus right, on average"),
        ]
    )
    sections = [
        Section("Label by label", "labels", _labels(evaluation)),
        Section("What is taken for what", "confusion", _confusion(evaluation)),
        Section("Can its probabilities be believed?", "calibration", _calibration(evaluation)),
        Section("The worst errors", "errors", _errors(model, evaluation)),
        Section("The model", "model", _model(model)),
    ]
    write_page(path, page(title, subtitle, lead, sections, footer=f"Made by recurra {__version__}."))


def _labels(evaluation: Evaluation) -> Html:
    rows = [
        [
            each.label,
            f"{each.texts:,}",
            "–" if each.precision is None else percent(each.precision),
            "–" if each.recall is None else percent(each.recall),
            f"{each.f1:.2f}",
        ]
        for each in sorted(evaluation.per_class, key=lambda each: -each.texts)
    ]
    columns = ["label", "texts", "right of those said", "found of those there", "F1"]
    return table(columns, rows)


def _confusion(evaluation: Evaluation) -> Html:
    counts, names = evaluation.confusion, [str(each) for each in evaluation.classes]
    blocks: list[Html] = []
    if len(names) <= MOST_CLASSES:
        alt = (
            "A grid: the true label of texts from top to bottom, the label that was said from left to right."
        )
        caption = "Each row is a true label, each column what was said of its texts; the diagonal is right."
        blocks.append(figure(plots.confusion(names, counts), alt, caption, wide=True))
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(place), len(names)) for place in order]
    rows = [
        [names[i], names[j], f"{wrong[i, j]:,}", percent(wrong[i, j] / counts[i].sum())]
        for i, j in places
        if wrong[i, j]
    ]
    if rows:
        blocks.append(table(["true label", "was taken for", "texts", "of the label's texts"], rows))
    else:
        blocks.append(paragraph("Nothing was taken for anything else."))
    return join(blocks)


def _calibration(evaluation: Evaluation) -> Html:
    said, right, counts = evaluation.reliability
    alt = "Dots near the diagonal: the share of right answers against the probability that was said."
    caption = "Of the answers that were given with 80%, 80% should be right. Larger dots are more answers."
    shown = figure(plots.reliability(said, right, counts), alt, caption)
    rows = [[percent(s), percent(r), f"{n:,}"] for s, r, n in zip(said, right, counts, strict=True)]
    return join([shown, details("As a table", table(["said", "right", "texts"], rows))])


def _errors(model: TextClassifier, evaluation: Evaluation) -> Html:
    places = evaluation.worst(ERRORS)
    if not places:
        return paragraph("There are none.")
    blocks: list[Html] = [
        paragraph(
            "Wrong answers, those given with most confidence first. Look at them: some are the network's, some are "
            "wrong labels in the data. Marked words speak most for the answer."
        )
    ]
    rows = []
    for number, place in enumerate(places):
        text = evaluation.texts[place]
        shown: object = _cut(text)
        if number < EXPLAINED and len(text) <= LONGEST:
            answer = evaluation.classes[int(evaluation.answers[place])]
            shown = _marked(model.explain(text, answer))
        truth = int(evaluation.truth[place])
        said = evaluation.answers[place]
        true_label = "unknown to the model" if truth < 0 else evaluation.classes[truth]
        rows.append(
            [shown, true_label, evaluation.classes[said], percent(evaluation.probabilities[place, said])]
        )
    blocks.append(table(["text", "true label", "said", "with"], rows))
    return join(blocks)


def _marked(explanation: Explanation) -> Html:
    """The text with the words that speak most for the answer in bold."""
    chosen = sorted(
        (each for each in explanation.strongest(5) if each.weight > 0.1), key=lambda each: each.start
    )
    parts: list[object] = []
    at = 0
    for each in chosen:
        parts += [
            explanation.text[at : each.start],
            element("mark", explanation.text[each.start : each.stop]),
        ]
        at = each.stop
    return join([*parts, explanation.text[at:]], "")


def _model(model: TextClassifier) -> Html:
    outcome = model.outcome_
    items: Sequence[tuple[object, object]] = [
        (
            "network",
            f"{model.members} × {model.layers} × bidirectional {model.cell.upper()}({model.hidden_size})",
        ),
        ("training", f"{outcome.steps:,} steps in {outcome.seconds:.0f} s, ended by: {outcome.stopped}"),
        (
            "temperature",
            f"{model.temperature_:.2f} (scores are divided by it; above 1, training left it too sure)",
        ),
        ("seed", model.seed),
    ]
    blocks = [pairs(items)]
    if model.notes_:
        blocks.append(notes(model.notes_))
    return join(blocks)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
