"""The most probable tags of a sequence, and each tag's own probability, under a linear-chain CRF.

Legend: B rows, T steps, K tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chain"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """The weights of a trained `recurra.networks.LinearChainCRF`, used with NumPy alone.

    Attributes
    ----------
    transitions: (K, K), from a tag to the next one's; -inf where it may not follow.
    start, end: (K,), of the first and of the last tag; -inf where a sequence may not begin or end so.

    Raises ValueError for shapes that do not fit together.
    """

    transitions: NDArray[Any]
    start: NDArray[Any]
    end: NDArray[Any]

    def __post_init__(self) -> None:
        tags = len(self.start)
        shapes = [np.shape(each) for each in (self.transitions, self.start, self.end)]
        if tags < 1 or shapes != [(tags, tags), (tags,), (tags,)]:
            raise ValueError(f"a chain of K tags has weights (K, K), (K,) and (K,), not {shapes}")

    def best(self, scores: NDArray[Any], lengths: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """The most probable tags (B, T) under scores (B, T, K), by Viterbi's algorithm; -1 past a row's length.

        `lengths` (B,) are in 0 … T, None where all rows are whole; what stands past them is not read.
        """
        scores, lengths, there = self._checked(scores, lengths)
        rows, steps, tags = scores.shape
        found = np.full((rows, steps), -1, np.int64)
        if not rows or not steps:
            return found
        came = np.empty((steps, rows, tags), np.int64)
        came[:] = np.arange(tags)  # past its length a row's tag came from itself
        total = self.start + scores[:, 0]
        for t in range(1, steps):
            ways = total[:, :, None] + self.transitions
            here = there[:, t]
            came[t, here] = ways.argmax(1)[here]
            total = np.where(here[:, None], ways.max(1) + scores[:, t], total)
        tag = (total + self.end).argmax(1)
        for t in range(steps - 1, -1, -1):
            found[:, t] = np.where(there[:, t], tag, -1)
            tag = came[t, np.arange(rows), tag]
        return found

    def marginals(self, scores: NDArray[Any], lengths: NDArray[np.int64] | None = None) -> Floats:
        """The probability of each tag at each step (B, T, K), by the forward-backward algorithm; 0 past a row's length.

        `scores` and `lengths` as for `best`.
        """
        scores, lengths, there = self._checked(scores, lengths)
        rows, steps, tags = scores.shape
        if not rows or not steps:
            return np.zeros((rows, steps, tags))
        ahead, behind = np.empty_like(scores), np.empty_like(scores)
        ahead[:, 0] = self.start + scores[:, 0]
        for t in range(1, steps):
            ahead[:, t] = _logsumexp(ahead[:, t - 1, :, None] + self.transitions, 1) + scores[:, t]
        behind[:, -1] = self.end
        for t in range(steps - 2, -1, -1):
            later = _logsumexp(self.transitions + (scores[:, t + 1] + behind[:, t + 1])[:, None], 2)
            behind[:, t] = np.where(there[:, t + 1, None], later, self.end)
        together = ahead + behind
        together -= _logsumexp(together, 2)[..., None]
        return np.where(there[..., None], np.exp(together), 0.0)

    def _checked(
        self, scores: NDArray[Any], lengths: NDArray[np.int64] | None
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
        scores = np.asarray(scores, np.float64)
        if scores.ndim != 3 or scores.shape[2] != len(self.start):
            raise ValueError(f"the chain takes scores (B, T, {len(self.start)}), not {scores.shape}")
        rows, steps = scores.shape[:2]
        lengths = np.full(rows, steps) if lengths is None else np.asarray(lengths, np.int64)
        if lengths.shape != (rows,) or ((lengths < 0) | (lengths > steps)).any():
            raise ValueError(f"lengths must be {rows} numbers in 0 … {steps}, not {lengths.tolist()}")
        there = np.arange(steps) < lengths[:, None]
        return np.where(there[..., None], scores, 0.0), lengths, there


def _logsumexp(x: Floats, axis: int) -> Floats:
    """Log Σ exp x along an axis, -inf where all are."""
    largest = x.max(axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(np.exp(x - largest).sum(axis)) + largest.squeeze(axis)
    return found
