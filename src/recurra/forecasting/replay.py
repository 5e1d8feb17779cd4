"""Real demand played against order-up-to levels, period by period, and the levels of two usual rules.

Legend: N items, T periods, K service levels, M reviews; `demand` (N, T), `levels` (M, N, K).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Played", "empirical_levels", "moving_average_levels", "play"]

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """What a method's levels led to, for each of K service levels that were asked for.

    `fill_rate`: delivered from the shelf, as a share of what was asked for, all items together; `cycle_service`: the
    share of order cycles without a shortage; `stock`: units on the shelves of all items at the end of a period, on
    average; `missing`: units that were not there when asked for, per period.
    """

    name: str
    service_levels: Floats
    fill_rate: Floats
    cycle_service: Floats
    stock: Floats
    missing: Floats

    def stock_at(self, fill_rate: float) -> float:
        """The stock with which that fill rate was reached, between the service levels played; NaN beyond them."""
        order = np.argsort(self.fill_rate, kind="stable")
        rates = self.fill_rate[order]
        return float(np.interp(fill_rate, rates, self.stock[order], left=math.nan, right=math.nan))

    def cost(self, holding: float, shortage: float) -> Floats:
        """What stock and shortage cost per period, (K,): of holding a unit for a period, and of a missing unit."""
        return np.asarray(holding * self.stock + shortage * self.missing)


def play(
    name: str,
    demand: Array,
    levels: Array,
    service_levels: Sequence[float],
    *,
    lead_time: int,
    review: int,
    lost: bool = False,
) -> Played:
    """Play `demand` against `levels`: at every review fill up to the level, orders arrive `lead_time` periods later.

    Orders are placed, and arrive, before the demand of the period. What is not there is delivered late, or not at all
    where it is `lost`. Everyone starts with the first level on the shelf; nothing is counted before the first order
    has arrived and lead time + review are over.
    """
    items, periods = demand.shape
    demand = np.maximum(np.asarray(demand, dtype=np.float64), 0)
    skipped = lead_time + review
    if periods <= skipped or len(levels) < -(-periods // review):
        raise ValueError(
            f"{periods} periods and {len(levels)} levels are too few for {lead_time} + {review} periods"
        )
    shelf = np.array(levels[0], dtype=np.float64)
    coming = np.zeros((lead_time + 1, *shelf.shape))
    missed = stocked = np.zeros(shelf.shape[1])
    short, cycles, good = np.zeros(shelf.shape, dtype=bool), 0, np.zeros(shelf.shape[1])
    for t in range(periods):
        if t % review == 0:
            position = shelf + coming.sum(axis=0)
            coming[(t + lead_time) % (lead_time + 1)] += np.maximum(levels[t // review] - position, 0)
        shelf += coming[t % (lead_time + 1)]
        coming[t % (lead_time + 1)] = 0
        if (t - lead_time) % review == 0:
            if t > skipped:
                cycles, good = cycles + items, good + (~short).sum(axis=0)
            short[:] = False
        asked = demand[:, t, None]
        missing = np.minimum(asked, np.maximum(asked - np.maximum(shelf, 0), 0))
        shelf -= asked - missing if lost else asked
        short |= missing > 1e-9
        if t >= skipped:
            missed = missed + missing.sum(axis=0)
            stocked = stocked + np.maximum(shelf, 0).sum(axis=0)
    total, counted = demand[:, skipped:].sum(), periods - skipped
    return Played(
        name=name,
        service_levels=np.asarray(service_levels, dtype=np.float64),
        fill_rate=np.asarray(1 - missed / total if total > 0 else np.ones_like(missed)),
        cycle_service=np.asarray(good / cycles if cycles else np.full_like(good, math.nan)),
        stock=np.asarray(stocked / counted),
        missing=np.asarray(missed / counted),
    )


def moving_average_levels(
    values: Array, first: Array, interval: int, service_levels: Sequence[float], window: int, *, whole: bool
) -> Floats:
    """Moving average × interval + z σ √interval, of the last `window` values (N, T) of each item: (N, K).

    The rule of the textbooks for normal demand that does not hang together (Silver, Pyke & Thomas 2017, §6.7).
    """
    from statistics import NormalDist

    recent = np.asarray(values[:, -window:], dtype=np.float64)
    begun = np.arange(values.shape[1] - recent.shape[1], values.shape[1]) >= np.asarray(first)[:, None]
    count = np.maximum(begun.sum(axis=1), 1)
    mean = (recent * begun).sum(axis=1) / count
    spread = np.sqrt((begun * (recent - mean[:, None]) ** 2).sum(axis=1) / np.maximum(count - 1, 1))
    z = np.array([NormalDist().inv_cdf(level) for level in service_levels])
    return _levels(mean[:, None] * interval + spread[:, None] * math.sqrt(interval) * z, whole)


def empirical_levels(
    values: Array, first: Array, interval: int, service_levels: Sequence[float], *, whole: bool
) -> Floats:
    """The quantiles of the demand of all past intervals of that length since an item began, (N, T) -> (N, K).

    An item that began less than an interval ago counts as having sold nothing before.
    """
    total = np.cumsum(np.pad(np.asarray(values, dtype=np.float64), ((0, 0), (1, 0))), axis=1)
    sums = total[:, interval:] - total[:, :-interval]
    levels = np.empty((len(values), len(service_levels)))
    for n, begin in enumerate(np.minimum(first, sums.shape[1] - 1)):
        levels[n] = np.quantile(sums[n, begin:], service_levels, method="inverted_cdf")
    return _levels(levels, whole)


def _levels(levels: Floats, whole: bool) -> Floats:
    levels = np.maximum(levels, 0)
    return np.ceil(levels - 1e-9) if whole else levels
