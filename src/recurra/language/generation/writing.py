"""From a packed network to text: sessions that choose tokens, until what is asked for is there. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recurra.decoding import Sampling, StopStrings, Utf8
from recurra.streaming.run import Engine, Session

__all__ = ["Rule", "begin", "mixed", "run"]


class Rule(Protocol):
    """What tokens may come next in one text."""

    def mask(self) -> NDArray[np.uint8] | None:
        """Bits of the tokens that may come, the first byte's lowest one for token 0; None: all."""

    def took(self, token: int) -> None:
        """Take note of the token that came."""


def mixed(seed: int, number: int) -> int:
    """The seed of text `number` of several under one seed: number 0 has the seed itself."""
    return (seed + 0x9E3779B97F4A7C15 * number) % 2**64


def begin(engine: Engine, start: Sequence[int], seed: int = 0) -> Session:
    """A session that has read `start`."""
    session = engine.session(seed=seed)
    session.read(np.array(start, np.int64))
    return session


class _Text:
    """One text on its way: bytes become characters, and end at a stop string."""

    def __init__(
        self, session: Session, pieces: Sequence[bytes], stop: Sequence[str], rule: Rule | None
    ) -> None:
        self.session, self.pieces, self.rule = session, pieces, rule
        self.utf8, self.stops = Utf8(), StopStrings(stop)
        self.over = False

    def take(self, token: int | None) -> str:
        """What can be shown after this token, None: there is none any more."""
        if token is None:
            self.over = True
            return self.stops.push(self.utf8.flush()) + self.stops.flush()
        if self.rule is not None:
            self.rule.took(token)
        shown = self.stops.push(self.utf8.push(self.pieces[token]))
        self.over = self.stops.stopped
        return shown


def run(
    start: Session,
    count: int,
    *,
    sampling: Sampling,
    seed: int,
    pieces: Sequence[bytes],
    stop: Sequence[str] = (),
    rules: Sequence[Rule] | None = None,
) -> Iterator[tuple[int, str]]:
    """Go on from `start` with `count` texts at once: their numbers and what comes of each, piece by piece.

    Each has draws of its own from `seed`; what one says depends on nothing beside it. `rules` has one for each.
    """
    texts = []
    for number in range(count):
        session = start.fork(seed=mixed(seed, number))
        session.sample_with(sampling)
        texts.append(_Text(session, pieces, stop, None if rules is None else rules[number]))
    try:
        living = dict(enumerate(texts))
        while living:
            for text in living.values():
                if text.rule is not None:
                    text.session.allow(text.rule.mask())
            tokens = start.engine.advance([text.session for text in living.values()])
            for (number, text), token in zip(list(living.items()), tokens, strict=True):
                shown = text.take(token)
                if shown:
                    yield number, shown
                if text.over:
                    del living[number]
    finally:
        for text in texts:
            text.session.close()


def bits(allowed: NDArray[Any]) -> NDArray[np.uint8]:
    """Booleans (V,) as a mask."""
    return np.packbits(allowed, bitorder="little")
