"""What `LanguageModel.generate`, `stream`, `suggest` and `beam` do with their settings. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.decoding import Sampling, beam_search
from recurra.decoding.checks import check_whole
from recurra.errors import UsageError
from recurra.language.generation import recent as cache
from recurra.language.generation import topics as wanted
from recurra.language.generation import writing
from recurra.language.generation.completion import complete
from recurra.language.generation.rules import StartsWith, compile_grammar
from recurra.streaming.stepper import Stepper

if TYPE_CHECKING:
    from recurra.language.generation.language_model import LanguageModel

__all__ = ["beam", "suggest", "write"]

MOST_TEXTS = 256  # at once


def write(
    model: LanguageModel,
    prompt: str,
    count: int,
    *,
    max_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 0.95,
    min_p: float = 0.02,
    repetition_penalty: float = 1.0,
    repetition_window: int = 256,
    stop: Sequence[str] = (),
    kind: str | None = None,
    topics: Sequence[str] = (),
    pattern: str | None = None,
    schema: Mapping[str, Any] | str | None = None,
    recent: float = 0.0,
    seed: int | None = None,
) -> Iterator[tuple[int, str]]:
    """As `LanguageModel.stream` says, for `count` texts: each piece with its text's number."""
    if not isinstance(prompt, str):
        raise UsageError("a prompt is a text", value=type(prompt).__name__)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_TEXTS:
        raise UsageError(f"n must be a whole number, 1 to {MOST_TEXTS}", value=count)
    cache.check_share(recent)
    seed = model.seed if seed is None else seed
    check_whole("seed", seed, 0)
    asked = {
        "topics": bool(topics),
        "pattern": pattern is not None,
        "schema": schema is not None,
        "recent": recent > 0,
    }
    if len(both := [name for name, given in asked.items() if given]) > 1:
        raise UsageError(f"{both[0]} and {both[1]} cannot be had at once", hint="Leave one of them out.")
    tokenizer = model.tokenizer_
    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        repetition_window=repetition_window,
        max_tokens=max_tokens,
        banned=[i for i, piece in enumerate(tokenizer.pieces) if not piece and i != tokenizer.end],
        stop=[tokenizer.end],
    )
    lead = "" if asked["pattern"] or asked["schema"] else _lead(prompt, tokenizer.kind)
    wanted.check(topics, model.encode, max_tokens)
    before = prompt[: len(prompt) - len(lead)]
    with writing.begin(model.engine_, [*model.start(kind), *model.encode(before)]) as start:
        if topics or recent:
            for number in range(count):
                shown = writing.Shown(tokenizer.pieces, stop)
                with start.fork() as session:
                    own = writing.mixed(seed, number)
                    if topics:
                        tokens = wanted.write(
                            session,
                            topics,
                            sampling=sampling,
                            seed=own,
                            pieces=tokenizer.pieces,
                            encode=model.encode,
                            before=before,
                        )
                    else:
                        memory = cache.Recent(recent)
                        tokens = cache.write(session, sampling, memory, own)
                    for token in tokens:
                        yield number, shown.take(token)
                        if shown.over:
                            break
                    yield number, shown.end()
            return
        rules: list[Any] = []
        if asked["pattern"] or asked["schema"]:
            rules = [compile_grammar(tokenizer, pattern=pattern, schema=schema) for _ in range(count)]
        elif lead:
            rules = [StartsWith(tokenizer.pieces, lead.encode()) for _ in range(count)]
        left = [len(lead)] * count
        for number, piece in writing.run(
            start, count, sampling=sampling, seed=seed, pieces=tokenizer.pieces, stop=stop, rules=rules
        ):
            shown_now, left[number] = piece[left[number] :], max(0, left[number] - len(piece))
            if shown_now:
                yield number, shown_now


def suggest(
    model: LanguageModel, context: str, prefix: str, count: int, kind: str | None
) -> list[tuple[str, float]]:
    """As `LanguageModel.suggest` says."""
    check_whole("k", count, 1)
    before = context.rstrip(" ")
    apart = " " if before and model.tokenizer_.kind != "spaced" and not before[-1].isspace() else ""
    with writing.begin(model.engine_, [*model.start(kind), *model.encode(before)]) as session:
        return complete(session, apart + prefix, count, model.tokenizer_.pieces)


def beam(
    model: LanguageModel, prompt: str, *, width: int, n: int, max_tokens: int, kind: str | None
) -> list[str]:
    """As `LanguageModel.beam` says."""
    start, tokenizer = [*model.start(kind), *model.encode(prompt)], model.tokenizer_
    banned = [i for i, piece in enumerate(tokenizer.pieces) if not piece and i != tokenizer.end]
    with model.engine_.session() as session:
        session.read(np.array(start[:-1], np.int64), every=True)
        step = Stepper([session])
        try:
            (found,) = beam_search(
                step,
                start[-1:],
                end=tokenizer.end,
                max_length=max_tokens,
                width=width,
                n_best=n,
                banned=banned,
            )
        finally:
            step.close()
    return [tokenizer.decode(each.tokens) for each in found]


def _lead(prompt: str, kind: str) -> str:
    """The space at a prompt's end, which belongs to the next word in tokens that have one before them."""
    apart = (
        kind in ("bpe", "words") and prompt.endswith(" ") and not prompt.endswith("  ") and len(prompt) > 1
    )
    return " " if apart else ""
