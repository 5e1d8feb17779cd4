"""How long an order takes: a fixed number of periods, or one drawn from a distribution."""

from __future__ import annotations

import importlib.util
import math
import numbers
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError

__all__ = ["LeadTime"]

LONGEST = 100_000  # periods
TAIL = 0.005  # of a lead time given by mean and deviation: what lies beyond counts as the longest one kept
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class LeadTime:
    """Rising whole numbers of `periods`, and the chance of each; chances sum to 1."""

    periods: tuple[int, ...]
    chances: tuple[float, ...]

    @classmethod
    def of(cls, given: object, deviation: float = 0.0) -> LeadTime:
        """Read a lead time.

        `given` is a whole number of periods; a mapping from periods to their chances, which are scaled to sum to 1;
        or a list of lead times seen, each as likely as it was frequent. With a `deviation` above 0, `given` is the
        mean, any number above 0, of a gamma distribution, put on whole periods. Raises ValueError with what does
        not fit.
        """
        if deviation:
            return cls._gamma(given, deviation)
        if isinstance(given, Mapping):
            return cls._weighted(given.items())
        if isinstance(given, Iterable) and not isinstance(given, str | bytes):
            return cls._weighted(Counter(list(given)).items())
        return cls((_whole(given),), (1.0,))

    @classmethod
    def _weighted(cls, pairs: Iterable[tuple[object, object]]) -> LeadTime:
        known: dict[int, float] = {}
        for periods, weight in pairs:
            if not isinstance(weight, numbers.Real) or not 0 <= float(weight) < math.inf:
                raise ValueError("Give chances of 0 or more.")
            if float(weight) > 0:
                known[_whole(periods)] = float(weight)
        if not known:
            raise ValueError("Give at least one lead time.")
        total = math.fsum(known.values())
        return cls(tuple(sorted(known)), tuple(known[periods] / total for periods in sorted(known)))

    @classmethod
    def _gamma(cls, mean: object, deviation: float) -> LeadTime:
        if importlib.util.find_spec("scipy") is None:
            raise MissingExtraError.of("scipy", "plan")
        from scipy.special import gammainc  # type: ignore[import-untyped]

        if not isinstance(mean, numbers.Real) or isinstance(mean, bool) or not 0 < float(mean) <= LONGEST:
            raise ValueError("With a deviation the lead time is a mean, a number above 0.")
        if float(mean) + 10 * deviation > LONGEST:
            raise ValueError(f"Give a mean and a deviation of far less than {LONGEST:,} periods.")
        shape, scale = (float(mean) / deviation) ** 2, deviation**2 / float(mean)
        at = np.arange(int(float(mean) + 10 * deviation) + 2, dtype=np.float64)
        below, moment = gammainc(np.array([[shape], [shape + 1]]), at / scale)
        # A lead time between two whole ones is shared by both, by nearness, which keeps the mean: the chance of k is
        # the second difference of E[(k - L)⁺].
        under = at * below - float(mean) * moment
        chances = np.maximum(np.diff(under, 2, prepend=0.0), 0.0)
        last = int((np.cumsum(chances) < 1 - TAIL).sum())
        chances = np.append(chances[:last], 1 - chances[:last].sum())
        kept = np.flatnonzero(chances > 0)
        return cls(tuple(int(k) for k in kept), tuple(float(p) for p in chances[kept]))

    @property
    def mean(self) -> float:
        """The mean, in periods."""
        return math.fsum(p * k for k, p in zip(self.periods, self.chances, strict=True))

    @property
    def variance(self) -> float:
        """The variance, in periods squared."""
        return math.fsum(p * (k - self.mean) ** 2 for k, p in zip(self.periods, self.chances, strict=True))

    @property
    def longest(self) -> int:
        """The longest lead time that has a chance."""
        return self.periods[-1]

    def of_paths(self, count: int) -> NDArray[np.int64]:
        """A lead time for each of `count` sample paths, (count,), each as often as its chance says.

        Paths are drawn independently, so any fixed assignment is a draw. Multiples of the golden ratio, modulo 1,
        spread evenly over the chances, whichever part of the paths is looked at.
        """
        spread = (np.arange(count) + 0.5) * GOLDEN % 1
        place = np.searchsorted(np.cumsum(self.chances), spread, side="right")
        return np.asarray(self.periods, dtype=np.int64)[np.minimum(place, len(self.periods) - 1)]


def _whole(value: object) -> int:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or float(value) % 1 != 0 or not 0 <= float(value) <= LONGEST:  # type: ignore[arg-type]
        raise ValueError("Give a whole number of periods, 0 or more.")
    return int(value)  # type: ignore[call-overload, no-any-return]
