"""What a keyboard knows of words: how they are written, how often they come, and their numbers in the network.

Text becomes tokens here: words without regard to capitals, numbers as one token, marks, and the ends of lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Sequence
from functools import cached_property
from operator import lt

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ModelError
from recurra.text.words import BLANK, BREAK, words

__all__ = [
    "LINE",
    "MARK",
    "NUMBER",
    "SPECIALS",
    "START",
    "UNKNOWN",
    "Lexicon",
    "Strangers",
    "folded",
    "is_word",
    "pieces",
]

# The tokens that are no words and no marks: before a text, the end of a line, other words, numbers, other marks.
START, LINE, UNKNOWN, NUMBER, MARK = range(5)
SPECIALS = 5
_BREAKS = re.compile(rf"[{BREAK}][{BREAK}{BLANK}]*")
BEYOND = "\U0010ffff"  # sorts behind whatever goes on from a prefix
LONGEST_WORD = 40  # characters; what is longer is an address or noise

Floats = NDArray[np.float32]


def pieces(text: str) -> list[str]:
    """The words, numbers and marks of a text; a line feed stands for the ends of lines, empty lines left out."""
    found: list[str] = []
    for number, line in enumerate(_BREAKS.split(text)):
        if number:
            found.append("\n")
        found += words(line)
    return found


def is_word(piece: str) -> bool:
    """Whether a piece is a word: it begins with a letter and has no digit."""
    return piece[0].isalpha() and len(piece) <= LONGEST_WORD and not any(map(str.isdigit, piece))


def folded(word: str) -> str:
    """A word as the lexicon is sorted: without capitals, apostrophes all alike."""
    return word.lower().replace("’", "'")


class Lexicon:
    """The words, sorted by `folded`, each with its usual writing.

    Parameters
    ----------
    words: as they are usually written inside a sentence, sorted by `folded`, without two that fold alike.
    counts: (L,) how often each was met.
    tokens: (L,) its number in the network, UNKNOWN for words that the network does not know.
    marks: punctuation that the network knows; their tokens come behind the special ones.
    """

    def __init__(
        self, words: Sequence[str], counts: Floats, tokens: NDArray[np.int32], marks: Sequence[str]
    ) -> None:
        self.words, self.counts, self.tokens, self.marks = list(words), counts, tokens, tuple(marks)
        # Most words are folded already, and a keyboard starts with this: they are neither changed nor copied.
        self.keys = [word if word.islower() and "’" not in word else folded(word) for word in self.words]
        if not all(map(lt, self.keys, self.keys[1:])):
            raise ModelError("the words are not sorted")
        size = len(self.keys)
        if not size or counts.shape != (size,) or tokens.shape != (size,) or not (counts > 0).all():
            raise ModelError(f"there must be counts and numbers of {size} words", value=counts.shape)
        if len(set(self.marks)) < len(self.marks) or not all(isinstance(mark, str) for mark in self.marks):
            raise ModelError("the marks must be texts, each another", value=self.marks)
        self.mark_tokens = {mark: SPECIALS + number for number, mark in enumerate(self.marks)}
        known = np.sort(tokens[tokens != UNKNOWN])
        first = SPECIALS + len(self.marks)
        if not np.array_equal(known, np.arange(first, first + len(known))):
            raise ModelError("the words' numbers in the network are not one for each")
        self.vocabulary = first + len(known)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def shares(self) -> Floats:
        """(L,) of the words that the network does not know, how often each is the one meant; 1 for the others."""
        beyond = self.tokens == UNKNOWN
        return np.where(beyond, self.counts / max(1.0, float(self.counts[beyond].sum())), 1.0).astype(
            np.float32
        )

    def find(self, key: str) -> int | None:
        """The place of a folded word; None where it is not known."""
        place = bisect_left(self.keys, key)
        return place if place < len(self.keys) and self.keys[place] == key else None

    def beginning(self, prefix: str) -> slice:
        """The places of the words that begin with a folded prefix."""
        return slice(bisect_left(self.keys, prefix), bisect_left(self.keys, prefix + BEYOND))

    def without_apostrophe(self, prefix: str) -> NDArray[np.int64]:
        """The places of the words that begin with a folded prefix if their apostrophes are left out: don't for dont."""
        keys, places = self._plain
        return places[bisect_left(keys, prefix) : bisect_left(keys, prefix + BEYOND)]

    @cached_property
    def _plain(self) -> tuple[list[str], NDArray[np.int64]]:
        found = sorted((key.replace("'", ""), n) for n, key in enumerate(self.keys) if "'" in key)
        return [key for key, _ in found], np.array([n for _, n in found], np.int64)

    def token(self, piece: str) -> int:
        """The network's number of a piece of text."""
        if piece == "\n":
            return LINE
        if is_word(piece):
            place = self.find(folded(piece))
            return UNKNOWN if place is None else int(self.tokens[place])
        if any(map(str.isdigit, piece)):
            return NUMBER
        return self.mark_tokens.get(piece, UNKNOWN if piece[0].isalpha() else MARK)


class Strangers:
    """Words that a lexicon does not know, folded, numbered from `first` on as they come."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.names: list[str] = []  # in the order of their numbers
        self._numbers: dict[str, int] = {}
        self._sorted: list[str] = []

    def __len__(self) -> int:
        return len(self.names)

    def number(self, word: str) -> int:
        """Its number; a word that is new gets the next one."""
        number = self._numbers.setdefault(word, self.first + len(self.names))
        if number == self.first + len(self.names):
            self.names.append(word)
            insort(self._sorted, word)
        return number

    def beginning(self, prefix: str) -> tuple[list[str], list[int]]:
        """The words that begin with a prefix, sorted, and their numbers."""
        words = self._sorted[bisect_left(self._sorted, prefix) : bisect_left(self._sorted, prefix + BEYOND)]
        return words, [self._numbers[word] for word in words]

    def copy(self) -> Strangers:
        """The same words, to which others may be added."""
        other = Strangers(self.first)
        other.names, other._sorted = self.names.copy(), self._sorted.copy()
        other._numbers = self._numbers.copy()
        return other
