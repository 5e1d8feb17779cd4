"""`recurra tag`, `recurra train tagger`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED, Console
from recurra.errors import InputError, UsageError

if TYPE_CHECKING:
    from recurra.language.tagging import Tagger
    from recurra.language.tagging.metrics import Scores

__all__ = ["tag", "train_tagger"]

ROWS = 20  # of a table in the terminal; --json holds all
DATA = "The data"
TRAINING = "Training"

Column = Annotated[
    str | None,
    typer.Option(
        help="Where the tag stands: a column of CoNLL-U (xpos, …), a number, or a key of JSON.",
        rich_help_panel=DATA,
        show_default="upos; the last; tags",
    ),
]


def tag(
    text: Annotated[
        list[str] | None, typer.Argument(help="What to tag.", show_default="the lines of standard input")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder that `recurra train tagger` wrote.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Sentences that are split into words: CoNLL-U, columns, JSON lines (packed or not).",
            show_default="none, tag the text",
            rich_help_panel=DATA,
        ),
    ] = None,
    column: Column = None,
    encoding: o.Encoding = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A file to write: .conllu, .tsv or .jsonl.", show_default="none, only print"),
    ] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Compare with the tags in the file, and print no tags.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="With --score: an HTML page with pictures to write.", show_default="none"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which words speak for each word's tag.")
    ] = False,
    as_json: o.Json = False,
) -> None:
    """Give each word of a text its tag."""
    with o.verb(as_json) as console:
        from recurra.language.tagging import Tagger
        from recurra.language.tagging.answers import answer, answer_sentences, write_answers

        if model is None:
            hint = "Train one with: recurra train tagger FILE, and give its folder with --model."
            raise UsageError("which tagger is to be used", hint=hint)
        if text and file is not None:
            raise UsageError("give either a text or a file", hint="Leave one of the two out.")
        if score and file is None:
            raise UsageError("--score compares with the tags of a file", hint="Add --file.")
        if report is not None and not score:
            raise UsageError("--report tells how good tags are", hint="Add --score and --file.")
        tagger = Tagger.load(model)
        if score and file is not None:
            from recurra.language.tagging.data import read_corpus

            corpus = read_corpus(file, column=column, encoding=encoding, say=console.note)
            scores, files = _scored(console, tagger, (corpus.tokens, corpus.tags), file.name, report)
            console.result({"file": str(file), **scores.as_dict(), "files": files})
            return
        if file is not None:
            from recurra.language.tagging.data import read_corpus

            answers = answer_sentences(
                tagger,
                read_corpus(file, tagged=False, encoding=encoding, say=console.note).tokens,
                explain=explain,
            )
        else:
            lines = [line for each in text or _standard_input() for line in each.splitlines() if line.strip()]
            answers = [answer(tagger, line, explain=explain) for line in lines]
        if out is not None:
            write_answers(out, answers)
            console.say(f"Wrote {out}")
        else:
            _show(console, answers)
        console.result({"model": str(model), "sentences": answers})


def train_tagger(
    file: Annotated[
        Path,
        typer.Argument(
            help="Tagged sentences: CoNLL-U, columns, JSON lines (packed or not).", show_default=False
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The model folder to write.", show_default="FILE's name and -tagger")
    ] = None,
    column: Column = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="A file like it, to choose the best weights by.",
            rich_help_panel=DATA,
            show_default="a tenth of the sentences",
        ),
    ] = None,
    encoding: o.Encoding = None,
    report: Annotated[
        Path | None,
        typer.Option(help="An HTML page with pictures on the held-out sentences.", show_default="none"),
    ] = None,
    cell: o.Cell = "lstm",
    hidden_size: Annotated[
        int, typer.Option(min=1, help="Units of a layer in each direction.", rich_help_panel=TRAINING)
    ] = 128,
    layers: Annotated[int, typer.Option(min=1, help="Layers.", rich_help_panel=TRAINING)] = 1,
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train a tagger on tagged sentences and write it to a folder, for `recurra tag --model`."""
    with o.verb(as_json) as console:
        out = o.folder_beside(out, file, "tagger")
        from recurra.artifact import check_replaceable
        from recurra.language.tagging import Tagger
        from recurra.language.tagging.data import read_corpus
        from recurra.sources.files import prepare_folder

        tagger = Tagger(cell=cell, hidden_size=hidden_size, layers=layers, steps=steps, seed=seed)
        tagger.check_arguments()
        corpus = read_corpus(file, column=column, encoding=encoding, say=console.note)
        held_out = None
        if validation is not None:
            other = read_corpus(validation, column=column, encoding=encoding, say=console.note)
            held_out = other.tokens, other.tags
        check_replaceable(out.resolve())
        prepare_folder(out.resolve().parent)
        words = sum(map(len, corpus.tokens))
        console.note(f"{len(corpus.tokens):,} sentences, {words:,} words.")
        tagger.fit(
            corpus.tokens, corpus.tags, validation=held_out, max_seconds=max_seconds, checkpoint=checkpoint
        )
        outcome = tagger.outcome_
        interrupted = outcome.stopped == "interrupted"
        if interrupted:
            console.note(f"Training was interrupted after {outcome.steps} steps; this is the best so far.")
        tagger.save(out)
        scores: Scores | None = None
        files: list[str] = []
        if tagger.held_out_[0]:
            scores, files = _scored(console, tagger, tagger.held_out_, "Held-out sentences", report)
        elif report is not None:
            console.note("There are too few sentences to hold some out: there is no report.")
        console.say(f"Wrote {out}")
        document: dict[str, Any] = {"model": str(out), "steps": outcome.steps, "seconds": outcome.seconds}
        document |= {"held_out": scores and scores.as_dict(), "files": files, "interrupted": interrupted}
        console.result(document)
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def _standard_input() -> list[str]:
    if sys.stdin.isatty():
        raise UsageError("there is no text", hint="Give one, a --file, or lines through a pipe.")
    lines = sys.stdin.buffer.read().split(b"\n")
    found = []
    for row, line in enumerate(lines, start=1):
        try:
            found.append(line.decode())
        except UnicodeDecodeError as error:
            hint = "Turn it into UTF-8 first, as iconv does."
            raise InputError(
                "this is not text in UTF-8", file="standard input", row=row, hint=hint
            ) from error
    return found


