"""What the network sees of a text: its words, and the pieces that they are made of. Needs NumPy only.

Legend: R texts, N words of all of them together, D different words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.text.characters import Bags, CharacterGrams
from recurra.text.words import spans

__all__ = ["Encoded", "Features", "Words"]

LEAST = 2  # texts' worth of a word that gets a vector of its own
LEAST_PIECE = 4  # different words of a piece that does
MOST_WORDS, MOST_PIECES = 50_000, 8_000


class Encoded(NamedTuple):
    """Texts as numbers.

    Attributes
    ----------
    known: (N,) the number of each word, 0 where it is none that training saw often enough.
    which: (N,) which of the D different words, as written, it is.
    pieces: those of the D different words.
    lengths: (R,) words of each text.
    """

    known: NDArray[np.int64]
    which: NDArray[np.int64]
    pieces: Bags
    lengths: NDArray[np.int64]


class Words(NamedTuple):
    """The words of a text, and where each begins and ends in it, in characters."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class Features:
    """Which words and pieces of words are known.

    Parameters
    ----------
    words: number 1 and on, in lower case.
    grams: the pieces.
    most: words that are read of a text; of a longer one its beginning and its end.

    Raises ValueError for a word that is given twice.
    """

    def __init__(self, words: Sequence[str], grams: CharacterGrams, most: int) -> None:
        self.words, self.grams, self.most = tuple(words), grams, most
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}
        if len(self._numbers) < len(self.words):
            raise ValueError("a word is listed twice")

    @classmethod
    def learn(cls, texts: Iterable[Sequence[str]], most: int) -> Features:
        """What is known after texts that were split into words."""
        counts: Counter[str] = Counter()
        different: set[str] = set()
        for text in texts:
            counts.update(word.lower() for word in text)
            different.update(text)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = [word for word, count in ordered[:MOST_WORDS] if count >= LEAST]
        least = LEAST_PIECE if len(different) >= 1000 else 1
        return cls(words, CharacterGrams.learn(different, least=least, most=MOST_PIECES), most)

    def split(self, text: str) -> Words:
        """The words of a text that are read."""
        places = spans(text)
        if len(places) > self.most:
            places = places[: (self.most + 1) // 2] + places[len(places) - self.most // 2 :]
        return Words(tuple(text[a:b] for a, b in places), tuple(places))

    def encode(self, texts: Sequence[Sequence[str]]) -> Encoded:
        """Texts that were split into words, as numbers."""
        numbers: dict[str, int] = {}
        which = [numbers.setdefault(word, len(numbers)) for text in texts for word in text]
        lower = np.array([self._numbers.get(word.lower(), 0) for word in numbers], np.int64)
        order = np.array(which, np.int64)
        lengths = np.array([len(text) for text in texts], np.int64)
        return Encoded(lower[order], order, self.grams.bags(numbers), lengths)
