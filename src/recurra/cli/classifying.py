"""`recurra train classifier`, `recurra classify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED, Console
from recurra.errors import UsageError
from recurra.sources import Source

if TYPE_CHECKING:
    from recurra.language.classification import Evaluation, TextClassifier

__all__ = ["classify", "train_classifier"]

ROWS = 20  # of a table in the terminal; the files and --json hold all
REASONS = 6  # words of an explanation in the terminal

TextColumn = Annotated[
    str | None,
    typer.Option("--text", help="Column of the texts.", rich_help_panel=o.DATA, show_default="guessed"),
]


def train_classifier(
    file: Annotated[
        Path,
        typer.Argument(
            show_default=False,
            help="Texts and labels: CSV, TSV, JSON Lines (packed or not), Parquet or Excel.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The model folder to write.", show_default="FILE's name and -classifier"),
    ] = None,
    text: TextColumn = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Column of the labels.", rich_help_panel=o.DATA, show_default="guessed"),
    ] = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    report: Annotated[
        Path | None, typer.Option(help="An HTML file to write, with pictures.", show_default="none")
    ] = None,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Let every label count the same.", rich_help_panel=o.TRAINING)
    ] = False,
    cell: o.Cell = "lstm",
    members: Annotated[
        int, typer.Option(min=1, help="Networks that are averaged.", rich_help_panel=o.TRAINING)
    ] = 3,
    epochs: Annotated[
        int, typer.Option(min=1, help="How often all texts are gone through.", rich_help_panel=o.TRAINING)
    ] = 5,
    held_out: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.5,
            help="Share of texts to test and set probabilities by.",
            rich_help_panel=o.TRAINING,
        ),
    ] = 0.1,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train a classifier on a table of texts and labels and write it to a folder, for `recurra classify --model`."""
    with o.verb(as_json) as console:
        out = o.folder_beside(out, file, "classifier")
        from recurra.artifact import check_replaceable
        from recurra.language.classification import TextClassifier
        from recurra.language.classification.labels import read_columns

        model = TextClassifier(
            cell=cell,
            members=members,
            epochs=epochs,
            held_out=held_out,
            class_weight="balanced" if balanced else None,
            seed=seed,
        )
        model.check_arguments()
        source = Source(file, sheet=sheet, encoding=encoding)
        texts, labels = read_columns(source, text, label, labelled=True, say=console.note)
        assert labels is not None
        console.note(f"Texts are in {texts.name!r}, labels in {labels.name!r}: {len(texts.values):,} rows.")
        check_replaceable(out)
        model.fit(texts.values, labels.values, max_seconds=max_seconds, checkpoint=checkpoint)
        for note in model.notes_:
            console.note(note)
        model.save(out)
        if model.held_out_ is not None:
            _figures(console, "On the texts held out", model.held_out_)
        console.say(f"Wrote {out}")
        if report is not None:
            model.report(report)
            console.say(f"Wrote {report}")
        interrupted = model.outcome_.stopped == "interrupted"
        if interrupted:
            console.note("Training was interrupted; this is the best so far.")
        document = {"model": str(out), "steps": model.outcome_.steps, "seconds": model.outcome_.seconds}
        console.result(document | {"held_out": model.figures_, "interrupted": interrupted})
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def classify(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            show_default=False, help="Texts; without any, and without --file, lines of standard input."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder that `recurra train classifier` wrote.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to name for each text.")] = 1,
    explain: Annotated[bool, typer.Option("--explain", help="Say which words each answer hangs on.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="A table of texts instead.", rich_help_panel=o.DATA, show_default="none"),
    ] = None,
    text: TextColumn = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            help="Column of the true labels: says how good the answers are.",
            rich_help_panel=o.DATA,
            show_default="none",
        ),
    ] = None,
    sheet: o.Sheet = None,
    encoding: o.Encoding = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .csv or .parquet file to write the answers to.", show_default="none, only print"
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="An HTML file to write, with pictures; needs --label.", show_default="none"),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Say the label of texts, with its probability."""
    with o.verb(as_json) as console:
        from recurra.language.classification import TextClassifier

        if model is None:
            hint = "Train one with: recurra train classifier FILE, and give its folder with --model."
            raise UsageError("which classifier is to be used", hint=hint)
        if report is not None and label is None:
            raise UsageError("--report needs the true labels", hint="Name their column with --label.")
        classifier = TextClassifier.load(model)
        truth = None
        if file is not None:
            from recurra.language.classification.labels import read_columns

            if texts:
                raise UsageError("give either texts or a --file")
            source = Source(file, sheet=sheet, encoding=encoding)
            column, found = read_columns(source, text, label, labelled=False, say=console.note)
            given, truth = column.values, None if found is None else found.values
        else:
            if label or text:
                raise UsageError(
                    "--text and --label name columns of a table", hint="Give the table with --file."
                )
            given = list(texts) if texts else _lines()
        answers = _answers(classifier, given, top, explain)
        _show(console, answers, top)
        evaluation = None if truth is None else classifier.evaluate(given, truth)
        if evaluation is not None:
            _figures(console, "Beside the true labels", evaluation)
            unknown = int((evaluation.truth < 0).sum())
            if unknown:
                have = "1 text has" if unknown == 1 else f"{unknown:,} texts have"
                console.note(f"{have} a label that the model does not know: counted as wrong.")
            if report is not None:
                classifier.report(report, evaluation)
                console.say(f"Wrote {report}")
        if out is not None:
            _write(out, answers, truth)
            console.say(f"Wrote {out}")
        figures = None if evaluation is None else evaluation.as_dict()
        console.result({"model": str(model), "answers": answers, "evaluation": figures})


def _lines() -> list[str]:
    """The lines of standard input."""
    if sys.stdin.isatty():
        raise UsageError("there is no text", hint="Give one, a --file, or lines through a pipe.")
    lines = [line.rstrip("\n") for line in sys.stdin]
    if not lines:
        raise UsageError("standard input is empty", hint="Give a text, a --file, or lines through a pipe.")
    return lines


def _answers(classifier: TextClassifier, texts: list[str], top: int, explain: bool) -> list[dict[str, Any]]:
    answers = []
    for text, best in zip(texts, classifier.top_k(texts, top), strict=True):
        answer: dict[str, Any] = {"text": text, "label": best[0][0], "probability": best[0][1]}
        answer["top"] = [{"label": each, "probability": p} for each, p in best]
        if explain:
            answer["explanation"] = classifier.explain(text, best[0][0]).as_dict()
        answers.append(answer)
    return answers


def _show(console: Console, answers: list[dict[str, Any]], top: int) -> None:
    from recurra.reporting.page import percent

    rows = []
    for answer in answers[:ROWS]:
        labels = ", ".join(f"{each['label']} ({percent(each['probability'])})" for each in answer["top"])
        rows.append([answer["text"], labels])
    title = "1 text" if len(answers) == 1 else f"{len(answers):,} texts"
    title += f", the first {ROWS}" if len(answers) > ROWS else ""
    console.table(title, ["text", "label" if top == 1 else "labels"], rows)
    for answer in answers[:ROWS]:
        if "explanation" in answer:
            words = sorted(answer["explanation"]["words"], key=lambda each: -abs(each["weight"]))[:REASONS]
            console.table(
                f"What speaks for {answer['label']}, in nats of log-odds",
                ["word", "weight"],
                [[each["word"], f"{each['weight']:+.2f}"] for each in words],
            )


def _figures(console: Console, title: str, evaluation: Evaluation) -> None:
    console.table(
        f"{title}: {evaluation.accuracy:.1%} of {len(evaluation.texts):,} right, "
        f"macro F1 {evaluation.macro_f1:.3f}, calibration error {evaluation.calibration_error:.1%}",
        ["label", "texts", "precision", "recall", "F1"],
        [
            [str(each.label), each.texts, each.precision, each.recall, each.f1]
            for each in sorted(evaluation.per_class, key=lambda each: -each.texts)[:ROWS]
        ],
    )


def _write(path: Path, answers: list[dict[str, Any]], truth: list[Any] | None) -> None:
    import polars as pl

    from recurra.sources.table import write_table

    columns = {name: [answer[name] for answer in answers] for name in ("text", "label", "probability")}
    if truth is not None:
        columns["true_label"] = truth
    write_table(pl.DataFrame(columns), path)
