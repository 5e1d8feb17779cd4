"""The numbers that tokens are drawn with: a function of a seed and how many came before, the same in C++."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.errors import UsageError

__all__ = ["Random"]

GOLDEN = 0x9E3779B97F4A7C15
WHOLE = 2**64 - 1


@dataclass
class Random:
    """Numbers in [0, 1), the n-th a function of `seed` and n alone: two integers are all there is to save.

    splitmix64 (Steele, Lea & Flood, OOPSLA 2014) from a mixed seed, so that neighboring seeds have nothing in common.
    Every token takes one number, greedy and forced ones too: `count` is how many tokens a sequence has.

    Raises UsageError for a seed or a count outside of 0 … 2⁶⁴ − 1.
    """

    seed: int
    count: int = 0

    def __post_init__(self) -> None:
        for name, value in (("seed", self.seed), ("count", self.count)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= WHOLE:
                raise UsageError(f"{name} must be a whole number, 0 … 2⁶⁴ − 1", value=value)

    def next(self) -> float:
        """The next number."""
        self.count = (self.count + 1) & WHOLE
        mixed = _mixed(_mixed((self.seed + GOLDEN) & WHOLE) + self.count * GOLDEN & WHOLE)
        return (mixed >> 11) / 2**53


def _mixed(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WHOLE
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WHOLE
    return z ^ (z >> 31)
