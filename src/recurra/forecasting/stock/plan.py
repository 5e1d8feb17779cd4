"""What to order of all items now: each by its rule, all together within the budget.

Shapes: N series, S paths, H periods of horizon; `paths` (N, S, H); one item's demand (S,).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.stock import policies
from recurra.forecasting.stock.inventory import Inventory, read_inventory
from recurra.forecasting.stock.orders import cut_to_budget, waste_probability
from recurra.forecasting.stock.rules import Order, highest_share, order
from recurra.forecasting.stock.terms import ItemTerms, StockTerms, item_terms

__all__ = ["StockPlan", "check_plan", "default_review", "paths_needed", "periods_needed", "plan_stock"]

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Paths beyond the service level: with fewer than 5 the level is a guess; with 25 the service reached misses
# the one asked for by about a fifth of the allowed stock-outs (standard error sqrt(p (1 - p) / S)).
FEWEST_BEYOND = 5
GOOD_BEYOND = 25


@dataclass(frozen=True)
class StockPlan:
    """What to order of each item now, and why.

    `frame` (in the caller's data-frame library) has one row per item, with the columns that docs/stock.md explains:
    unique_id, rule, lead_time (its mean), review, service_level, expected_demand (mean over lead time + review),
    safety_stock, reorder_point (of a policy that has one), order_up_to, on_hand, on_order, order_quantity, fill_rate,
    stock_out_probability (that demand over lead time + review exceeds on_hand + on_order, if nothing is ordered now),
    stock_out_after_order (the same, once this order is placed), spread (how much wider demand was taken than forecast,
    where it was calibrated), waste_probability (where there is a shelf life) and cut (what a budget took from the
    order). Quantities in the units sold, times in periods of the data.

    `items` has the terms of each row, `terms` what was asked for all; `rule` says it in words.
    """

    frame: Any
    items: tuple[ItemTerms, ...]
    terms: StockTerms
    rule: str
    notes: tuple[str, ...] = ()

    def write(self, path: str | Path) -> None:
        """Write the table to `path`, whole or not at all; the ending says how: .csv or .parquet."""
        import polars as pl

        from recurra.sources.table import write_table

        frame = nw.from_native(self.frame, eager_only=True)
        write_table(pl.DataFrame({name: frame[name].to_list() for name in frame.columns}), path)


def plan_stock(
    paths: Array,
    ids: Sequence[str],
    *,
    whole: bool = True,
    backend: Any = "polars",
    review: int = 1,
    spreads: Array | None = None,
    **asked: Any,
) -> StockPlan:
    """Plan the orders of N items from their sample paths (N, S, H) of demand.

    `asked` are the fields of `StockTerms`; `review` is what holds where the stock's table does not say another. With
    `whole`, levels and quantities are rounded up to whole units. `backend` is the data-frame library of the answer, as
    narwhals names it. `spreads` (N,) say how much wider each item's demand is taken than its paths: `own_spreads`.

    Raises UsageError where an argument does not fit, InputError where the stock on hand cannot be used.
    """
    terms = StockTerms(review=review, **asked)
    items = item_terms(terms, ids, review=review, whole=whole)
    if spreads is not None:
        items = [replace(item, spread=float(s)) for item, s in zip(items, spreads, strict=True)]
    paths = np.asarray(paths)
    check_plan(items, terms, ids, horizon=paths.shape[2], samples=paths.shape[1])
    inventory = read_inventory(terms.on_hand, terms.on_order, ids)
    if not np.isfinite(paths).all():
        raise ValueError("the sample paths hold NaN or infinity")
    position = inventory.on_hand + inventory.on_order
    orders = [order(paths[n], item, terms, float(position[n]), whole=whole) for n, item in enumerate(items)]
    notes = list(inventory.notes)
    if unseen := sum(each.unsure for each in orders):
        notes.append(
            f"{_items(unseen)} may not sell before spoiling, but the forecast ends before that: the order was not cut."
        )
    quantities = np.array([order.quantity for order in orders])
    kept = _afford(quantities, orders, items, terms, position)
    if (kept < quantities).any():
        spent, wanted = (
            float(sum(q * i.price for q, i in zip(x, items, strict=True))) for x in (kept, quantities)
        )
        notes.append(
            f"The budget of {terms.budget:,.10g} cuts the orders of {_items(int((kept < quantities).sum()))}: "
            f"{wanted:,.2f} were wanted, {spent:,.2f} are ordered."
        )
    columns = _columns(ids, terms, items, orders, kept, inventory, whole=whole)
    frame = nw.from_dict(columns, backend=backend)
    return StockPlan(frame.to_native(), tuple(items), terms, _rule(terms, items), tuple(notes))


def _afford(
    quantities: Floats,
    orders: Sequence[Order],
    items: Sequence[ItemTerms],
    terms: StockTerms,
    position: Floats,
) -> Floats:
    if terms.budget is None:
        return quantities
    prices = np.array([item.price for item in items], dtype=np.float64)
    costs = [item.shortage_cost for item in items]
    return cut_to_budget(
        terms.budget,
        quantities,
        [np.maximum(order.demand - have, 0) for order, have in zip(orders, position, strict=True)],
        prices=prices,
        values=prices if 0 in costs else np.array(costs, dtype=np.float64),
        packs=np.array([item.pack_size for item in items]),
        minima=np.array([item.minimum for item in items]),
    )


def _columns(
    ids: Sequence[str],
    terms: StockTerms,
    items: Sequence[ItemTerms],
    orders: Sequence[Order],
    kept: Floats,
    inventory: Inventory,
    *,
    whole: bool,
) -> dict[str, Any]:
    def amounts(values: Any) -> Array:
        found = np.asarray(list(values), dtype=np.float64)
        return np.rint(found).astype(np.int64) if whole else found

    periodic = terms.policy == "periodic"
    position = inventory.on_hand + inventory.on_order
    rows = list(zip(items, orders, kept.tolist(), position.tolist(), strict=True))
    expected = np.array([float(o.demand.mean()) for o in orders])
    columns: dict[str, Any] = {
        "unique_id": list(ids),
        "rule": [o.rule + ("; budget" if k < o.quantity else "") for _, o, k, _ in rows],
        "lead_time": [i.lead_time.mean for i in items],
        "review": [i.review for i in items],
        "service_level": [float(o.service_level) for o in orders],
        "expected_demand": expected,
        "safety_stock": np.array([o.level for o in orders]) - expected,
    }
    if not periodic:
        columns["reorder_point"] = amounts(o.level for o in orders)
    columns |= {
        "order_up_to": amounts(o.up_to for o in orders),
        "on_hand": inventory.on_hand,
        "on_order": inventory.on_order,
        "order_quantity": amounts(kept),
        "fill_rate": [
            policies.fill_rate(o.before, o.demand, have + k if periodic else o.level)
            for _, o, k, have in rows
        ],
        "stock_out_probability": [float((o.demand > have).mean()) for _, o, _, have in rows],
        "stock_out_after_order": [float((o.demand > have + k).mean()) for _, o, k, have in rows],
    }
    if any(item.spread != 1 for item in items):
        columns["spread"] = [item.spread for item in items]
    if any(o.spoils is not None for o in orders):
        columns["waste_probability"] = [
            None if o.spoils is None else waste_probability(o.spoils, have, k) for _, o, k, have in rows
        ]
    if terms.budget is not None:
        columns["cut"] = amounts(o.quantity - k for _, o, k, _ in rows)
    return columns


def check_plan(
    items: Sequence[ItemTerms],
    terms: StockTerms,
    ids: Sequence[str],
    *,
    horizon: int,
    samples: int | None = None,
) -> None:
    """Raise UsageError where the horizon or the number of paths is too small for the terms."""
    longest = max(range(len(items)), key=lambda n: items[n].longest)
    interval = items[longest].longest
    if interval > horizon:
        at_most = "" if len(items[longest].lead_time.periods) == 1 else " at the longest"
        whose = f" of item {ids[longest]!r}" if len({item.longest for item in items}) > 1 else ""
        raise UsageError(
            f"lead time + review{whose} is {interval} periods{at_most}, but the model forecasts only {horizon}",
            hint=f"Forecast {interval} periods or more (horizon={interval}, --horizon {interval}), or plan for a "
            "shorter time.",
        )
    level = max(highest_share(item, terms) for item in items)
    fewest = _paths_with(FEWEST_BEYOND, level)
    if samples is not None and samples < fewest:
        raise UsageError(
            f"{samples} sample paths are too few for a service level of {level:g}",
            hint=f"Draw at least {fewest}; {steady_paths(level)} give a steady answer.",
        )


def default_review(frequency: Frequency, policy: str = "periodic") -> int:
    """How often one orders unless told otherwise: daily data every 7 periods, hourly every 24, others every one.

    With a reorder point, stock is watched all the time: 0.
    """
    if policy != "periodic":
        return 0
    return frequency.season if frequency.name in ("daily", "hourly") else 1


def paths_needed(items: Sequence[ItemTerms], terms: StockTerms) -> int:
    """How many sample paths give steady levels: 25 beyond the highest service level, and no fewer than 500."""
    return steady_paths(max(highest_share(item, terms) for item in items))


def periods_needed(items: Sequence[ItemTerms], terms: StockTerms, horizon: int) -> int:
    """How many periods of the paths the rules look at."""
    if terms.policy != "periodic":
        return horizon  # the rate of demand is that of all
    lives = [item.lead_time.longest + item.shelf_life for item in items if item.shelf_life is not None]
    return min(horizon, max([item.longest for item in items] + lives))


def steady_paths(level: float) -> int:
    """How many sample paths give a steady quantile: 25 beyond it, and no fewer than 500."""
    return max(500, _paths_with(GOOD_BEYOND, level))


def _paths_with(beyond: int, level: float) -> int:
    return math.ceil(beyond / (1 - level) - 1e-6)


def _rule(terms: StockTerms, items: Sequence[ItemTerms]) -> str:
    """The plan's rule in words, with the settings of the first item where they are not the same for all."""
    item = items[0]
    lead, interval = item.lead_time.mean, item.lead_time.mean + item.review
    arrival = f"arrives {_periods(lead)} later" if lead else "arrives at once"
    when = (
        f"Order every {_periods(item.review)}"
        if terms.policy == "periodic"
        else "Watch the stock all the time"
    )
    if terms.policy != "periodic" and item.review:
        when = f"Look at the stock every {_periods(item.review)}"
    enough = {
        "cycle": f"covers the demand of {_periods(interval)} in {item.service_level:.4g} of the simulated futures",
        "fill": f"delivers {item.service_level:.4g} of the demand from the shelf",
        "costs": "costs least",
    }[terms.target]
    start = (
        f"{when}; an order {arrival}, so what is in stock or on order must last for {_periods(interval)}. "
    )
    if terms.policy == "periodic":
        return f"{start}Order up to the level that {enough}, less what is on hand and on order."
    lot = "a fixed quantity" if terms.policy == "fixed-quantity" else "up to the upper level"
    return f"{start}Order {lot} once what is on hand and on order is at the reorder point that {enough}, or below."


def _periods(count: float) -> str:
    return "1 period" if count == 1 else f"{count:.4g} periods"


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"
