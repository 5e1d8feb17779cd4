"""How long and how fast to train: the numbers of one training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

from recurra.errors import UsageError

__all__ = ["Recipe"]

FLOOR = 0.01  # the cosine ends at this share of the learning rate


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training run.

    Parameters
    ----------
    steps: how many batches to train on, 1 or more.
    learning_rate: the highest learning rate, above 0.
    warmup: steps over which the learning rate rises linearly, 0 or more; at most half of `steps` are used.
    weight_decay: AdamW's decoupled weight decay, 0 or more.
    clip: the largest norm of all gradients together, above 0.
    average: decay of the exponential average of the weights, in [0, 1); 0 keeps the last weights instead.
    evaluate_every: steps between two evaluations, 1 or more; the last step is always evaluated.
    patience: stop after this many evaluations without improvement, 1 or more; None never stops early.
    tolerance: a later evaluation is taken for the best one though it is worse, by at most this share of the lowest loss
        of all, 0 or more: what chance makes of few held-out numbers.
    max_seconds: stop after this much training time, all resumed runs together, above 0; None sets no limit.
    checkpoint_seconds: seconds between two checkpoints, 0 or more; 0 writes one after every step.
    seed: where the random numbers of dropout and noise start, 0 … 2⁶³ − 1.

    Raises UsageError for a number out of its range.
    """

    steps: int = 1000
    learning_rate: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.0
    clip: float = 1.0
    average: float = 0.99
    evaluate_every: int = 100
    patience: int | None = None
    tolerance: float = 0.0
    max_seconds: float | None = None
    checkpoint_seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        _whole("steps", self.steps, 1)
        _number("learning_rate", self.learning_rate, above=0.0)
        _whole("warmup", self.warmup, 0)
        _number("weight_decay", self.weight_decay)
        _number("clip", self.clip, above=0.0)
        _number("average", self.average, below=1.0)
        _whole("evaluate_every", self.evaluate_every, 1)
        if self.patience is not None:
            _whole("patience", self.patience, 1)
        _number("tolerance", self.tolerance)
        if self.max_seconds is not None:
            _number("max_seconds", self.max_seconds, above=0.0)
        _number("checkpoint_seconds", self.checkpoint_seconds)
        _whole("seed", self.seed, 0)
        if self.seed >= 2**63:
            raise UsageError("seed must be below 2**63", value=self.seed)

    def rate(self, step: int) -> float:
        """The learning rate of `step` (1 … steps): a linear warm-up, then half a cosine down to 1 %."""
        warmup = min(self.warmup, self.steps // 2)
        if step <= warmup:
            return self.learning_rate * step / warmup
        behind = (step - warmup) / (self.steps - warmup)
        return self.learning_rate * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * behind)) / 2)


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UsageError(f"{name} must be a whole number, {least} or more", value=value)


def _number(name: str, value: object, *, above: float | None = None, below: float = math.inf) -> None:
    """Check for a finite number, 0 or more; `above` and `below` are bounds that the number must not touch."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < below
    if not fits or (above is not None and not above < value):  # type: ignore[operator]
        least = "0 or more" if above is None else f"above {above:g}"
        most = "" if math.isinf(below) else f" and below {below:g}"
        raise UsageError(f"{name} must be a number, {least}{most}", value=value)
