"""Pieces of words: what their letters tell of words that were never seen. Needs NumPy only.

Legend: W words, N pieces of all of them together, V known pieces, E numbers of a vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bags", "CharacterGrams", "pooled", "shape"]

BEGIN, END, SHAPE = "\x02", "\x03", "\x01"  # no letters of words
LONGEST_WORD = 64  # characters that are read: the first and the last halves
MEMO = 200_000  # words whose pieces are remembered


class Bags(NamedTuple):
    """The pieces of W words: their numbers (N,), and where each word's begin (W,), at least one each."""

    grams: NDArray[np.int64]
    starts: NDArray[np.int64]


class CharacterGrams:
    """Which runs of letters a word is made of, with its beginning, its end and its shape.

    Words are tagged and classified by them as in Bojanowski et al. 2017 (arXiv 1607.04606), section 3.2, but that
    pieces are listed, not hashed: those that training never saw are left out, and none is taken for another.

    Parameters
    ----------
    grams: the known pieces, number 1 and on; 0 is the one that every word has.
    shortest, longest: characters of a piece, where beginning and end of a word count as one each.

    Raises ValueError for a piece that is given twice, and for lengths out of order.
    """

    def __init__(self, grams: Sequence[str], shortest: int = 1, longest: int = 5) -> None:
        if not 1 <= shortest <= longest <= 16:
            raise ValueError(f"pieces of {shortest} … {longest} characters: 1 … 16 are possible, in order")
        self.grams = tuple(grams)
        self.shortest, self.longest = shortest, longest
        self._numbers = {gram: number for number, gram in enumerate(self.grams, start=1)}
        if len(self._numbers) < len(self.grams):
            raise ValueError("a piece of words is listed twice")
        self._memo: dict[str, NDArray[np.int64]] = {}

    @classmethod
    def learn(
        cls,
        words: Iterable[str] | Mapping[str, int],
        *,
        shortest: int = 1,
        longest: int = 5,
        least: int = 2,
        most: int = 32_768,
    ) -> CharacterGrams:
        """The pieces of at least `least` different words, the `most` frequent ones, by falling frequency."""
        counts = Counter(gram for word in set(words) for gram in set(_grams(word, shortest, longest)))
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([gram for gram, count in ordered[:most] if count >= least], shortest, longest)

    @property
    def size(self) -> int:
        """V, the piece that every word has included."""
        return len(self.grams) + 1

    def ids(self, word: str) -> NDArray[np.int64]:
        """The numbers of a word's known pieces, 0 first."""
        found = self._memo.get(word)
        if found is None:
            known = [self._numbers.get(gram, 0) for gram in _grams(word, self.shortest, self.longest)]
            found = np.array([0, *(number for number in known if number)], np.int64)
            if len(self._memo) >= MEMO:
                self._memo.clear()
            self._memo[word] = found
        return found

    def bags(self, words: Iterable[str]) -> Bags:
        """The pieces of words, one word after the other."""
        each = [self.ids(word) for word in words]
        starts = np.cumsum([0, *map(len, each)], dtype=np.int64)[:-1]
        return Bags(np.concatenate(each) if each else np.zeros(0, np.int64), starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharacterGrams) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self._known())

    def _known(self) -> tuple[Any, ...]:
        return self.grams, self.shortest, self.longest


def pooled(weight: NDArray[np.float32], bags: Bags) -> NDArray[np.float32]:
    """The vectors of words (W, E): the sum of their pieces' vectors, rows of `weight` (V, E), over √(their number)."""
    if not len(bags.starts):
        return np.zeros((0, weight.shape[1]), np.float32)
    sums = np.add.reduceat(weight[bags.grams], bags.starts, axis=0)
    counts = np.diff(bags.starts, append=len(bags.grams)).astype(np.float32)
    return np.asarray(sums / np.sqrt(counts)[:, None], np.float32)


def shape(word: str) -> str:
    """What a word looks like: a letter for each kind of run, X upper case, x other letters, 0 digits, - all else.

    >>> shape("O'Neill's"), shape("1999"), shape("iPhone7")
    ('X-Xx-x', '0', 'xXx0')
    """
    return "".join(kind for kind, _ in groupby(map(_kind, word[:LONGEST_WORD])))


def _kind(letter: str) -> str:
    if letter.isupper():
        return "X"
    if letter.isalpha():
        return "x"
    return "0" if letter.isdigit() else "-"


def _grams(word: str, shortest: int, longest: int) -> list[str]:
    """Every piece of a word, as often as it comes, and its shape."""
    if len(word) > LONGEST_WORD:
        word = word[: LONGEST_WORD // 2] + word[-LONGEST_WORD // 2 :]
    marked = f"{BEGIN}{word}{END}"
    sizes = range(shortest, longest + 1)
    return [SHAPE + shape(word)] + [
        marked[start : start + size] for size in sizes for start in range(len(marked) - size + 1)
    ]
