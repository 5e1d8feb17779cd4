"""How far a tagger's probabilities are to be believed: the temperature that fits them to held-out sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.decoding import Chain

__all__ = ["SOUND", "cooled", "temperature_of"]

SOUND = (0.2, 5.0)  # between which a temperature is looked for
STEPS = 14
LEAST = 1e-12  # a probability below which an error costs no more


def cooled(chain: Chain, temperature: float) -> Chain:
    """A chain whose weights are divided by a temperature, for scores that are."""
    return Chain(chain.transitions / temperature, chain.start / temperature, chain.end / temperature)


def temperature_of(
    probabilities: Callable[[float], Sequence[NDArray[Any]]], tags: Sequence[NDArray[np.int64]]
) -> float:
    """The temperature at which the mean -log p of the right tags is least; 1 without any.

    `probabilities` gives those of each sentence (T, K) at a temperature, `tags` are the right ones' numbers (T,), below
    0 where training did not hold them. Guo et al. 2017 (arXiv 1706.04599), section 4.2, on the chain's own
    probabilities; by golden section on a logarithmic scale.
    """
    if not any((each >= 0).any() for each in tags):
        return 1.0

    def loss(logarithm: float) -> float:
        total, count = 0.0, 0
        for chances, right in zip(probabilities(math.exp(logarithm)), tags, strict=True):
            rows = np.flatnonzero(right >= 0)
            total -= float(np.log(np.maximum(chances[rows, right[rows]], LEAST)).sum())
            count += len(rows)
        return total / count

    ratio = (math.sqrt(5) - 1) / 2
    low, high = (math.log(each) for each in SOUND)
    inner = [high - ratio * (high - low), low + ratio * (high - low)]
    losses = [loss(each) for each in inner]
    for _ in range(STEPS):
        if losses[0] <= losses[1]:
            high, inner = inner[1], [inner[1] - ratio * (inner[1] - low), inner[0]]
            losses = [loss(inner[0]), losses[0]]
        else:
            low, inner = inner[0], [inner[1], inner[0] + ratio * (high - inner[0])]
            losses = [losses[1], loss(inner[1])]
    return math.exp((low + high) / 2)
