"""Real demand played against order-up-to levels, period by period, and the levels of two usual rules.

Legend: N items, T periods, K levels of each item; `demand` (N, T).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.stock.lead_times import LeadTime
from recurra.forecasting.stock.orders import orderables

__all__ = ["Played", "Supply", "empirical_levels", "moving_average_levels", "play"]

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Supply:
    """How N items are ordered and arrive in T periods, the same for every method.

    Item n is reviewed in the periods 0, `review[n]`, 2 `review[n]` …; what is ordered in period t arrives in period
    t + `lead_time[n, t]`. Orders are whole multiples of `pack_size` (N,), 0 for any amount, and of `minimum` (N,) units
    at the least. `holding_cost` and `shortage_cost` (N,) are of a unit on the shelf at the end of a period, and of a
    unit that is missing when asked for. Nothing is counted in the first `warm_up` periods.
    """

    review: NDArray[np.int64]
    lead_time: NDArray[np.int64]
    pack_size: Floats
    minimum: Floats
    holding_cost: Floats
    shortage_cost: Floats
    warm_up: int

    @classmethod
    def alike(cls, items: int, periods: int, *, lead_time: int, review: int) -> Supply:
        """Items that are all the same, of which any amount can be had, and nothing said of costs."""
        nothing = np.zeros(items)
        return cls(
            review=np.full(items, review, dtype=np.int64),
            lead_time=np.full((items, periods), lead_time, dtype=np.int64),
            pack_size=nothing,
            minimum=nothing,
            holding_cost=nothing,
            shortage_cost=nothing,
            warm_up=lead_time + review,
        )


@dataclass(frozen=True)
class Played:
    """What a method's levels led to: K figures each, the first for what was asked for, the others for more and less.

    `fill_rate`: delivered from the shelf, as a share of what was asked for, all items together; `cycle_service`: the
    share of order cycles without a shortage; `stock`: units on the shelves of all items at the end of a period, on
    average; `missing`: units that were not there when asked for, per period; `cost`: of both, per period.
    """

    name: str
    fill_rate: Floats
    cycle_service: Floats
    stock: Floats
    missing: Floats
    cost: Floats

    def stock_at(self, fill_rate: float) -> float:
        """The stock with which that fill rate was reached, between the levels played; NaN beyond them."""
        order = np.argsort(self.fill_rate[1:], kind="stable")
        rates = self.fill_rate[1:][order]
        return float(np.interp(fill_rate, rates, self.stock[1:][order], left=math.nan, right=math.nan))


def play(
    name: str, demand: Array, levels: Mapping[int, Floats], supply: Supply, *, lost: bool = False
) -> Played:
    """Play `demand` against `levels` (N, K) of each period in which an item is reviewed: it is filled up to its level.

    Orders are placed, and arrive, before the demand of the period; one may overtake another. What is not there is
    delivered late, or not at all where it is `lost`. Everyone starts with the first level on the shelf.
    """
    items, periods = demand.shape
    if periods <= supply.warm_up or 0 not in levels:
        raise ValueError(f"{periods} periods are too few: {supply.warm_up} of them warm up")
    demand = np.maximum(np.asarray(demand, dtype=np.float64), 0)
    shelf = np.array(levels[0], dtype=np.float64)
    coming = np.zeros((int(supply.lead_time.max()) + 1, *shelf.shape))
    figures = np.zeros((4, shelf.shape[1]))  # missing, stock, cost, cycles without a shortage
    short, cycles, rows = np.zeros(shelf.shape, dtype=bool), 0, np.arange(items)
    ends = _cycle_ends(supply, periods)
    for t in range(periods):
        due = t % supply.review == 0
        if due.any():
            wanted = levels[t] - shelf - coming.sum(axis=0)
            placed = orderables(wanted, pack=supply.pack_size[:, None], minimum=supply.minimum[:, None])
            coming[(t + supply.lead_time[:, t]) % len(coming), rows] += np.where(due[:, None], placed, 0)
        slot = t % len(coming)
        shelf += coming[slot]
        coming[slot] = 0
        if t > supply.warm_up:
            cycles += int(ends[:, t].sum())
            figures[3] += (~short[ends[:, t]]).sum(axis=0)
        short[slice(None) if t == supply.warm_up else ends[:, t]] = False
        asked = demand[:, t, None]
        missing = np.minimum(asked, np.maximum(asked - np.maximum(shelf, 0), 0))
        shelf -= asked - missing if lost else asked
        short |= missing > 1e-9
        if t >= supply.warm_up:
            left = np.maximum(shelf, 0)
            figures[0] += missing.sum(axis=0)
            figures[1] += left.sum(axis=0)
            figures[2] += supply.holding_cost @ left + supply.shortage_cost @ missing
    total, counted = demand[:, supply.warm_up :].sum(), periods - supply.warm_up
    return Played(
        name=name,
        fill_rate=1 - figures[0] / total if total > 0 else np.ones_like(figures[0]),
        cycle_service=figures[3] / cycles if cycles else np.full_like(figures[3], math.nan),
        stock=figures[1] / counted,
        missing=figures[0] / counted,
        cost=figures[2] / counted,
    )


def _cycle_ends(supply: Supply, periods: int) -> NDArray[np.bool_]:
    """The periods in which an order arrives, if there is one: the next cycle begins, (N, T)."""
    ends = np.zeros((len(supply.review), periods), dtype=bool)
    for t in range(periods):
        arrives = t + supply.lead_time[:, t]
        rows = np.flatnonzero((t % supply.review == 0) & (arrives < periods))
        ends[rows, arrives[rows]] = True
    return ends


def moving_average_levels(
    values: Array,
    first: Array,
    lead_times: Sequence[LeadTime],
    review: Array,
    shares: Floats,
    window: int,
    *,
    whole: bool,
) -> Floats:
    """Moving average × interval + z × deviation, of the last `window` values (N, T) of each item: (N, K).

    The interval is the mean lead time + review, the variance interval × σ² + average² × that of the lead time: the
    rule of the textbooks for normal demand that does not hang together (Silver, Pyke & Thomas 2017, §6.7 and 6.10).
    z is that of `shares` (N, K).
    """
    recent = np.asarray(values[:, -window:], dtype=np.float64)
    begun = np.arange(values.shape[1] - recent.shape[1], values.shape[1]) >= np.asarray(first)[:, None]
    count = np.maximum(begun.sum(axis=1), 1)
    mean = (recent * begun).sum(axis=1) / count
    variance = (begun * (recent - mean[:, None]) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
    interval = np.array([lead.mean for lead in lead_times]) + review
    deviation = np.sqrt(interval * variance + mean**2 * np.array([lead.variance for lead in lead_times]))
    distinct, place = np.unique(shares, return_inverse=True)
    z = np.array([NormalDist().inv_cdf(share) for share in distinct])[place].reshape(np.shape(shares))
    return _levels((mean * interval)[:, None] + deviation[:, None] * z, whole)


def empirical_levels(
    values: Array,
    first: Array,
    lead_times: Sequence[LeadTime],
    review: Array,
    shares: Floats,
    *,
    whole: bool,
) -> Floats:
    """The quantiles `shares` (N, K) of the demand of all past intervals since an item began, (N, T) -> (N, K).

    An interval is as long as lead time + review, each lead time as often as it has a chance. An item that began less
    than an interval ago counts as having sold nothing before.
    """
    total = np.cumsum(np.pad(np.asarray(values, dtype=np.float64), ((0, 0), (1, 0))), axis=1)
    levels = np.empty(np.shape(shares))
    for n, (lead, more) in enumerate(zip(lead_times, review, strict=True)):
        sums, weights = [], []
        for periods, chance in zip(lead.periods, lead.chances, strict=True):
            span = periods + int(more)
            of_length = total[n, span:] - total[n, : total.shape[1] - span]
            of_length = of_length[min(int(first[n]), len(of_length) - 1) :]
            sums.append(of_length)
            weights.append(np.full(len(of_length), chance / len(of_length)))
        levels[n] = np.quantile(
            np.concatenate(sums),
            shares[n],
            method="inverted_cdf",
            weights=None if len(weights) == 1 else np.concatenate(weights),
        )
    return _levels(levels, whole)


def _levels(levels: Floats, whole: bool) -> Floats:
    levels = np.maximum(levels, 0)
    return np.ceil(levels - 1e-9) if whole else levels
