"""How good a classifier is on texts whose labels are known, and how far its probabilities can be believed.

Legend: N texts, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.language.classification.labels import Label

__all__ = ["ClassFigures", "Evaluation", "Reliability", "log_losses", "temperature_of"]

BINS = 10
TEMPERATURES = np.geomspace(0.05, 20.0, 241)
PRIOR = 5.0


class ClassFigures(NamedTuple):
    """Of one class: precision and recall (None where there is nothing to divide by), their F1, and its texts."""

    label: Label
    precision: float | None
    recall: float | None
    f1: float
    texts: int


class Reliability(NamedTuple):
    """Answers by the probability that they were given with (B bins that hold any).

    Attributes
    ----------
    said: (B,) the mean probability of each bin's answers.
    right: (B,) the share of them that were right.
    counts: (B,) how many.
    """

    said: NDArray[np.float64]
    right: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """A classifier's answers beside the truth.

    Attributes
    ----------
    classes: the labels, in order.
    texts: (N) what was asked.
    truth: (N,) the number of the true class, -1 where it is none of `classes`.
    probabilities: (N, K).
    """

    classes: tuple[Label, ...]
    texts: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def answers(self) -> NDArray[np.int64]:
        """(N,) the number of the most probable class."""
        return np.asarray(self.probabilities.argmax(1))

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(np.mean(self.answers == self.truth))

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(K, K): how many texts of each class (row) were given each label (column)."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        known = self.truth >= 0
        np.add.at(counts, (self.truth[known], self.answers[known]), 1)
        return counts

    @property
    def per_class(self) -> list[ClassFigures]:
        """The figures of each class."""
        hits, texts = np.diag(self.confusion), self.confusion.sum(1)
        given = np.bincount(self.answers, minlength=len(self.classes))
        found = []
        for label, hit, n, m in zip(self.classes, hits.tolist(), texts.tolist(), given.tolist(), strict=True):
            f1 = 2 * hit / (n + m) if n + m else 0.0
            found.append(ClassFigures(label, hit / m if m else None, hit / n if n else None, f1, n))
        return found

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have texts here, each counting the same."""
        return float(np.mean([each.f1 for each in self.per_class if each.texts] or [0.0]))

    @property
    def log_loss(self) -> float | None:
        """The mean of -log p of the true class, in nats, over the texts whose class is known; None without any."""
        known = self.truth >= 0
        if not known.any():
            return None
        p = self.probabilities[known, self.truth[known]]
        return float(-np.log(np.maximum(p, 1e-300)).mean())

    @property
    def reliability(self) -> Reliability:
        """How often answers were right, by the probability that they were given with."""
        said, right = self.probabilities.max(1), self.answers == self.truth
        bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        held = counts > 0
        sums = np.bincount(bins, said, BINS)[held], np.bincount(bins, right, BINS)[held]
        return Reliability(sums[0] / counts[held], sums[1] / counts[held], counts[held])

    @property
    def calibration_error(self) -> float:
        """The mean distance of said and right shares over ten bins (Guo et al. 2017, arXiv 1706.04599, section 2)."""
        said, right, counts = self.reliability
        return float((np.abs(said - right) * counts).sum() / max(counts.sum(), 1))

    def worst(self, count: int) -> list[int]:
        """The places of wrong answers, those that were given with most confidence first."""
        wrong = np.flatnonzero(self.answers != self.truth)
        order = np.argsort(-self.probabilities[wrong].max(1), kind="stable")
        return [int(place) for place in wrong[order[:count]]]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "texts": len(self.texts),
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "per_class": [each._asdict() for each in self.per_class],
            "confusion": self.confusion.tolist(),
        }


def temperature_of(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The number that scores (N, K) are divided by so that their probabilities suit the truth (N,) best; 1 without any.

    Temperature scaling, Guo et al. 2017 (arXiv 1706.04599, section 4.2), with a prior around 1 that is worth a few
    texts: those of a handful would otherwise say that nothing is ever wrong.
    """
    if not len(truth):
        return 1.0
    losses = [log_losses(scores / t, truth).sum() + PRIOR * np.log(t) ** 2 for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def log_losses(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """-log p of the true class of each text (N,), from scores (N, K)."""
    shifted = scores - scores.max(1, keepdims=True)
    found: NDArray[np.float64] = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(truth)), truth]
    return found
