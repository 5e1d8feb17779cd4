"""`recurra suggest`, `recurra type`, `recurra train keyboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recurra.cli import options as o
from recurra.cli.at_once import keyboard, personal_layer, show
from recurra.console import INTERRUPTED, Console
from recurra.errors import UsageError

__all__ = ["suggest", "train_keyboard", "type_text"]

PERSONAL = "The personal layer"
ROWS = 20  # of it that are shown in the terminal; --json shows all

Model = Annotated[
    Path | None,
    typer.Option(help="The keyboard's folder.", show_default="the English one that comes with recurra"),
]
Own = Annotated[
    bool,
    typer.Option("--personal/--no-personal", help="Use what was learnt from you.", rich_help_panel=PERSONAL),
]


def suggest(
    text: Annotated[str, typer.Argument(help="The text so far.", show_default="none")] = "",
    model: Model = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many suggestions.")] = 3,
    personal: Own = True,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn", help="Learn the text, instead of going on with it.", rich_help_panel=PERSONAL
        ),
    ] = False,
    block: Annotated[
        list[str] | None,
        typer.Option(help="Never suggest this word; may be given again.", rich_help_panel=PERSONAL),
    ] = None,
    show_personal: Annotated[
        bool, typer.Option("--show-personal", help="Show what was learnt from you.", rich_help_panel=PERSONAL)
    ] = False,
    wipe_personal: Annotated[
        bool,
        typer.Option("--wipe-personal", help="Forget what was learnt from you.", rich_help_panel=PERSONAL),
    ] = False,
    as_json: o.Json = False,
) -> None:
    """Suggest the rest of the word at the end of a text, or behind a space the next words."""
    with o.verb(as_json) as console:
        if wipe_personal:
            _wipe(console)
        elif learn or block or show_personal:
            if learn and not text.strip():
                raise UsageError(
                    "there is no text to learn", hint='Say: recurra suggest --learn "some text".'
                )
            _change(console, text if learn else "", block or [], show_personal)
        else:
            show(console, keyboard(console, model, personal), text, k)


def type_text(
    file: Annotated[
        Path | None,
        typer.Argument(help="A text file to go on with.", show_default="none, the text is printed"),
    ] = None,
    model: Model = None,
    personal: Own = True,
) -> None:
    """Type a text with grey completions: Tab takes one, Alt-1 … 3 others; Ctrl-S keeps the text, Ctrl-C drops it."""
    with o.verb(False) as console:
        from recurra.cli.editor import edit, read, write

        before = "" if file is None else read(file)
        text = edit(keyboard(console, model, personal), before, learn=personal)
        if text is None:
            console.say("Nothing was kept.")
            raise typer.Exit(INTERRUPTED)
        if file is None:
            print(text)
        else:
            write(file, text)
            console.say(f"Wrote {file}")


def train_keyboard(
    paths: Annotated[
        list[str],
        typer.Argument(
            show_default=False, help="Texts: .txt, .md, .jsonl, .csv:COLUMN, and folders of them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    vocabulary: Annotated[
        int,
        typer.Option(min=100, max=60_000, help="Words that the network knows.", rich_help_panel=o.TRAINING),
    ] = 10_000,
    cell: o.Cell = "lstm",
    epochs: Annotated[
        float, typer.Option(min=0.001, help="Times that the texts are read.", rich_help_panel=o.TRAINING)
    ] = 2.0,
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train predictive text on your own texts and write it to a folder, for `recurra suggest --model`."""
    with o.verb(as_json) as console:
        from recurra.artifact import check_replaceable
        from recurra.language.suggestion import Keyboard
        from recurra.text.documents import Files

        check_replaceable(out.resolve())
        learner = Keyboard(vocabulary=vocabulary, cell=cell, epochs=epochs, steps=steps, seed=seed)
        learner.check_arguments()  # before much text is read
        documents = Files(paths, say=console.note)
        learner.fit((each.text for each in documents), max_seconds=max_seconds, checkpoint=checkpoint)
        learner.save(out)
        outcome = learner.outcome_
        interrupted = outcome.stopped == "interrupted"
        if interrupted:
            console.note(f"Training was interrupted after {outcome.steps} steps; this is the best so far.")
        console.say(f"Wrote {out}")
        words = len(learner.lexicon_)
        console.result(
            {"model": str(out), "words": words, "steps": outcome.steps, "interrupted": interrupted}
        )
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def _change(console: Console, text: str, block: list[str], show: bool) -> None:
    """Learn a text and block words, and show what is known then."""
    layer = personal_layer(console)
    if text:
        layer.learn(text)
    if block:
        layer.block(block)
    rows = layer.rows()
    console.say(f"{layer.file}: {len(layer.phrases):,} words learnt, {len(layer.blocked):,} blocked")
    if show:
        known = [row for row in rows if "blocked" not in row]
        names = layer.phrases.writings
        cells = [
            [" ".join(names.get(word, word) for word in (*row["after"], row["word"])), row["count"]]
            for row in known
        ]
        if cells:
            console.table("What was learnt from you", ["words", "times"], cells[:ROWS])
        if len(cells) > ROWS:
            console.say(f"… and {len(cells) - ROWS:,} more; --json shows all.")
        if layer.blocked:
            console.say(f"Never suggested: {', '.join(sorted(layer.blocked))}")
    console.result({"file": str(layer.file), "words": len(layer.phrases), "rows": rows if show else None})


def _wipe(console: Console) -> None:
    from recurra.language.suggestion.personal import Personal, usual_place

    place = usual_place()
    Personal(place).wipe()
    console.say(f"Nothing that was learnt from you is left in {place}")
    console.result({"file": str(place), "words": 0, "rows": None})