def _scored(
    console: Console,
    tagger: Tagger,
    sentences: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    title: str,
    report: Path | None,
) -> tuple[Scores, list[str]]:
    """Say how good a tagger is, on a page too if there is to be one: the scores, and the files that were written."""
    if report is None:
        scores = tagger.evaluate(*sentences)
    else:
        from recurra.language.tagging.report import write_report

        scores = write_report(report, tagger, *sentences)
    told = f"{title}: {scores.accuracy:.2%} of {scores.words:,} words have the right tag"
    if scores.unknown:
        told += f", {scores.unknown_right / scores.unknown:.2%} of {scores.unknown:,} that the model does not know"
    rows = [*scores.spans, *scores.tags]
    console.table(
        told,
        ["tag or kind of span" if scores.spans else "tag", "there", "precision", "recall", "F1"],
        [
            [each.name, each.there, f"{each.precision:.1%}", f"{each.recall:.1%}", f"{each.f1:.1%}"]
            for each in rows[:ROWS]
        ],
    )
    if report is None:
        return scores, []
    console.say(f"Wrote {report}")
    return scores, [str(report)]


def _show(console: Console, answers: Sequence[dict[str, Any]]) -> None:
    for each in answers:
        explained = ["because of"] if each["words"] and "because" in each["words"][0] else []
        rows = [
            [word["word"], word["tag"], f"{word['probability']:.0%}"]
            + [", ".join(f"{other} {fall:+.0%}" for other, fall in word["because"]) for _ in explained]
            for word in each["words"]
        ]
        console.table(each["text"], ["word", "tag", "probability", *explained], rows)
        for span in each["spans"]:
            console.say(f"{span['label']}: {span['text']}")
