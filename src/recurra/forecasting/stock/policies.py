"""The rules of inventory control, each computed from sampled demand instead of from an assumed distribution.

Legend: X (S,) the demand of one item over the protection interval along S paths; K the cost of an order, h of
holding a unit for a period, b of a missing unit. Sources: Silver, Pyke & Thomas, Inventory and Production Management
in Supply Chains, 4th ed. 2017 ("SPT"); Zipkin, Foundations of Inventory Management, 2000.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cheapest_min_max",
    "cheapest_point_and_quantity",
    "critical_ratio",
    "economic_quantity",
    "fill_rate",
    "fill_rate_level",
    "fill_rate_levels",
    "service_level_stock",
    "shortage",
]

Array = NDArray[Any]
Floats = NDArray[np.float64]

GRID = 1000  # stock levels at which costs are compared; with wider demand they are more than one unit apart


def service_level_stock(demand: Array, level: float, *, whole: bool) -> Floats:
    """The least stock ≥ 0 that covers at least the share `level` of the sampled demands, (…, S) -> (…)."""
    stock = np.maximum(np.quantile(demand, level, axis=-1, method="inverted_cdf"), 0)
    return np.asarray(np.ceil(stock) if whole else stock, dtype=np.float64)


def shortage(demand: Array, stock: float) -> float:
    """The expected units missing, E[(X - stock)⁺]."""
    return float(np.maximum(demand - stock, 0).mean())


def fill_rate(before: Array, until: Array, stock: float) -> float:
    """The share of the demand between two times that `stock` delivers from the shelf, the rest being backordered.

        1 - (E[(until - stock)⁺] - E[(before - stock)⁺]) / E[until - before]

    `before` and `until` (S,) are demand up to the two times along the same paths. For (R, S): up to the arrival of
    this order, and of the next (SPT §6.9). For an order quantity Q at reorder point s: X - Q and X, stock s (SPT
    §6.7). 1 where no demand is expected.
    """
    demand = float((until - before).mean())
    if demand <= 0:
        return 1.0
    missing = shortage(until, stock) - shortage(before, stock)
    return float(np.clip(1 - missing / demand, 0, 1))


def fill_rate_levels(before: Array, until: Array, targets: Floats, *, whole: bool) -> Floats:
    """The least stock ≥ 0 whose `fill_rate` is at least each of `targets` (K,), to rounding: (K,).

    What is missing is a straight line between any two of the sampled demands, and never rises with the stock.
    """
    targets = np.asarray(targets, dtype=np.float64)
    stocks = np.unique(np.concatenate([[0.0], np.maximum(before, 0), np.maximum(until, 0)]))
    missing = np.minimum.accumulate(_shortages(until, stocks) - _shortages(before, stocks))
    allowed = np.maximum((1 - targets) * float((until - before).mean()), 0)
    place = np.minimum(np.searchsorted(-missing, -allowed), len(stocks) - 1)
    lower = np.maximum(place - 1, 0)
    fall = missing[lower] - missing[place]
    share = np.clip((missing[lower] - allowed) / np.where(fall > 0, fall, 1.0), 0, 1)
    levels = stocks[lower] + share * (stocks[place] - stocks[lower])
    return np.asarray(np.ceil(levels - 1e-9) if whole else levels)


def fill_rate_level(before: Array, until: Array, target: float, *, whole: bool) -> float:
    """The least stock ≥ 0 whose `fill_rate` is at least `target`; to 1e-9 of it where not `whole`."""
    level = float(fill_rate_levels(before, until, np.array([target]), whole=whole)[0])
    if fill_rate(before, until, level) < target:  # by rounding
        level += 1 if whole else 1e-9 * max(level, 1.0)
    return level


def _shortages(demand: Array, stocks: Floats) -> Floats:
    """`shortage` at each of the rising `stocks`."""
    ordered = np.sort(np.asarray(demand, dtype=np.float64))
    above = np.concatenate([np.cumsum(ordered[::-1])[::-1], [0.0]])
    place = np.searchsorted(ordered, stocks)
    return np.asarray((above[place] - stocks * (len(ordered) - place)) / len(ordered))


def critical_ratio(overage: float, underage: float) -> float:
    """The newsvendor's service level, of the costs of a unit too many and of one too few (SPT §9.2)."""
    return underage / (underage + overage)


def economic_quantity(rate: float, ordering: float, holding: float, *, whole: bool) -> float:
    """Harris's lot size √(2 K λ / h) for `rate` λ units a period (SPT §4.1); of whole units the cheaper neighbor.

    At least 1 where whole.
    """
    quantity = math.sqrt(2 * ordering * max(rate, 0.0) / holding)
    if not whole:
        return quantity
    # K λ / Q + h Q / 2 is no higher at Q + 1 exactly where Q (Q + 1) ≤ 2 K λ / h.
    lower = max(math.floor(quantity), 1)
    return float(lower + 1 if lower * (lower + 1) < quantity**2 else lower)


