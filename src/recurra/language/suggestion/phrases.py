"""Words and what follows them, learnt at once by counting: of the text so far, and of all that a person types.

What is counted fades: each word counts a little less than the one after it. Words are folded texts or numbers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError

__all__ = ["Counts", "Phrases"]

LONGEST = 2  # words before a word that are remembered with it
KEPT = 256  # words that can be taken back
FADED = 500.0  # times the memory after which nothing is left, to the last digit of a float
LARGEST = 1e15  # where weights are brought back to small numbers: far below float32's end

W = TypeVar("W", bound=Hashable)


class Phrases(Generic[W]):
    """How often words came, alone and behind the one and the two before them.

    Parameters
    ----------
    memory: words after which what was counted weighs 1/e; infinity: it never fades.
    """

    def __init__(self, memory: float = math.inf) -> None:
        self.memory = memory
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
            self.put(word, before[len(before) - length :], weight)
        self._move_on(self.growth)

    def put(self, word: W, context: tuple[W, ...], count: float) -> None:
        """Count a word as having stood so often behind a context, just now."""
        words = self.after.setdefault(context, {})
        words[word] = words.get(word, 0.0) + count * self.now
        self.totals[context] = self.totals.get(context, 0.0) + count * self.now

    def fade(self, words: float) -> None:
        """Let what was counted weigh as much less as if so many words had come since."""
        self._move_on(self.growth ** min(words, FADED * self.memory))

    def _move_on(self, growth: float) -> None:
        self.now *= growth
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

    def rows(self) -> Iterator[dict[str, Any]]:
        """All that it knows as JSON values; the weights as of now."""
        for context, words in self.after.items():
            for word, weight in words.items():
                row = {"word": word, "after": list(context), "count": round(weight / self.now, 3)}
                if not context and word in self.writings:
                    row["written"] = self.writings[word]
                yield row

    def take(self, row: Any) -> None:
        """Add what `rows` gave as one row; InputError for what it did not."""
        try:
            word, context, count = row["word"], tuple(row["after"]), row["count"]
            written = row.get("written")
            fits = _is_text(word) and len(context) <= LONGEST and all(map(_is_text, context))
            fits = fits and 0 <= count < 1e9 and (written is None or _is_text(written))
        except (LookupError, TypeError, AttributeError):
            fits = False
        if not fits:
            raise InputError("this line is no learnt word", value=str(row)[:60])
        self.put(word, context, count)
        if written is not None:
            self.writings[word] = written


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100


# What stood there before a word was counted: `now`, the word, and for each context its total and the word's weight.
_Before = tuple[float, int, list[tuple[tuple[int, ...], float | None, float | None]]]


class Counts(Phrases[int]):
    """Phrases of words that are numbers. How often each came at all, which are many, stands in an array, too.

    Parameters
    ----------
    size: numbers below it are expected; higher ones make the array grow.

    Attributes
    ----------
    added: how many words were counted.
    """

    def __init__(self, size: int, memory: float = math.inf) -> None:
        super().__init__(memory)
        self.often = np.zeros(size, np.float32)
        self.added = 0
        self._before: deque[_Before] = deque(maxlen=KEPT)

    @classmethod
    def of(cls, phrases: Phrases[str], size: int, number: Callable[[str], int]) -> Self:
        """The same phrases, each word as its number."""
        made, number = cls(size), cache(number)
        made.memory, made.growth, made.now = phrases.memory, phrases.growth, phrases.now
        for context, words in phrases.after.items():
            key = tuple(map(number, context))
            made.after[key] = {number(word): weight for word, weight in words.items()}
            made.totals[key] = phrases.totals[context]
        for word in made.after[()]:
            made._note(word)
        return made

    def put(self, word: int, context: tuple[int, ...], count: float) -> None:
        """Count a word as having stood so often behind a context, just now."""
        super().put(word, context, count)
        if not context:
            self._note(word)

    def add(self, word: int, before: tuple[int, ...], weight: float = 1.0) -> None:
        """Count a word that stands behind others."""
        contexts = [before[len(before) - length :] for length in range(min(LONGEST, len(before)) + 1)]
        old = [(each, self.totals.get(each), self.after.get(each, {}).get(word)) for each in contexts]
        self._before.append((self.now, word, old))
        super().add(word, before, weight)
        self.added += 1

    def take_back(self, count: int) -> bool:
        """Be as before the last words were counted; False where that is not known any more."""
        if count > len(self._before):
            return False
        for _ in range(count):
            self.now, word, old = self._before.pop()
            for context, total, weight in old:
                if total is None:
                    del self.after[context], self.totals[context]
                    continue
                self.totals[context] = total
                if weight is None:
                    del self.after[context][word]
                else:
                    self.after[context][word] = weight
            self.often[word] = self.after[()].get(word, 0.0)
        self.added -= count
        return True

    def _note(self, word: int) -> None:
        if word >= len(self.often):
            self.often = np.pad(self.often, (0, word + 1))
        self.often[word] = self.after[()][word]

    def _rescale(self) -> None:
        self.often /= np.float32(self.now)
        super()._rescale()
        self._before.clear()

    def share_out(
        self, chance: float, context: tuple[int, ...], to: NDArray[np.float32], where: slice
    ) -> None:
        """Add a chance to words, `where` their numbers are, divided as they were counted behind a context."""
        part = chance / self.totals[context]
        if context:
            words = self.after[context]
            numbers = np.fromiter(words.keys(), np.intp, len(words))
            inside = (numbers >= where.start) & (numbers < where.stop)
            shares = part * np.fromiter(words.values(), np.float64, len(words))
            to[numbers[inside]] += shares[inside]
        else:
            often = self.often[where]
            to[where.start : where.start + len(often)] += np.float32(part) * often
