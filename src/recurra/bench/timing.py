"""Timing ways to do one thing in turns, after their results were held to one another."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from recurra.errors import RecurraError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TOLERANCE", "Times", "check_alike", "geometric_mean", "take_turns", "training_step"]

TOLERANCE = 1e-4  # of the largest magnitude in a tensor: what float32 leaves of long sums in another order


class Times(NamedTuple):
    """The seconds that one way took, a number for each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds; half of the rounds took less."""
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        """Seconds of the best round."""
        return min(self.seconds)


def take_turns(
    ways: Mapping[str, Callable[[], object]], *, budget: float = 1.5, rounds: tuple[int, int] = (3, 31)
) -> dict[str, Times]:
    """Time the ways in turns, so that whatever disturbs the machine disturbs all of them.

    The first round says how many fit into `budget` seconds, within the bounds of `rounds`. Nothing is warmed up here:
    call every way once before, as `check_alike` needs it anyway.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    wanted, done = rounds[1], 0
    while done < wanted:
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
        done += 1
        if done == 1:
            first = sum(each[0] for each in seconds.values())
            wanted = max(rounds[0], min(rounds[1], int(budget / max(first, 1e-9))))
    return {name: Times(tuple(each)) for name, each in seconds.items()}


def training_step(
    forward: Callable[[], Tensor], wanted: Iterable[Tensor], grad: Tensor
) -> Callable[[], tuple[Tensor, ...]]:
    """A way to time: forward, and backward from the output's gradient `grad` to the `wanted` tensors.

    A call gives the output and those gradients, to be held to another way's.
    """
    import torch

    sources = tuple(wanted)

    def step() -> tuple[Tensor, ...]:
        y = forward()
        return y.detach(), *torch.autograd.grad(y, sources, grad)

    return step


def check_alike(results: Mapping[str, Sequence[Tensor]], tolerance: float = TOLERANCE) -> float:
    """Hold every way's tensors to the first way's; the largest difference, as a share of a tensor's magnitude.

    Raises RecurraError where it exceeds `tolerance`, or is NaN: then the ways do different things.
    """
    (first, wanted), *others = results.items()
    worst = 0.0
    for name, found in others:
        for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
            if a.shape != b.shape:
                raise RecurraError(f"{name} gives shape {tuple(a.shape)}, {first} {tuple(b.shape)}")
            if b.numel() == 0:
                continue
            scale = max(float(b.abs().max()), 1e-30)
            difference = float((a - b).abs().max()) / scale
            if not difference <= tolerance:
                raise RecurraError(
                    f"{name} and {first} do not compute the same: tensor {number} differs by {difference:.1e} of its "
                    f"magnitude, more than {tolerance:.0e}",
                    hint="Their times say nothing then; please report it.",
                )
            worst = max(worst, difference)
    return worst


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of ratios, in which ×2 and ×½ cancel; NaN without any."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan
