"""From a packed network to text: sessions that choose tokens, until what is asked for is there. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from recurra.decoding import Sampling, StopStrings, Utf8
from recurra.language.generation.rules import Rule
from recurra.streaming.run import Engine, Session

__all__ = ["Shown", "begin", "mixed", "run"]


def mixed(seed: int, number: int) -> int:
    """The seed of text `number` of several under one seed: number 0 has the seed itself."""
    return (seed + 0x9E3779B97F4A7C15 * number) % 2**64


def begin(engine: Engine, start: Sequence[int], seed: int = 0) -> Session:
    """A session that has read `start`."""
    session = engine.session(seed=seed)
    session.read(np.array(start, np.int64))
    return session


class Shown:
    """A text on its way: tokens become characters, and end at a stop string."""

    def __init__(self, pieces: Sequence[bytes], stop: Sequence[str] = ()) -> None:
        self._pieces, self._utf8, self._stops = pieces, Utf8(), StopStrings(stop)
        self.over = False

    def take(self, token: int) -> str:
        """What can be shown after this token."""
        shown = self._stops.push(self._utf8.push(self._pieces[token]))
        self.over = self._stops.stopped
        return shown

    def end(self) -> str:
        """What was held back; there are no tokens any more."""
        if self.over:
            return ""
        self.over = True
        return self._stops.push(self._utf8.flush()) + self._stops.flush()


def run(
    start: Session,
    count: int,
    *,
    sampling: Sampling,
    seed: int,
    pieces: Sequence[bytes],
    stop: Sequence[str] = (),
    rules: Sequence[Rule] = (),
) -> Iterator[tuple[int, str]]:
    """Go on from `start` with `count` texts at once: their numbers and what comes of each, piece by piece.

    Each has draws of its own from `seed`; what one says depends on nothing beside it. `rules`: one for each, or none.
    """
    sessions = [start.fork(seed=mixed(seed, number)) for number in range(count)]
    texts = [Shown(pieces, stop) for _ in sessions]
    try:
        for session in sessions:
            session.sample_with(sampling)
        living = list(range(count))
        while living:
            for number in living if rules else ():
                sessions[number].allow(rules[number].mask())
            for number, token in zip(
                living, start.engine.advance([sessions[each] for each in living]), strict=True
            ):
                if token is None:
                    shown = texts[number].end()
                else:
                    if rules:
                        rules[number].took(token)
                    shown = texts[number].take(token)
                if shown:
                    yield number, shown
            living = [number for number in living if not texts[number].over]
        for rule in rules:
            rule.check()
    finally:
        for session in sessions:
            session.close()
