"""Words that must appear in a text: each comes where the network finds it least surprising. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recurra.decoding import Sampling
from recurra.errors import UsageError
from recurra.language.generation.rules import begins_a_word, bits
from recurra.language.generation.scoring import log_softmax
from recurra.language.generation.writing import mixed
from recurra.streaming.run import Session

__all__ = ["check", "write"]

TRIES = 12  # places of which the whole topic is tried, after its first token


def check(topics: Sequence[str], encode: Callable[[str], list[int]], most: int) -> None:
    """Raise UsageError for topics that are no texts, and for more than fit into a text of `most` tokens."""
    if isinstance(topics, str):
        raise UsageError("topics must be a list of words", value=topics, hint=f"Write [{topics!r}].")
    for topic in topics:
        if not isinstance(topic, str) or not topic.strip():
            raise UsageError("every topic must be a word or several", value=repr(topic))
    needed = sum(len(encode(f" {topic.strip()}")) for topic in topics)
    if needed > most:
        hint = f"Allow {needed} tokens with max_tokens, or name fewer topics."
        raise UsageError(f"the topics need {needed} tokens, and the text has {most} at most", hint=hint)


def write(
    session: Session,
    topics: Sequence[str],
    *,
    sampling: Sampling,
    seed: int,
    pieces: Sequence[bytes],
    encode: Callable[[str], list[int]],
    before: str,
) -> Iterator[int]:
    """Tokens of a text in which every topic appears, in any order; it moves the session.

    The text is drafted part by part. Where a topic comes by itself, it stays; else all places between words of the
    draft are asked how probable the topic would be there, and it is put where that is most; the text goes on from it.

    before: the text that stands before, which says whether a space is needed.
    """
    most = sampling.max_tokens or 200
    new_word = bits(begins_a_word(pieces))
    waiting = {topic.strip(): encode(f" {topic.strip()}") for topic in topics}
    text, used, part = before.encode(), 0, 0
    while waiting:
        room = most - used - sum(map(len, waiting.values()))
        draft = _draft(session, sampling, mixed(seed, part), room // len(waiting), new_word if part else None)
        kept, topic = _by_itself(draft, waiting, text, pieces)
        if topic is None:
            kept, topic = _inserted(session, draft, waiting, text, pieces, encode)
        del waiting[topic]
        session.read(np.array(kept, np.int64))
        yield from kept
        text += b"".join(pieces[token] for token in kept)
        used, part = used + len(kept), part + 1
    if used < most:
        rest = session.fork(seed=mixed(seed, part))
        rest.sample_with(replace(sampling, max_tokens=most - used))
        rest.allow(new_word)
        try:
            if (token := rest.next()) is not None:
                yield token
            rest.allow(None)
            yield from rest.stream()
        finally:
            rest.close()


def _draft(
    session: Session, sampling: Sampling, seed: int, length: int, first: NDArray[np.uint8] | None
) -> list[int]:
    """How the text might go on, `length` tokens without an end."""
    if length < 1:
        return []
    settings = replace(sampling, max_tokens=length, banned=[*sampling.banned, *sampling.stop], stop=())
    with session.fork(seed=seed) as draft:
        draft.sample_with(settings)
        draft.allow(first)
        token = draft.next()
        draft.allow(None)
        return [*([] if token is None else [token]), *draft.generate(length)]


def _by_itself(
    draft: list[int], waiting: dict[str, list[int]], text: bytes, pieces: Sequence[bytes]
) -> tuple[list[int], str | None]:
    """The draft up to the first topic that came by itself, as a word or several, if one did."""
    before = text[-64:].decode(errors="ignore")
    known = {topic: re.compile(rf"(?<!\w){re.escape(topic)}(?!\w)", re.IGNORECASE) for topic in waiting}
    for place in range(len(draft)):
        so_far = b"".join(pieces[token] for token in draft[: place + 1]).decode(errors="ignore")
        for topic, pattern in known.items():
            if any(match.start() >= len(before) for match in pattern.finditer(before + so_far)):
                return draft[: place + 1], topic
    return [], None


def _inserted(
    session: Session,
    draft: list[int],
    waiting: dict[str, list[int]],
    text: bytes,
    pieces: Sequence[bytes],
    encode: Callable[[str], list[int]],
) -> tuple[list[int], str]:
    """The draft up to where a topic is least surprising, and the topic."""
    bounds = begins_a_word(pieces)
    places = [place for place, token in enumerate(draft) if bounds[token]] or [0]
    logs = log_softmax(session.scores)[None]
    if draft:
        with session.fork() as reading:
            logs = np.concatenate([logs, log_softmax(reading.read(np.array(draft), every=True))])
    tries = []
    for topic, tokens in waiting.items():
        for place in places:
            left = (pieces[draft[place - 1]] if place else text)[-1:]
            fitting = encode(topic) if not left or left.isspace() else tokens
            tries.append((float(logs[place, fitting[0]]), place, topic, fitting))
    tries = sorted(tries, key=lambda each: -each[0])[:TRIES]
    best = max(tries, key=lambda each: _log_probability(session, draft[: each[1]], each[3], each[0]))
    return [*draft[: best[1]], *best[3]], best[2]


def _log_probability(session: Session, before: list[int], tokens: list[int], first: float) -> float:
    """Of `tokens` after `before`, that of their first one being known."""
    if len(tokens) == 1:
        return first
    with session.fork() as reading:
        if before:
            reading.read(np.array(before))
        logs = log_softmax(reading.read(np.array(tokens[:-1]), every=True))
    return first + float(sum(logs[i, token] for i, token in enumerate(tokens[1:])))
