"""Which words, pieces of words and tags a tagger knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ModelError
from recurra.text.characters import Bags, CharacterGrams

__all__ = ["UNKNOWN", "Vocabulary", "folded"]

UNKNOWN = 0  # the number of every word that training did not see often enough
LEAST = 2  # times that a word comes in the training data, to have a vector of its own
MOST_WORDS = 50_000
_APOSTROPHES = frozenset("'’")
MOST_GRAMS = 20_000


def folded(word: str) -> str:
    """A word as it is looked up: small letters, each digit a 0; what it looks like is told by its pieces."""
    if word.isalpha():  # most are, and this is read for every word
        return word.lower()
    return "".join("0" if letter.isdigit() else letter for letter in word.lower())


class Vocabulary:
    """Words, pieces and tags with their numbers.

    Parameters
    ----------
    words: folded words by falling frequency, number 1 and on; 0 is any other word.
    grams: pieces of words.
    tags: by falling frequency.
    """

    def __init__(self, words: Sequence[str], grams: CharacterGrams, tags: Sequence[str]) -> None:
        self.words, self.grams, self.tags = tuple(words), grams, tuple(tags)
        self._numbers = {word: number for number, word in enumerate(self.words, start=1)}
        self._tags = {tag: number for number, tag in enumerate(self.tags)}

    @classmethod
    def learn(cls, tokens: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> Vocabulary:
        """What the training data hold, in an order that does not depend on theirs."""
        raw = Counter(word for sentence in tokens for word in sentence)
        known: Counter[str] = Counter()
        for word, count in raw.items():
            known[folded(word)] += count
        words = [word for word, count in _ordered(known)[:MOST_WORDS] if count >= LEAST]
        grams = CharacterGrams.learn(raw, most=MOST_GRAMS)
        return cls(words, grams, [tag for tag, _ in _ordered(Counter(t for each in tags for t in each))])

    def numbers(self, words: Iterable[str]) -> NDArray[np.int64]:
        """The numbers of words, UNKNOWN of those that are not known."""
        return np.array([self._numbers.get(folded(word), UNKNOWN) for word in words], np.int64)

    def parts(self, word: str) -> list[str]:
        """A word in the parts in which training had it: where it knew n't or 's as words, "didn't" is two.

        A word without an apostrophe, or one that is known, is one part.
        """
        if not _APOSTROPHES & set(word) or folded(word) in self._numbers:
            return [word]
        cuts = [(self._fitness(word[:at], word[at:]), at) for at in range(1, len(word))]
        fitness, at = max(cuts, default=(0, 0))
        return [*self.parts(word[:at]), *self.parts(word[at:])] if fitness else [word]

    def _fitness(self, left: str, right: str) -> int:
        """How well a word is cut here: 2 if both parts are known, 1 if the one that an apostrophe ends or begins is."""
        known = [
            folded(part).replace("’", "'") in self._numbers or folded(part) in self._numbers
            for part in (left, right)
        ]
        if all(known):
            return 2
        return int((known[1] and right[0] in _APOSTROPHES) or (known[0] and left[-1] in _APOSTROPHES))

    def tag_numbers(self, tags: Iterable[str]) -> NDArray[np.int64]:
        """The numbers of tags; KeyError for one that is not known."""
        return np.array([self._tags[tag] for tag in tags], np.int64)

    def bags(self, words: Iterable[str]) -> Bags:
        """The pieces of words."""
        return self.grams.bags(words)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "words": list(self.words),
            "grams": list(self.grams.grams),
            "gram_lengths": [self.grams.shortest, self.grams.longest],
            "tags": list(self.tags),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Vocabulary:
        """What `as_dict` told; ModelError for what cannot be: it may be hostile."""
        lists = {}
        for name in ("words", "grams", "tags"):
            found = told[name]
            if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
                raise ModelError(f"the {name} must be a list of texts")
            if len(set(found)) < len(found):
                raise ModelError(f"the {name} hold one twice")
            lists[name] = found
        if not lists["tags"]:
            raise ModelError("a tagger without tags")
        shortest, longest = told["gram_lengths"]
        if not isinstance(shortest, int) or not isinstance(longest, int):
            raise ModelError("the lengths of pieces must be whole numbers", value=told["gram_lengths"])
        return cls(lists["words"], CharacterGrams(lists["grams"], shortest, longest), lists["tags"])


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
