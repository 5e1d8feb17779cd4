"""A text that is being typed: what the network has read of it, and what may come next.

Legend: L words of the lexicon.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from recurra.language.suggestion.lexicon import START, UNKNOWN, Lexicon, folded, pieces
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine
from recurra.text.words import DIGIT, LETTER

__all__ = ["Reader", "split"]

Floats = NDArray[np.float32]

_TAIL = re.compile(f"(?:[{DIGIT}]|[{LETTER}]|(?<=[{LETTER}])['’])*$")
_FAR = 60  # characters, longer than any word that is completed


def split(text: str) -> tuple[str, str]:
    """A text as what is before the word at its end, and that word as far as it is typed, "" where none is."""
    prefix = _TAIL.search(text[-_FAR:]).group()  # type: ignore[union-attr]
    return text[: len(text) - len(prefix)], prefix


class Reader:
    """Reads a text as it grows.

    Parameters
    ----------
    lexicon: the words.
    network: the packed network over its tokens.
    """

    def __init__(self, lexicon: Lexicon, network: Packed) -> None:
        self.lexicon = lexicon
        self.engine = Engine(network, threads=1)
        self._network = np.flatnonzero(lexicon.tokens != UNKNOWN)
        self._restart()

    def _restart(self) -> None:
        self.session = self.engine.session()
        self.scores: Floats = self.session.read(np.array([START]))
        self.text = ""
        self._chances: Floats | None = None

    def read(self, text: str) -> None:
        """Be where `text` ends, whose last word is whole."""
        if text == self.text:
            return
        goes_on = text.startswith(self.text) and (
            not split(self.text)[1] or not split(text[: len(self.text) + 1])[1]
        )
        if not goes_on:
            self._restart()
        fresh = text[len(self.text) :]
        # An end of a line counts once, and not before the text's first word.
        tokens = [self.lexicon.token(piece) for piece in pieces(fresh)]
        if tokens:
            self.scores = self.session.read(np.array(tokens))
            self._chances = None
        self.text = text

    @property
    def chances(self) -> Floats:
        """(L,) how probable each word is to be the next."""
        if self._chances is None:
            scores = self.scores - self.scores.max()
            p = np.exp(scores)[self.lexicon.tokens] * self.lexicon.shares
            self._chances = p / p.sum()
        return self._chances

    def suggest(self, context: str, prefix: str | None, k: int) -> list[tuple[str, float]]:
        """As `Keyboard.suggest` says."""
        if prefix is None:
            context, prefix = split(context)
        self.read(context)
        p, lexicon = self.chances, self.lexicon
        if prefix:
            where = lexicon.beginning(folded(prefix))
            part = p[where]
            places = where.start + _best(part, k + 1)
        else:
            places = self._network[_best(p[self._network], k)]
        found = [(lexicon.words[i], float(p[i])) for i in places if lexicon.keys[i] != folded(prefix)]
        return found[:k]


def _best(values: Floats, k: int) -> NDArray[np.int64]:
    """Where the k largest are, the largest first."""
    if len(values) > 4 * k:
        some = np.argpartition(values, len(values) - k)[-k:]
        return some[np.argsort(-values[some], kind="stable")]
    return np.argsort(-values, kind="stable")[:k]
