"""From a level to an order that can be placed: packs, least quantities, shelf life, and what money is enough for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_to_budget", "orderable", "orderables", "waste_limit", "waste_probability"]

Array = NDArray[Any]
Floats = NDArray[np.float64]

PARTS = 64  # an order is weighed against the budget in at most this many parts


def orderable(quantity: float, *, pack: float, minimum: float, most: float = math.inf) -> float:
    """The least multiple of `pack` that is at least `quantity` and `minimum`, or 0 where `quantity` is.

    `most` is a limit: where no such multiple is below it, the largest that is, or 0 where that is below `minimum`.
    With a `pack` of 0, any amount can be ordered.
    """
    if quantity <= 0:
        return 0.0
    if not pack:
        amount = min(max(quantity, minimum), most)
        return amount if amount >= minimum else 0.0
    packs = math.ceil(max(quantity, minimum) / pack - 1e-9)
    if packs * pack > most:
        packs = math.floor(most / pack + 1e-9)
        if packs * pack < minimum:
            return 0.0
    return packs * pack


def orderables(quantities: Array, *, pack: Array, minimum: Array) -> Floats:
    """`orderable` of each of many quantities, without a limit; dust of binary fractions orders nothing."""
    wanted = np.maximum(np.round(quantities, 6), minimum)
    packs = np.ceil(wanted / np.where(pack > 0, pack, 1.0) - 1e-9) * pack
    return np.where(np.round(quantities, 6) > 0, np.where(pack > 0, packs, wanted), 0.0)


def waste_limit(demand: Array, position: float, share: float) -> float:
    """The most to order so that in at least 1 - `share` of the futures all is sold in time.

    `demand` (S,) up to the day on which the order spoils; what is in stock or on order already is sold first.
    """
    return max(float(np.quantile(demand, share, method="inverted_cdf")) - position, 0.0)


def waste_probability(demand: Array, position: float, quantity: float) -> float:
    """The chance that part of an order is unsold when it spoils."""
    return float((demand < position + quantity).mean()) if quantity > 0 else 0.0


def cut_to_budget(
    budget: float,
    quantities: Floats,
    shortages: Sequence[Array],
    *,
    prices: Floats,
    values: Floats,
    packs: Floats,
    minima: Floats,
) -> Floats:
    """The part of the orders (N,) that `budget` pays for, the most worth per money first.

    `shortages[n]` (S,) is what item n would lack in each future if nothing were ordered, `values` (N,) what one
    missing unit costs. The worth of the next pack is the shortage that it is expected to avoid: it never rises along
    an order, so that taking packs greedily loses to the best choice by less than one pack or least quantity.
    """
    parts = [_parts(q, pack, least) for q, pack, least in zip(quantities, packs, minima, strict=True)]
    rows: list[tuple[float, int, float]] = []
    for item, sizes in enumerate(parts):
        reached = np.concatenate([[0.0], np.cumsum(sizes)])
        avoided = np.array([np.minimum(shortages[item], up_to).mean() for up_to in reached])
        worth = values[item] * np.diff(avoided) / np.maximum(sizes * prices[item], 1e-300)
        rows += [(float(-w), item, s) for w, s in zip(np.minimum.accumulate(worth), sizes, strict=True)]
    kept, left, closed = np.zeros(len(quantities)), budget, set()
    for _, item, size in sorted(rows, key=lambda row: row[:2]):
        cost = size * prices[item]
        if item in closed or cost > left * (1 + 1e-12):
            closed.add(item)
            continue
        kept[item] += size
        left -= cost
    return kept


def _parts(quantity: float, pack: float, minimum: float) -> Floats:
    """An order as its least quantity and then packs, a few of them together where there are many."""
    if quantity <= 0:
        return np.zeros(0)
    pack = pack or quantity / PARTS
    least = min(math.ceil(max(minimum, pack) / pack - 1e-9) * pack, quantity)
    packs = round((quantity - least) / pack)
    each = max(math.ceil(packs / PARTS), 1)
    counts = np.diff(np.append(np.arange(0, packs, each), packs)) if packs else np.zeros(0)
    return np.concatenate([[least], counts * pack])