def cheapest_point_and_quantity(
    demand: Array, rate: float, ordering: float, holding: float, missing: float, *, whole: bool
) -> tuple[float, float]:
    """The (s, Q) of least cost per period, a missing unit costing `missing` for each period (Federgruen & Zheng 1992).

    C(s, Q) = (K λ + Σ_{y=s+1}^{s+Q} G(y)) / Q with G(y) = h E[(y - X)⁺] + b E[(X - y)⁺]: G is convex, so from its
    least point the cheaper neighbor is taken in as long as it lowers C.
    """
    levels, costs, unit = _cost_of_levels(demand, ordering, rate, holding, missing, whole=whole)
    low = high = int(costs.argmin())
    total = float(costs[low])
    best = ordering * rate / unit + total
    while True:
        below = costs[low - 1] if low else math.inf
        above = costs[high + 1] if high + 1 < len(costs) else math.inf
        if min(below, above) >= best:
            break
        total += float(min(below, above))
        low, high = (low - 1, high) if below <= above else (low, high + 1)
        best = (ordering * rate / unit + total) / (high - low + 1)
    return float(levels[low] - unit), (high - low + 1) * unit


def cheapest_min_max(
    demand: Array, period: Array, ordering: float, holding: float, missing: float, *, whole: bool
) -> tuple[float, float]:
    """The (s, S) of least cost per period, looked at every period (Zheng & Federgruen 1991).

    `demand` (S,) is that over lead time + one period, `period` that of single periods, of which costs and renewals
    are counted; an order is placed where the stock is at s or below.
    """
    rate = max(float(period.mean()), 0.0)
    if rate == 0:
        level = float(service_level_stock(demand, critical_ratio(holding, missing), whole=whole))
        return level - 1, level
    levels, costs, unit = _cost_of_levels(demand, ordering, rate, holding, missing, whole=whole)
    renewals = _renewals(period, unit, len(levels))
    times = np.cumsum(renewals)

    def cost(low: int, high: int) -> float:
        # A cycle orders up to `high` and ends at or below `low`; it is at high - j for renewals[j] periods.
        span = high - low
        held = float(renewals[:span] @ costs[high:low:-1])
        return (ordering + held) / float(times[span - 1])

    best = top = int(costs.argmin())
    low = best - 1
    while low > 0 and cost(low, top) > costs[low]:
        low -= 1
    least = cost(low, top)
    while top + 1 < len(costs) and costs[top + 1] <= least:
        top += 1
        if cost(low, top) < least:
            best = top
            while low + 1 < best and cost(low, best) <= costs[low + 1]:
                low += 1
            least = cost(low, best)
    return float(levels[low]), float(levels[best])


def _cost_of_levels(
    demand: Array, ordering: float, rate: float, holding: float, missing: float, *, whole: bool
) -> tuple[Floats, Floats, float]:
    """G at evenly spaced levels that surely hold the cheapest s and s + Q: levels (L,), costs (L,), their distance."""
    demand = np.sort(np.asarray(demand, dtype=np.float64))
    # With certain demand the best lots cost this a period: no level is used whose G exceeds the least G by as much.
    lots = math.sqrt(2 * ordering * rate * holding * missing / (holding + missing))
    low, high = float(demand[0]) - 1.5 * lots / missing - 2, float(demand[-1]) + 1.5 * lots / holding + 2
    unit = (high - low) / GRID
    unit = float(max(1, math.ceil(unit))) if whole else unit
    start = math.floor(low / unit)
    levels = np.arange(start, start + math.ceil((high - low) / unit) + 2, dtype=np.float64) * unit
    sums: Floats = np.concatenate([[0.0], np.cumsum(demand)])
    below = np.searchsorted(demand, levels, side="right")
    over = (levels * below - sums[below]) / len(demand)
    under = (sums[-1] - sums[below] - levels * (len(demand) - below)) / len(demand)
    costs: Floats = holding * over + missing * under
    return levels, costs, unit


def _renewals(period: Array, unit: float, count: int) -> Floats:
    """How many periods, on average, the stock stands j units below where it began, j < count."""
    sizes = np.rint(np.maximum(period, 0) / unit).astype(np.int64)
    if not sizes.any():  # less than half a unit in every period: the rarest demand that the grid can tell
        sizes = (np.arange(len(sizes)) == 0).astype(np.int64)
    chances = np.bincount(np.minimum(sizes, count), minlength=count + 1)[:count] / len(sizes)
    renewals = np.zeros(count)
    renewals[0] = 1 / (1 - chances[0])
    for j in range(1, count):
        renewals[j] = chances[1 : j + 1] @ renewals[j - 1 :: -1][:j] * renewals[0]
    return renewals
