"""A text that is being typed: what has been read of it, and what may come next.

The network says how probable each word is; the words of the text so far and the personal layer, which were met in the
same places, say it too (a cache: Kuhn & De Mori 1990; Grave et al. 2017, arXiv 1612.04426).

Legend: L words of the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from recurra.language.suggestion.lexicon import START, UNKNOWN, Lexicon, folded, is_word, pieces
from recurra.language.suggestion.phrases import LONGEST, Phrases
from recurra.language.suggestion.writing import Habits, written
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine
from recurra.text.words import DIGIT, LETTER

__all__ = ["Reader", "split"]

Floats = NDArray[np.float32]

# How much what was counted is believed: behind n words that stood in the same place, n / (n + DOUBT).
DOUBT = {0: 2000.0, 1: 30.0, 2: 10.0}
MEMORY = 300.0  # words after which those of the text so far weigh 1/e
PLAUSIBLE = 2000  # words that a mistyped prefix may have meant
MISTYPED = 0.01  # how often a letter is mistyped
LEAST_TYPED = 3  # letters from which mistakes are thought of

_TAIL = re.compile(f"(?:[{DIGIT}]|[{LETTER}]|(?<=[{LETTER}])['’])*$")
_FAR = 60  # characters, longer than any word that is completed


def split(text: str) -> tuple[str, str]:
    """A text as what is before the word at its end, and that word as far as it is typed, "" where none is."""
    prefix = _TAIL.search(text[-_FAR:]).group()  # type: ignore[union-attr]
    return text[: len(text) - len(prefix)], prefix


class Reader:
    """Reads a text as it grows.

    Words have numbers: their places in the lexicon, and behind them those of words that it does not know.

    Parameters
    ----------
    lexicon: the words.
    network: the packed network over its tokens.
    personal: what else has been counted; it is not changed.
    blocked: folded words that are never suggested.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        network: Packed,
        personal: Phrases[str] | None = None,
        blocked: Collection[str] = (),
    ) -> None:
        self.lexicon = lexicon
        self.engine = Engine(network, threads=1)
        self._network = np.flatnonzero(lexicon.tokens != UNKNOWN)
        self._strangers: dict[str, int] = {}  # numbers of words that the lexicon does not know
        self._personal = None if personal is None else personal.renamed(self._number)
        self._own_strangers = dict(self._strangers)
        self._writings = {} if personal is None else dict(personal.writings)
        self._blocked = [self._number(word) for word in blocked if lexicon.find(word) is not None]
        self._banned = set(blocked)
        self._restart()

    def _restart(self) -> None:
        self.session = self.engine.session()
        self.scores: Floats = self.session.read(np.array([START]))
        self.text, self.habits = "", Habits()
        self._before: tuple[int, ...] = ()
        self._recent: Phrases[int] = Phrases(MEMORY)
        self._strangers = dict(self._own_strangers)
        self._chances: Floats | None = None

    def read(self, text: str) -> None:
        """Be where `text` ends, whose last word is whole."""
        if text == self.text:
            return
        inside = bool(split(self.text)[1]) and bool(split(text[: len(self.text) + 1])[1])  # of a word
        if inside or not text.startswith(self.text):
            self._restart()
        found = pieces(text[len(self.text) :])
        for piece in found:
            self._count(piece)
        if found:
            self.scores = self.session.read(np.array([self.lexicon.token(piece) for piece in found]))
        self.text, self._chances = text, None

    def _count(self, piece: str) -> None:
        key = folded(piece)
        if is_word(piece):
            number = self._number(key)
            if number >= len(self.lexicon) and not (self.habits.begins and key in self._writings):
                self._writings[key] = piece
            self._recent.add(number, self._before)
            self._before = (*self._before, number)[-LONGEST:]
        else:
            self._before = ()
        self.habits.observe(piece)

    def _number(self, key: str) -> int:
        place = self.lexicon.find(key)
        return (
            self._strangers.setdefault(key, len(self.lexicon) + len(self._strangers))
            if place is None
            else place
        )

    @property
    def chances(self) -> Floats:
        """How probable each word is to be the next, by its number."""
        if self._chances is None:
            size = len(self.lexicon)
            p = np.zeros(size + len(self._strangers), np.float32)
            p[:size] = np.exp(self.scores - self.scores.max())[self.lexicon.tokens] * self.lexicon.shares
            p /= p.sum()
            for phrases in (self._personal, self._recent):
                if phrases is not None:
                    _believe(p, phrases, self._before)
            p[self._blocked] = 0.0
            self._chances = p
        return self._chances

    def suggest(self, context: str, prefix: str | None, k: int) -> list[tuple[str, float]]:
        """As `Keyboard.suggest` says."""
        if prefix is None:
            context, prefix = split(context)
        self.read(context)
        typed = folded(prefix)
        best = sorted(self._candidates(typed, k + 1), key=lambda each: (-each[1], each[0]))
        found = [each for each in best if each[0] != typed and each[1] > 0][:k]
        return [(self._written(key, prefix), chance) for key, chance in found]

    def _candidates(self, typed: str, k: int) -> Iterator[tuple[str, float]]:
        """The k most probable words of the lexicon that begin with what is typed, folded, and all others that do."""
        p, keys = self.chances, self.lexicon.keys
        if typed:
            where = self.lexicon.beginning(typed)
            places = where.start + best_of(p[where], k)
        else:
            places = self._network[best_of(p[self._network], k)]
        for place in places:
            yield keys[place], float(p[place])
        for word, number in self._strangers.items():
            if word.startswith(typed) and word not in self._banned:
                yield word, float(p[number])

    def _written(self, key: str, prefix: str) -> str:
        place = self.lexicon.find(key)
        known = self._writings.get(key, key) if place is None else self.lexicon.words[place]
        return written(known, prefix, self.habits)


def _believe(p: Floats, phrases: Phrases[int], before: tuple[int, ...]) -> None:
    """Mix into chances what was counted in the same places, the more of it the longer they are alike."""
    for length in range(min(LONGEST, len(before)) + 1):
        context = before[len(before) - length :]
        words = phrases.after.get(context)
        if words is None:
            return
        total = phrases.total(context)
        trust = total / (total + DOUBT[length])
        p *= 1 - trust
        numbers = np.fromiter(words.keys(), np.int64, len(words))
        p[numbers] += trust * phrases.shares(context)


def best_of(values: Floats, k: int) -> NDArray[np.int64]:
    """Where the k largest are, the largest first."""
    if len(values) > 4 * k:
        some = np.argpartition(values, len(values) - k)[-k:]
        return some[np.argsort(-values[some], kind="stable")]
    return np.argsort(-values, kind="stable")[:k]
