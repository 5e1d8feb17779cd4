"""From logits to a token: the settings, and the definition that native/engine/sampler.cpp follows step by step.

Nothing here depends on a library's exp or on the order of a sum, so both take the same token, on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.checks import check_whole
from recurra.decoding.mask import unpack
from recurra.decoding.random import Random
from recurra.errors import InputError, UsageError

__all__ = ["Sampling", "choose"]

UNIT = 40  # weights are whole multiples of 2^-40 of the most probable token's
MOST_TOKENS = 2**22  # the sum of their weights fits into 63 bits
INVERSE_LN2 = 1.4426950408889634
POWER_OF_2 = (  # ln(2)^i / i! from i = 10 down to 0, the series of 2^f
    7.054911620801123e-09,
    1.01780860092397e-07,
    1.321548679014431e-06,
    1.5252733804059841e-05,
    0.0001540353039338161,
    0.0013333558146428443,
    0.009618129107628477,
    0.05550410866482158,
    0.24022650695910072,
    0.6931471805599453,
    1.0,
)


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Parameters
    ----------
    temperature: what the logits are divided by, 0.001 … 1000; 0 takes the most probable token (greedy).
    top_k: only the so many most probable tokens, 0 or more; 0 keeps all.
    top_p: only the most probable tokens that together reach this probability, above 0, at most 1 (nucleus sampling,
        Holtzman et al. 2020, arXiv 1904.09751).
    min_p: only tokens with at least this share of the most probable one's probability, 0 … 1 (Nguyen et al. 2024, arXiv
        2407.01082).
    repetition_penalty: what the positive logits of earlier tokens are divided by and the negative ones multiplied with,
        1 … 1000 (Keskar et al. 2019, arXiv 1909.05858, section 4.1); 1 changes nothing.
    repetition_window: how many of the last tokens count as earlier ones, prompt included; 0 counts all.
    max_tokens: how many tokens come at most, 1 or more; None sets no limit.
    banned: tokens that never come.
    forced: tokens that come first, in this order.
    stop: tokens that end the sequence.

    Raises UsageError for a setting out of its range and for a token that is forced and banned.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    repetition_window: int = 0
    max_tokens: int | None = None
    banned: Sequence[int] = ()
    forced: Sequence[int] = ()
    stop: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.temperature != 0:
            _number(
                "temperature", self.temperature, 1e-3, 1e3, "0, which is greedy, or a number 0.001 … 1000"
            )
        check_whole("top_k", self.top_k, 0)
        _number("top_p", self.top_p, math.ulp(0.0), 1.0, "a number above 0, at most 1")
        _number("min_p", self.min_p, 0.0, 1.0, "a number 0 … 1")
        _number("repetition_penalty", self.repetition_penalty, 1.0, 1e3, "a number 1 … 1000")
        check_whole("repetition_window", self.repetition_window, 0)
        if self.max_tokens is not None:
            check_whole("max_tokens", self.max_tokens, 1)
        for name in ("banned", "forced", "stop"):
            tokens = tuple(getattr(self, name))
            for token in tokens:
                check_whole(f"every token in {name}", token, 0)
            object.__setattr__(self, name, tuple(int(token) for token in tokens))
        if both := set(self.banned) & set(self.forced):
            raise UsageError(
                "a token is both forced and banned", value=min(both), hint="Take it out of one of them."
            )

    def ends(self, token: int, count: int) -> bool:
        """Whether a sequence ends with this token, its `count`-th."""
        return token in self.stop or (self.max_tokens is not None and count >= self.max_tokens)


def choose(
    logits: Any, sampling: Sampling, history: Sequence[int], random: Random, allowed: Any = None
) -> int:
    """The next token.

    Logits (vocabulary,) are taken as float32; `history` are the tokens so far, prompt included; `allowed` is a mask
    from outside as `recurra.decoding.unpack` takes it. In this order: repetition penalty; banned and masked tokens;
    temperature; top-k; top-p; min-p; one draw, in the order of ids. Of equally probable tokens the lower id comes
    first. Every token moves `random` by one number, greedy and forced ones too; an error does not.

    Raises InputError where a logit is NaN or +∞ and where nothing is left to choose from, UsageError for a token that
    is not in the vocabulary and for a mask of another size.
    """
    x = np.array(logits, dtype=np.float32)
    if x.ndim != 1 or not 1 <= len(x) <= MOST_TOKENS:
        raise UsageError(f"logits must be (1 … {MOST_TOKENS},)", value=x.shape)
    for name in ("banned", "forced", "stop"):
        _inside(f"a token in {name}", getattr(sampling, name), len(x))
    if wrong := np.flatnonzero(~(x < np.inf)).tolist():
        hint = "The network's weights or its state are damaged: NaN or infinity."
        raise InputError(f"the logit of token {wrong[0]} is not a number", value=x[wrong[0]], hint=hint)
    mask = np.ones(len(x), dtype=bool) if allowed is None else unpack(allowed, len(x))
    if random.count < len(sampling.forced):
        token = sampling.forced[random.count]
        if not mask[token]:
            raise InputError("the mask does not allow the token that is forced", value=token)
        random.next()
        return token

    earlier = np.unique(np.array(history[-sampling.repetition_window :], dtype=np.int64))
    _inside("an earlier token", earlier.tolist(), len(x))
    penalized = x[earlier].astype(np.float64)
    penalty = sampling.repetition_penalty
    with np.errstate(over="ignore"):
        x[earlier] = np.where(penalized > 0, penalized / penalty, penalized * penalty)
    x[list(sampling.banned)] = -np.inf
    x[~mask] = -np.inf
    if x.max() == -np.inf:
        hint = "Ban less, or let the mask allow more."
        raise InputError(f"no token is left: all {len(x)} are banned, masked or of probability 0", hint=hint)

    u = random.next()
    if sampling.temperature == 0:
        return int(x.argmax())
    first = np.argsort(-x, kind="stable")  # the most probable first, of equal ones the lower id
    weights = _weights(x, sampling.temperature)
    if sampling.top_k:
        weights[first[sampling.top_k :]] = 0
    if sampling.top_p < 1:
        sums = weights[first].cumsum()
        reached = int((sums >= sampling.top_p * float(sums[-1])).argmax())
        weights[first[reached + 1 :]] = 0
    weights[weights < sampling.min_p * 2.0**UNIT] = 0
    sums = weights.cumsum()
    passed = min(int(u * float(sums[-1])), int(sums[-1]) - 1)
    return int((sums > passed).argmax())


def _weights(logits: NDArray[np.float32], temperature: float) -> NDArray[np.int64]:
    """exp((logit − largest) / temperature) in units of 2^-40, so that sums are exact in any order."""
    x = logits.astype(np.float64)
    t = np.maximum((x - x.max()) * (INVERSE_LN2 / temperature), -64.0)
    k = np.rint(t)
    power = np.zeros_like(t)
    for coefficient in POWER_OF_2:
        power = power * (t - k) + coefficient
    weights: NDArray[np.int64] = np.rint(np.ldexp(power, k.astype(np.int32) + UNIT)).astype(np.int64)
    return weights


def _inside(what: str, tokens: Sequence[int], vocabulary: int) -> None:
    for token in tokens:
        if not 0 <= token < vocabulary:
            raise UsageError(f"{what} must be in the vocabulary, 0 … {vocabulary - 1}", value=token)


def _number(name: str, value: object, least: float, most: float, words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise UsageError(f"{name} must be {words}", value=value)
