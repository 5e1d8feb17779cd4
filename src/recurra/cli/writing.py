"""`recurra write`, `recurra train language`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recurra.cli import options as o
from recurra.console import INTERRUPTED, Console
from recurra.errors import UsageError

if TYPE_CHECKING:
    from recurra.language.generation import LanguageModel

__all__ = ["train_language", "write"]

NETWORK = "The network"
CHOOSING = "How words are chosen"
SHIPPED = Path(__file__).parents[1] / "pretrained" / "writer"
OWN_WRITER = "A small English writer: it has the sound of its texts, seldom their sense."
KIND = "prose"  # of the shipped writer's, unless told otherwise: of any, half the texts would be chats


def write(
    prompt: Annotated[str, typer.Argument(help="What the text begins with.", show_default="none")] = "",
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder.", show_default="the English writer that comes with recurra"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="What kind of text to write, one that the model was trained on; the writer that comes along knows "
            "prose, drama and chat.",
            show_default="any; prose of the writer that comes along",
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="A word that must appear; may be given again.", show_default="none"),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="A regular expression that the text must match.", show_default="none")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="A file with a JSON schema that the text must follow.", show_default="none"),
    ] = None,
    recent: Annotated[
        float,
        typer.Option(help="Share of a cache of recent words, below 1.", rich_help_panel=CHOOSING),
    ] = 0.0,
    n: Annotated[int, typer.Option("--n", min=1, max=256, help="How many texts.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="How long a text is at most, in tokens.")] = 200,
    temperature: Annotated[
        float,
        typer.Option(
            help="Lower is safer, higher is wilder; 0 always takes the best.", rich_help_panel=CHOOSING
        ),
    ] = 0.8,
    top_k: Annotated[
        int,
        typer.Option(min=0, help="Only the so many most probable tokens; 0: all.", rich_help_panel=CHOOSING),
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(help="Only the most probable tokens up to this probability.", rich_help_panel=CHOOSING),
    ] = 0.95,
    min_p: Annotated[
        float,
        typer.Option(
            help="Only tokens with this share of the best one's probability.", rich_help_panel=CHOOSING
        ),
    ] = 0.02,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1: fewer repetitions.", rich_help_panel=CHOOSING)
    ] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option(help="End the text before this string; may be given again.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same text.", show_default="drawn"),
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Write on from a prompt."""
    with o.verb(as_json) as console:
        writer = _model(model)
        if model is None:
            kind = KIND if kind is None else kind
            if kind in writer.kinds_:
                console.note(f"{OWN_WRITER} This is {kind}; {_others(writer, kind)} are there, too.")
        seed = _drawn() if seed is None else seed
        settings: dict[str, Any] = {
            "kind": kind,
            "topics": topic or [],
            "pattern": pattern,
            "schema": None if schema is None else _text_of(schema),
            "recent": recent,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "stop": stop or [],
            "seed": seed,
        }
        if n == 1 and not as_json:
            _copies(writer, prompt, _shown(prompt, writer.stream(prompt, **settings)), console)
            return
        texts = writer.generate(prompt, n=n, **settings)
        if not as_json:
            for number, text in enumerate(texts, start=1):
                print(f"— {number} —\n{prompt}{text}\n")
        copies = [_copies(writer, prompt, text, console) for text in texts]
        console.result({"prompt": prompt, "seed": seed, "texts": texts, "copies": copies})


