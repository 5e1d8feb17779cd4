"""What the network sees of a text: its words, the pieces that they are made of, and runs of words. Needs NumPy only.

Legend: R texts, N words of all of them together, D different words, G runs of all texts together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.text.characters import Bags, CharacterGrams
from recurra.text.words import spans

__all__ = ["Encoded", "Features", "Words"]

LEAST = 2  # texts' worth of a word that gets a vector of its own
LEAST_PIECE = 4  # different words of a piece that does
MOST_WORDS, MOST_PIECES, MOST_RUNS = 50_000, 8_000, 50_000
LEAST_RUN = 2  # texts of a run of words that is known
BEGIN = "\x02"  # no letter of words


class Encoded(NamedTuple):
    """Texts as numbers.

    Attributes
    ----------
    known: (N,) the number of each word, 0 where it is none that training saw often enough.
    which: (N,) which of the D different words, as written, it is.
    pieces: those of the D different words.
    lengths: (R,) words of each text.
    runs: (G,) the numbers of the known runs of words, each once in a text; 0 is the one that every text has.
    starts: (R,) where each text's runs begin.
    """

    known: NDArray[np.int64]
    which: NDArray[np.int64]
    pieces: Bags
    lengths: NDArray[np.int64]
    runs: NDArray[np.int64]
    starts: NDArray[np.int64]


class Words(NamedTuple):
    """The words of a text, and where each begins and ends in it, in characters."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class Features:
    """Which words, pieces of words and runs of words are known.

    Parameters
    ----------
    words: number 1 and on, in lower case.
    grams: the pieces.
    runs: one or two words in a row, number 1 and on, in lower case, with a space between.
    most: words that are read of a text; of a longer one its beginning and its end.

    Raises ValueError for a word or a run that is given twice.
    """

    def __init__(self, words: Sequence[str], grams: CharacterGrams, runs: Sequence[str], most: int) -> None:
        self.words, self.grams, self.runs, self.most = tuple(words), grams, tuple(runs), most
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}
        self._runs = {run: number for number, run in enumerate(self.runs, start=1)}
        if len(self._numbers) < len(self.words) or len(self._runs) < len(self.runs):
            raise ValueError("a word or a run of words is listed twice")

    @classmethod
    def learn(cls, texts: Iterable[Sequence[str]], most: int) -> Features:
        """What is known after texts that were split into words."""
        counts: Counter[str] = Counter()
        runs: Counter[str] = Counter()
        different: set[str] = set()
        for text in texts:
            counts.update(word.lower() for word in text)
            runs.update(_runs(text))
            different.update(text)
        words, known = _frequent(counts, LEAST, MOST_WORDS), _frequent(runs, LEAST_RUN, MOST_RUNS)
        least = LEAST_PIECE if len(different) >= 1000 else 1
        return cls(words, CharacterGrams.learn(different, least=least, most=MOST_PIECES), known, most)

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
        runs = [[0, *sorted(self._runs[run] for run in _runs(text) if run in self._runs)] for text in texts]
        starts = np.cumsum([0, *map(len, runs)], dtype=np.int64)[:-1]
        flat = np.array([number for text in runs for number in text], np.int64)
        return Encoded(lower[order], order, self.grams.bags(numbers), lengths, flat, starts)


def _frequent(counts: Counter[str], least: int, most: int) -> list[str]:
    """What was counted `least` times at least, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [name for name, count in ordered[:most] if count >= least]


def _runs(text: Sequence[str]) -> set[str]:
    """Each word of a text and each two in a row, in lower case; its beginning counts as a word."""
    words = [BEGIN, *(word.lower() for word in text)]
    return {*words[1:], *map(" ".join, pairwise(words))}
