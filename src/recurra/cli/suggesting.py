"""`recurra suggest`, `recurra train keyboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED
from recurra.errors import UsageError

__all__ = ["suggest", "train_keyboard"]

SHIPPED = Path(__file__).parents[1] / "pretrained" / "keyboard"

Model = Annotated[
    Path | None,
    typer.Option(help="The keyboard's folder.", show_default="the English one that comes with recurra"),
]


def suggest(
    text: Annotated[str, typer.Argument(show_default=False, help="The text so far.")],
    model: Model = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many suggestions.")] = 3,
    as_json: o.Json = False,
) -> None:
    """Suggest the rest of the word at the end of a text, or behind a space the next words."""
    with o.verb(as_json) as console:
        from recurra.language.suggestion import Keyboard

        found = Keyboard.load(_folder(model)).suggest(text, k=k)
        if not as_json:
            print(" · ".join(each.text for each in found))
        console.result({"text": text, "suggestions": [each._asdict() for each in found]})


def train_keyboard(
    paths: Annotated[
        list[Path], typer.Argument(show_default=False, help="Texts: .txt, .md, .jsonl, packed or not.")
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
        from recurra.language.suggestion.texts import read

        check_replaceable(out.resolve())
        keyboard = Keyboard(vocabulary=vocabulary, cell=cell, epochs=epochs, steps=steps, seed=seed)
        keyboard.fit(read(paths), max_seconds=max_seconds, checkpoint=checkpoint)
        keyboard.save(out)
        outcome = keyboard.outcome_
        interrupted = outcome.stopped == "interrupted"
        if interrupted:
            console.note(f"Training was interrupted after {outcome.steps} steps; this is the best so far.")
        console.say(f"Wrote {out}")
        words = len(keyboard.lexicon_)
        console.result(
            {"model": str(out), "words": words, "steps": outcome.steps, "interrupted": interrupted}
        )
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def _folder(model: Path | None) -> Path:
    if model is None and not SHIPPED.is_dir():
        hint = (
            "Train one on your texts: recurra train keyboard TEXTS… --out FOLDER; then give --model FOLDER."
        )
        raise UsageError("this recurra comes without a keyboard", hint=hint)
    return model or SHIPPED