def train_language(
    paths: Annotated[
        list[str],
        typer.Argument(
            show_default=False, help="Texts: .txt, .md, .jsonl, .csv:COLUMN, and folders of them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    kind: Annotated[
        str | None,
        typer.Option(
            help="Column of the kind of text; sub-folders are kinds by themselves.", show_default="none"
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(help="tiny, small, medium or large.", rich_help_panel=NETWORK)
    ] = "small",
    cell: o.Cell = "lstm",
    tokenizer: Annotated[
        str, typer.Option(help="bpe, words, spaced, characters or bytes.", rich_help_panel=NETWORK)
    ] = "bpe",
    vocabulary: Annotated[
        int | None,
        typer.Option(min=1, help="How many tokens.", rich_help_panel=NETWORK, show_default="by the size"),
    ] = None,
    steps: o.Steps = None,
    max_seconds: o.MaxSeconds = None,
    checkpoint: o.Checkpoint = None,
    seed: o.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Train a language model on your own texts and write it to a folder, for `recurra write --model`."""
    with o.verb(as_json) as console:
        from recurra.artifact import check_replaceable
        from recurra.language.generation import LanguageModel

        learner = LanguageModel(
            cell, size, tokenizer=tokenizer, vocabulary=vocabulary, steps=steps, seed=seed
        )
        learner.check_arguments()  # before much text is read
        check_replaceable(out.resolve())
        learner.fit(
            [Path(path) for path in paths],
            kind,
            max_seconds=max_seconds,
            checkpoint=checkpoint,
            say=console.say,
        )
        for note in learner.notes_:
            console.note(note)
        learner.save(out)
        interrupted = _interrupted(learner, console)
        _told(learner, console)
        console.say(f"Wrote {out}; try: recurra write --model {out}")
        console.result(
            {
                "model": str(out),
                "parameters": learner.parameters_,
                "quality": learner.quality_,
                "steps": learner.outcome_.steps,
                "seconds": round(learner.outcome_.seconds, 1),
                "interrupted": interrupted,
            }
        )
        if interrupted:
            raise typer.Exit(INTERRUPTED)


def _others(writer: LanguageModel, kind: str) -> str:
    return " and ".join(f"--kind {each}" for each in writer.kinds_ if each != kind)


def _model(folder: Path | None) -> LanguageModel:
    """The model of a folder, or the one that comes with recurra."""
    from recurra.language.generation import LanguageModel

    if folder is None and not SHIPPED.exists():
        raise UsageError(
            "this recurra comes without a trained writer",
            hint="Train one with: recurra train language my_texts/ --out my-voice, and give it with --model.",
        )
    return LanguageModel.load(SHIPPED if folder is None else folder)


def _shown(prompt: str, pieces: Iterator[str]) -> str:
    """Print a text as it comes, and give it; nothing is printed of one that cannot be begun."""
    text = next(pieces, "")
    print(prompt + text, end="", flush=True)
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
            text += piece
    finally:
        print()
    return text


def _copies(model: LanguageModel, prompt: str, text: str, console: Console) -> list[dict[str, object]]:
    """What of a text repeats what the model learnt from; a person is told."""
    whole = prompt + text
    found = model.copies(whole, behind=len(prompt))
    for each in found:
        words = " ".join(whole[each.start : each.stop].split()[:6])
        console.say(
            f"· {each.words} words or more repeat {each.where}, character {each.offset:,}: “{words} …”"
        )
    return [
        {**asdict(each), "start": each.start - len(prompt), "stop": each.stop - len(prompt)} for each in found
    ]


def _text_of(file: Path) -> str:
    from recurra.errors import InputError
    from recurra.sources.files import existing_file

    try:
        return existing_file(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("this is no UTF-8 text", file=file, hint="Give a JSON file.") from error


def _drawn() -> int:
    import secrets

    return secrets.randbelow(2**32)


def _told(model: LanguageModel, console: Console) -> None:
    quality = model.quality_
    if quality is None:
        return
    console.say(
        f"On held-out text: {quality['bits_per_byte']:.3f} bits a byte, perplexity "
        f"{quality['perplexity_per_token']:.1f} a token, {quality['perplexity_per_word']:.1f} a word"
    )


def _interrupted(model: LanguageModel, console: Console) -> bool:
    """Whether Ctrl-C ended the training; if so, say it."""
    outcome = model.outcome_
    if outcome.stopped != "interrupted":
        return False
    console.note(f"Training was interrupted after {outcome.steps} steps; this is the best so far.")
    return True
