"""Which words an answer hangs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.language.classification.features import Words
from recurra.language.classification.labels import Label

__all__ = ["Explanation", "WordWeight", "explain"]

SURE = 1e-9  # a probability is taken to be as far from 0 and 1 at least


class WordWeight(NamedTuple):
    """A word, where it stands in the text, in characters, and how much it speaks for the label."""

    word: str
    start: int
    stop: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """What each word of a text does for a label.

    Attributes
    ----------
    text, label, probability: what was asked about.
    words: each word that was read. Its `weight` is by how many nats the log-odds of the label fall when the word is
        left out: above 0 it speaks for the label, below 0 against it.
    """

    text: str
    label: Label
    probability: float
    words: tuple[WordWeight, ...]

    def strongest(self, count: int) -> list[WordWeight]:
        """The words that do most, for the label or against it."""
        return sorted(self.words, key=lambda each: -abs(each.weight))[:count]

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain values."""
        words = [each._asdict() for each in self.words]
        return {"label": self.label, "probability": self.probability, "words": words}


def explain(
    text: str,
    words: Words,
    label: Label,
    number: int,
    probabilities: Callable[[Sequence[Sequence[str]]], NDArray[np.float64]],
) -> Explanation:
    """Leave out each word in turn and see what becomes of class `number` (occlusion; Li et al. 2016, arXiv 1612.08220).

    `probabilities` gives those of texts that were split into words (R, K).
    """
    left = [words.words[:i] + words.words[i + 1 :] for i in range(len(words.words))]
    p = probabilities([words.words, *left])[:, number]
    odds = np.log(np.clip(p, SURE, None)) - np.log(np.clip(1 - p, SURE, None))
    weights = odds[0] - odds[1:]
    found = [
        WordWeight(word, start, stop, float(weight))
        for word, (start, stop), weight in zip(words.words, words.spans, weights, strict=True)
    ]
    return Explanation(text, label, float(p[0]), tuple(found))
