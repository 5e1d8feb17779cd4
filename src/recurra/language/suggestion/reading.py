"""A text that is being typed: what has been read of it, and what may come next.

The network says how probable each word is; the words of the text so far and the personal layer, which were met in the
same places, say it too (a cache: Kuhn & De Mori 1990; Grave et al. 2017, arXiv 1612.04426).

Legend: L words of the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.language.suggestion.lexicon import START, UNKNOWN, Lexicon, folded, is_word, pieces
from recurra.language.suggestion.phrases import LONGEST, Phrases
from recurra.language.suggestion.writing import Habits, written
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine
from recurra.text.words import BLANK, BREAK, DIGIT, LETTER, spans

__all__ = ["Reader", "split"]

Floats = NDArray[np.float32]

# How much what was counted is believed: behind n words that stood in the same place, n / (n + DOUBT), by how many words
# of the place are alike. A person's own words are believed sooner.
DOUBT = {0: 2000.0, 1: 30.0, 2: 10.0}
OWN_DOUBT = {0: 1000.0, 1: 4.0, 2: 1.0}
MEMORY = 300.0  # words after which those of the text so far weigh 1/e
PLAUSIBLE = 80  # words that a mistyped prefix may have meant
MISTYPED = 0.01  # how often a letter is mistyped
LEAST_TYPED, LONG_TYPED = 3, 6  # letters from which one mistake is thought of, and two
FITS = 3e-4  # how probable a word is that makes it needless to think of mistakes

_TAIL = re.compile(f"(?:[{DIGIT}]|[{LETTER}]|(?<=[{LETTER}])['’])*$")
_LINE_END = re.compile(f"[{BREAK}][{BREAK}{BLANK}]*$")
_BLANKS = re.compile(f"^[{BREAK}{BLANK}]+")
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
        self._tokens = lexicon.tokens.astype(np.intp)
        self._beyond = len(self._network) < len(lexicon)
        self.take(personal, blocked)

    def take(self, personal: Phrases[str] | None, blocked: Collection[str]) -> None:
        """Go on with another personal layer and other blocked words."""
        self._own_strangers: dict[str, int] = {}
        self._strangers = self._own_strangers  # numbers of words that the lexicon does not know
        self._personal = None if personal is None else personal.renamed(self._number)
        self._writings = {} if personal is None else dict(personal.writings)
        self._banned = set(blocked)
        places = map(self.lexicon.find, blocked)
        self._banned_places = np.array([place for place in places if place is not None], np.int64)
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
        if not text.startswith(self.text) or self._cuts(text):
            self._restart()
        fresh = text[len(self.text) :]
        if _LINE_END.search(self.text[-_FAR:]):  # what goes on with the end of a line is no other one
            fresh = _BLANKS.sub("", fresh)
        found = pieces(fresh)
        for piece in found:
            self._count(piece)
        if found:
            self.scores = self.session.read(np.array([self.lexicon.token(piece) for piece in found]))
        self.text, self._chances = text, None

    def _cuts(self, text: str) -> bool:
        """Whether what was read ends inside of a word, number or mark of the longer text."""
        tail = self.text[-_FAR:]
        around = tail + text[len(self.text) : len(self.text) + 4]
        return any(start < len(tail) < stop for start, stop in spans(around))

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
            e = np.exp(self.scores - self.scores.max())
            # All words together, before they are as many as the lexicon has: those of the network and its unknown one.
            total = e[self.lexicon.vocabulary - len(self._network) :].sum()
            total += e[UNKNOWN] if self._beyond else 0.0
            own = [] if self._personal is None else [(self._personal, OWN_DOUBT)]
            left, counted = _believed([*own, (self._recent, DOUBT)], self._before)
            e *= left / total
            p = np.zeros(size + len(self._strangers), np.float32)
            np.multiply(e.take(self._tokens), self.lexicon.shares, out=p[:size])
            for weight, words, shares in counted:
                p[words] += weight * shares
            p[self._banned_places] = 0.0
            self._chances = p
        return self._chances

    def suggest(self, context: str, prefix: str | None, k: int) -> list[tuple[str, float]]:
        """As `Keyboard.suggest` says."""
        if prefix is None:
            context, prefix = split(context)
        self.read(context)
        typed = folded(prefix)
        chances = dict(self._beginning(typed, k + 1))
        if len(typed) >= LEAST_TYPED and max(chances.values(), default=0.0) < FITS:
            for key, chance in self._mistyped(typed):
                chances[key] = max(chance, chances.get(key, 0.0))
        chances.pop(typed, None)
        best = sorted(chances.items(), key=lambda each: (-each[1], each[0]))[:k]
        return [(self._written(key, prefix), chance) for key, chance in best if chance > 0]

    def _beginning(self, typed: str, k: int) -> Iterator[tuple[str, float]]:
        """The k most probable words of the lexicon that begin with what is typed, and all others that do."""
        p, keys = self.chances, self.lexicon.keys
        if typed:
            where = self.lexicon.beginning(typed)
            places = where.start + best_of(p[where], k)
            places = np.concatenate([places, self.lexicon.without_apostrophe(typed)])
        else:
            places = self._network[best_of(p[self._network], k)]
        for place in places:
            yield keys[place], float(p[place])
        for word, number in self._strangers.items():
            if word.startswith(typed) and word not in self._banned:
                yield word, float(p[number])

    def _mistyped(self, typed: str) -> Iterator[tuple[str, float]]:
        """Words that may be meant if letters of what is typed are wrong, missing, too many or the wrong way round."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cdist

        p, keys, length = self.chances, self.lexicon.keys, len(typed)
        most = 2 if length >= LONG_TYPED else 1
        parts = [
            self.lexicon.beginning(first) for first in sorted({typed[0], typed[1]})
        ]  # the first is mostly right
        places = np.concatenate([part.start + best_of(p[part], PLAUSIBLE) for part in parts])
        names = [keys[place] for place in places]
        cut = [[name[:end] for name in names] for end in (length, length + 1)]
        wrong = np.minimum(
            *(cdist([typed], each, scorer=OSA.distance, score_cutoff=most, dtype=np.uint8)[0] for each in cut)
        )
        for number in np.flatnonzero((wrong > 0) & (wrong <= most)):
            yield names[number], float(p[places[number]]) * MISTYPED ** int(wrong[number])

    def _written(self, key: str, prefix: str) -> str:
        place = self.lexicon.find(key)
        known = self._writings.get(key, key) if place is None else self.lexicon.words[place]
        return written(known, prefix, self.habits)


def _believed(
    counts: Sequence[tuple[Phrases[int], Mapping[int, float]]], before: tuple[int, ...]
) -> tuple[float, list[tuple[float, NDArray[np.int64], NDArray[np.float64]]]]:
    """How far the network is believed, and each list of words that were counted in the same place: weight and shares.

    What comes later in `counts`, and what was counted behind more of the same words, goes before.
    """
    found = []
    for phrases, doubt in counts:
        for length in range(min(LONGEST, len(before)) + 1):
            context = before[len(before) - length :]
            words = phrases.after.get(context)
            if words is None:
                break
            total = phrases.total(context)
            numbers = np.fromiter(words.keys(), np.int64, len(words))
            found.append((total / (total + doubt[length]), numbers, phrases.shares(context)))
    left, weighed = 1.0, []
    for trust, numbers, shares in reversed(found):
        weighed.append((left * trust, numbers, shares))
        left *= 1 - trust
    return left, weighed


def best_of(values: Floats, k: int) -> NDArray[np.int64]:
    """Where the k largest are, the largest first."""
    if len(values) > 4 * k:
        some = np.argpartition(values, len(values) - k)[-k:]
        return some[np.argsort(-values[some], kind="stable")]
    return np.argsort(-values, kind="stable")[:k]
