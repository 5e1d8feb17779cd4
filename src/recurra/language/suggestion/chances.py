"""How probable each word is to be the next: what the network says, and what was counted in the same place.

Words have numbers: first those of the lexicon that the network does not know, in the lexicon's order, behind them the
network's tokens, then words that the lexicon does not know. The latter two are all looked at before a letter is typed,
the first only behind one, so their chances are computed when they are asked for.

Legend: V tokens of the network, L words of the lexicon, O of them that the network does not know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.language.suggestion.lexicon import UNKNOWN, Lexicon
from recurra.language.suggestion.phrases import Counts

__all__ = ["Belief", "Chances", "best_of"]

Floats = NDArray[np.float32]
Integers = NDArray[np.intp]
Belief = tuple[float, Counts, tuple[int, ...]]  # how far what was counted behind some words is believed

SHORT = 64  # so many numbers are sorted faster than their largest is looked for again and again
FEW = 16  # so many of many numbers are found fastest one after the other


class Chances:
    """The chances of all words.

    Attributes
    ----------
    numbers: (L,) the words' numbers, by their places in the lexicon.
    places: the places of the words, by their numbers.
    token: the number of the network's token 0, which is O.
    first, known: the first number of a word of the network, and of a word beyond the lexicon.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        others = np.flatnonzero(lexicon.tokens == UNKNOWN)
        self.token = len(others)
        self.known = self.token + lexicon.vocabulary
        self.first = self.known - (len(lexicon) - len(others))
        self.numbers = lexicon.tokens.astype(np.intp) + self.token
        self.numbers[others] = np.arange(len(others))
        self.places = np.zeros(self.known, np.intp)
        self.places[self.numbers] = np.arange(len(lexicon))
        self._shares = lexicon.shares[others]
        self._p = np.zeros(self.known, np.float32)

    def say(
        self, scores: Floats, left: float, counted: Sequence[Belief], banned: Integers, strangers: int
    ) -> None:
        """Tell what is known of the next word.

        - scores: (V,) the network's, which is believed as far as `left`.
        - counted: what else is, and how far.
        - banned: numbers of words whose chance is none.
        - strangers: how many words are known beyond the lexicon.
        """
        if self.known + strangers > len(self._p):
            self._p = np.zeros(self.known + 2 * strangers, np.float32)
        self._end, self._counted, self._banned = self.known + strangers, counted, banned
        network = self._p[self.token : self.known]
        np.subtract(scores, scores.max(), out=network)
        np.exp(network, out=network)
        # All words together, before they are as many as the lexicon has: those of the network and its unknown one.
        total = self._p[self.first : self.known].sum()
        total += network[UNKNOWN] if self.token else 0.0
        network *= left / total
        self._unknown = network[UNKNOWN]  # all of the lexicon's others; None once they are computed
        self._p[self.known : self._end] = 0.0
        self._add(slice(self.token, self._end))

    def _add(self, where: slice) -> None:
        for chance, counts, context in self._counted:
            counts.share_out(chance, context, self._p, where)
        if len(self._banned):
            self._p[self._banned] = 0.0

    @property
    def network(self) -> Floats:
        """Those of the network's words, from number `first` on."""
        return self._p[self.first : self.known]

    @property
    def strangers(self) -> Floats:
        """Those of the words beyond the lexicon, from number `known` on."""
        return self._p[self.known : self._end]

    def of(self, numbers: Integers | list[int]) -> Floats:
        """Those of words by their numbers."""
        if self._unknown is not None:
            np.multiply(self._shares, self._unknown, out=self._p[: self.token])
            self._add(slice(0, self.token))
            self._unknown = None
        return self._p.take(numbers)


def best_of(values: Floats, k: int) -> list[int]:
    """Where the k largest are, the largest first, of those that are equal the first."""
    if len(values) <= SHORT:
        order: list[int] = (-values).argsort(kind="stable")[:k].tolist()
        return order
    if k <= FEW:
        rest, found = values.copy(), []
        for _ in range(min(k, len(values))):
            found.append(int(rest.argmax()))
            rest[found[-1]] = -np.inf
        return found
    some = np.arange(len(values))
    if len(values) > 4 * k:
        some = np.argpartition(values, len(values) - k)[-k:]
    best: list[int] = some[np.argsort(-values[some], kind="stable")][:k].tolist()
    return best
