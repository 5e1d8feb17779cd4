"""One item's order by its policy: the level, the quantity, and the name of the rule that they came from.

An order placed now arrives after the lead time L, the next one after R + L, R being the review period: what is in stock
or on order must last for L + R periods, the protection interval (Silver, Pyke & Thomas, Inventory and Production
Management in Supply Chains, 4th ed. 2017, ch. 6). R is 0 where stock is watched all the time. Demand is summed along
each path over that interval: no normal distribution is assumed, and the quantile of the sum is taken, not the sum of
the quantiles.

Shapes: S paths, H periods of horizon; one item's `paths` (S, H) and demand (S,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.stock import policies
from recurra.forecasting.stock.lead_times import LeadTime
from recurra.forecasting.stock.orders import orderable, waste_limit
from recurra.forecasting.stock.terms import ItemTerms, StockTerms

__all__ = ["Order", "demand_until", "highest_share", "item_demand", "order", "protection_demand"]

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """What the rules say about one item before the budget."""

    rule: str
    level: float  # that fills the interval: S of (R, S), s of the others
    up_to: float
    quantity: float
    service_level: float
    demand: Array  # (S,) over the protection interval
    before: Array  # (S,) the fill rate's: see policies.fill_rate
    spoils: Array | None  # (S,) demand until the order spoils
    unsure: bool  # more than sells in the forecast, but it spoils only after that


def order(paths: Array, item: ItemTerms, terms: StockTerms, position: float, *, whole: bool) -> Order:
    """Plan one item, of which `position` is on hand or on order, from its paths (S, H)."""
    before, demand = (item_demand(paths, item, more, whole=whole) for more in (0, item.review))
    if terms.policy == "periodic":
        level, service_level, rule = _level(before, demand, item, terms, whole=whole)
        up_to, quantity = level, level - position
    else:
        rate = float(paths.mean(dtype=np.float64))
        level, up_to, service_level, rule = _point(paths, demand, rate, item, terms, whole=whole)
        lot = up_to - level
        before = demand - lot
        due = position <= level + 1e-6 and lot > 0
        quantity = up_to - position if due else 0.0
        if due and terms.policy == "fixed-quantity":
            quantity = lot * (math.floor((level - position) / lot + 1e-9) + 1)
    # The rounding keeps the dust of binary fractions in the stock records from ordering one more unit.
    wanted = max(round(quantity, 6), 0.0)
    placed = orderable(wanted, pack=item.pack_size, minimum=item.minimum)
    if placed > (math.ceil(wanted - 1e-9) if whole else wanted) + 1e-9:
        rule += "; packs and minimum"
    if item.spread != 1:
        rule += "; own spread"
    spoils, unsure = None, False
    if item.shelf_life is not None:
        spoils = demand_until(paths, item.lead_time, int(item.shelf_life))
        most = waste_limit(spoils, position, _waste_share(item))
        unsure = placed > most and item.lead_time.longest + item.shelf_life > paths.shape[1]
        if placed > most and not unsure:
            placed = orderable(min(wanted, most), pack=item.pack_size, minimum=item.minimum, most=most)
            rule += "; shelf life"
    return Order(rule, level, up_to, placed, service_level, demand, before, spoils, unsure)


def _level(
    before: Array, demand: Array, item: ItemTerms, terms: StockTerms, *, whole: bool
) -> tuple[float, float, str]:
    """S of (R, S), the service level that it is asked or worth, and the rule's name."""
    if terms.target == "fill":
        level = policies.fill_rate_level(before, demand, item.service_level, whole=whole)
        return level, item.service_level, "(R, S), fill rate"
    share, rule = item.service_level, "(R, S), cycle service level"
    if terms.target == "costs":
        share = policies.critical_ratio(item.holding_cost * item.review, item.shortage_cost)
        rule = "(R, S), newsvendor"
    return float(policies.service_level_stock(demand, share, whole=whole)), share, rule


def _point(
    paths: Array, demand: Array, rate: float, item: ItemTerms, terms: StockTerms, *, whole: bool
) -> tuple[float, float, float, str]:
    """s, the level above it that is filled up to, the service level, and the rule's name, of (s, Q) and (s, S)."""
    name = "(s, Q)" if terms.policy == "fixed-quantity" else "(s, S)"
    if terms.target == "costs":
        costs = (item.ordering_cost, item.holding_cost, item.shortage_cost)
        if terms.policy == "fixed-quantity":
            point, lot = policies.cheapest_point_and_quantity(demand, rate, *costs, whole=whole)
            up_to, rule = point + lot, "(s, Q), Federgruen & Zheng"
        else:
            point, up_to = policies.cheapest_min_max(demand, paths.ravel(), *costs, whole=whole)
            rule = "(s, S), Zheng & Federgruen"
        return point, up_to, float((demand <= point).mean()), rule
    lot = policies.economic_quantity(rate, item.ordering_cost, item.holding_cost, whole=whole)
    if item.pack_size and terms.policy == "fixed-quantity":
        lot = orderable(lot, pack=item.pack_size, minimum=item.minimum)
    if terms.target == "fill":
        point = policies.fill_rate_level(demand - lot, demand, item.service_level, whole=whole)
        return point, point + lot, item.service_level, f"{name}, fill rate, EOQ"
    point = float(policies.service_level_stock(demand, item.service_level, whole=whole))
    return point, point + lot, item.service_level, f"{name}, cycle service level, EOQ"


def item_demand(paths: Array, item: ItemTerms, more: int, *, whole: bool) -> Floats:
    """The demand of an item over its lead time and `more` periods, as wide as its `spread` says: (S, H) -> (S,)."""
    demand = demand_until(paths, item.lead_time, more)
    if item.spread == 1:
        return demand
    mean = demand.mean()
    demand = np.maximum(mean + item.spread * (demand - mean), min(0.0, float(demand.min())))
    return np.asarray(np.rint(demand) if whole else demand)


def protection_demand(paths: Array, lead_time: LeadTime | int, review: int) -> Floats:
    """The demand over lead time + review along each path: (N, S, H) -> (N, S), summed in float64."""
    lead_time = LeadTime.of(lead_time) if isinstance(lead_time, int) else lead_time
    paths = np.asarray(paths)
    if paths.ndim != 3 or not 0 <= lead_time.longest + review <= paths.shape[2]:
        raise ValueError(f"paths are {paths.shape}; want (N, S, H) with H ≥ lead_time + review")
    return np.stack([demand_until(item, lead_time, review) for item in paths])


def demand_until(paths: Array, lead_time: LeadTime, more: int) -> Floats:
    """The demand over the lead time and `more` periods, or to the end of the paths: (S, H) -> (S,)."""
    ends = np.minimum(lead_time.of_paths(len(paths)) + more, paths.shape[1])
    if len(lead_time.periods) == 1:
        return np.asarray(paths[:, : ends[0]].sum(axis=1, dtype=np.float64))
    total = np.cumsum(paths, axis=1, dtype=np.float64)
    return np.where(ends > 0, total[np.arange(len(paths)), np.maximum(ends, 1) - 1], 0.0)


def highest_share(item: ItemTerms, terms: StockTerms) -> float:
    """The highest quantile that an item's rule reads."""
    if terms.target != "costs":
        return item.service_level
    held = item.holding_cost * max(item.review, 1)
    return policies.critical_ratio(held, item.shortage_cost)


def _waste_share(item: ItemTerms) -> float:
    """How likely part of an order may spoil: as likely as not, or what a missing and a spoiled unit cost say."""
    if not item.price or not item.shortage_cost:
        return 0.5
    return policies.critical_ratio(item.price, item.shortage_cost)
