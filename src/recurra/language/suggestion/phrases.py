"""Words and what follows them, learnt at once by counting: of the text so far, and of all that a person types.

What is counted fades: each word counts a little less than the one after it. Words are folded texts or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError

__all__ = ["Phrases"]

LONGEST = 2  # words before a word that are remembered with it
LARGEST = 1e200  # where weights are brought back to small numbers

W = TypeVar("W", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Phrases(Generic[W]):
    """How often words came, alone and behind the one and the two before them.

    Parameters
    ----------
    memory: words after which what was counted weighs 1/e; infinity: it never fades.
    """

    def __init__(self, memory: float = math.inf) -> None:
        self.growth = math.exp(1 / memory)
        self.now = 1.0  # what a word that is met now weighs, in the numbers below
        self.after: dict[tuple[W, ...], dict[W, float]] = {(): {}}
        self.totals: dict[tuple[W, ...], float] = {(): 0.0}
        self.writings: dict[W, str] = {}  # how words are written that are not written as they are folded

    def __len__(self) -> int:
        return len(self.after[()])

    def add(self, word: W, before: tuple[W, ...], weight: float = 1.0) -> None:
        """Count a word that stands behind others, the last of which are looked at."""
        for length in range(min(LONGEST, len(before)) + 1):
            context = before[len(before) - length :]
            found = self.after.setdefault(context, {})
            found[word] = found.get(word, 0.0) + weight * self.now
            self.totals[context] = self.totals.get(context, 0.0) + weight * self.now
        self.now *= self.growth
        if self.now > LARGEST:
            self._rescale()

    def _rescale(self) -> None:
        for words in self.after.values():
            for word in words:
                words[word] /= self.now
        for context in self.totals:
            self.totals[context] /= self.now
        self.now = 1.0

    def total(self, context: tuple[W, ...]) -> float:
        """How many words stood behind a context."""
        return self.totals.get(context, 0.0) / self.now

    def shares(self, context: tuple[W, ...]) -> NDArray[np.float64]:
        """The share of each word behind a context, in the order of `after`."""
        words = self.after.get(context, {})
        return np.fromiter(words.values(), np.float64, len(words)) / self.totals.get(context, 1.0)

    def renamed(self, name: Callable[[W], V]) -> Phrases[V]:
        """The same of words that are called otherwise."""
        other: Phrases[V] = Phrases()
        other.growth, other.now = self.growth, self.now
        for context, words in self.after.items():
            key = tuple(map(name, context))
            other.after[key] = {name(word): weight for word, weight in words.items()}
            other.totals[key] = self.totals[context]
        return other

    def rows(self) -> Iterator[dict[str, Any]]:
        """All that it knows as JSON values; the weights as of now."""
        for context, words in self.after.items():
            for word, weight in words.items():
                row = {"word": word, "after": list(context), "count": round(weight / self.now, 3)}
                if not context and word in self.writings:
                    row["written"] = self.writings[word]
                yield row

    def take(self, rows: Iterable[Any]) -> None:
        """Add what `rows` gave; InputError for what it did not."""
        for number, row in enumerate(rows, start=1):
            try:
                word, context, count = row["word"], tuple(row["after"]), row["count"]
                written = row.get("written")
                texts = [word, *context, *([] if written is None else [written])]
                fits = all(isinstance(each, str) and 0 < len(each) <= 100 for each in texts)
                fits = fits and len(context) <= LONGEST and 0 <= count < 1e9
            except (LookupError, TypeError, AttributeError):
                fits = False
            if not fits:
                raise InputError("this line is no learnt word", row=number, value=str(row)[:60])
            words = self.after.setdefault(context, {})
            words[word] = words.get(word, 0.0) + count * self.now
            self.totals[context] = self.totals.get(context, 0.0) + count * self.now
            if written is not None:
                self.writings[word] = written
