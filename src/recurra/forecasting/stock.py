"""What to order: a periodic-review, order-up-to (R, S) plan from joint sample paths of demand.

An order placed now arrives after the lead time L; the next one is placed after the review period R and
arrives after R + L. What is in stock or on order now must therefore last for L + R periods, the protection
interval (Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains, 4th ed. 2017, ch. 6,
"(R, S)"). The order-up-to level S is the service-level quantile of the demand summed along each path over
that interval: no normal distribution is assumed, and the quantile of the sum is taken, not the sum of the
quantiles.

Shapes: N series, S paths, H periods of horizon; `paths` (N, S, H); `demand` (N, S).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.calendar import Frequency
from recurra.forecasting.inventory import read_inventory

__all__ = [
    "StockPlan",
    "check_plan",
    "default_review",
    "order_up_to_level",
    "paths_needed",
    "plan_stock",
    "protection_demand",
]

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Paths beyond the service level: with fewer than 5 the level is a guess; with 25 the service reached misses
# the one asked for by about a fifth of the allowed stock-outs (standard error sqrt(p (1 - p) / S)).
FEWEST_BEYOND = 5
GOOD_BEYOND = 25


@dataclass(frozen=True)
class StockPlan:
    """What to order of each item now, and why.

    `frame` (in the caller's data-frame library) has one row per item, with the columns unique_id,
    lead_time, review, service_level, expected_demand (mean over lead time + review), safety_stock
    (order_up_to - expected_demand), order_up_to, on_hand, on_order, order_quantity and
    stock_out_probability (that demand over lead time + review exceeds on_hand + on_order, if nothing is
    ordered now). Quantities in the units sold, times in periods of the data.
    """

    frame: Any
    lead_time: int
    review: int
    service_level: float
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
    lead_time: int,
    review: int,
    service_level: float,
    on_hand: object = 0,
    on_order: object = None,
    whole: bool = True,
    backend: Any = "polars",
) -> StockPlan:
    """Plan the orders of N items from their sample paths (N, S, H) of demand.

    `lead_time` ≥ 0 and `review` ≥ 1 are whole numbers of periods, together no more than H. `service_level`,
    between 0 and 1, is the probability that stock lasts until the next order arrives (the cycle service
    level). `on_hand` and `on_order` are read by `read_inventory`. With `whole`, levels and quantities are
    rounded up to whole units. `backend` is the data-frame library of the answer, as narwhals names it.

    Raises UsageError where an argument does not fit, InputError where the stock on hand cannot be used.
    """
    check_plan(lead_time, review, service_level, horizon=np.shape(paths)[2], samples=np.shape(paths)[1])
    inventory = read_inventory(on_hand, on_order, ids)
    demand = protection_demand(paths, lead_time, review)
    expected = demand.mean(axis=1)
    level = order_up_to_level(demand, service_level, whole=whole)
    position = inventory.on_hand + inventory.on_order
    # The rounding keeps the dust of binary fractions in the stock records from ordering one more unit.
    quantity = np.maximum(np.round(level - position, 6), 0)
    unit = np.int64 if whole else np.float64
    columns = {
        "unique_id": list(ids),
        "lead_time": [lead_time] * len(ids),
        "review": [review] * len(ids),
        "service_level": [float(service_level)] * len(ids),
        "expected_demand": expected,
        "safety_stock": level - expected,
        "order_up_to": level.astype(unit),
        "on_hand": inventory.on_hand,
        "on_order": inventory.on_order,
        "order_quantity": (np.ceil(quantity) if whole else quantity).astype(unit),
        "stock_out_probability": (demand > position[:, None]).mean(axis=1),
    }
    return StockPlan(
        frame=nw.from_dict(columns, backend=backend).to_native(),
        lead_time=lead_time,
        review=review,
        service_level=float(service_level),
        rule=_rule(lead_time, review, service_level),
        notes=inventory.notes,
    )


def check_plan(lead_time: int, review: int, service_level: float, *, horizon: int, samples: int) -> None:
    """Raise UsageError where an argument fits neither its range, the horizon nor the number of paths."""
    for name, value, least in (("lead_time", lead_time, 0), ("review", review, 1)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            hint = f"Give a whole number of periods, {least} or more."
            raise UsageError(f"{name} does not fit", value=value, hint=hint)
    _check_level(service_level)
    interval = lead_time + review
    if interval > horizon:
        raise UsageError(
            f"lead time + review is {interval} periods, but the model forecasts only {horizon}",
            hint=f"Forecast {interval} periods or more (horizon={interval}, --horizon {interval}), or plan for a "
            "shorter time.",
        )
    fewest = _paths_with(FEWEST_BEYOND, service_level)
    if samples < fewest:
        raise UsageError(
            f"{samples} sample paths are too few for a service level of {service_level:g}",
            hint=f"Draw at least {fewest}; {paths_needed(service_level)} give a steady answer.",
        )


def default_review(frequency: Frequency) -> int:
    """How often one orders unless told otherwise: daily data every 7 periods, hourly every 24, others every one."""
    return frequency.season if frequency.name in ("daily", "hourly") else 1


def paths_needed(service_level: float) -> int:
    """How many sample paths give a steady order-up-to level: 25 beyond it, and no fewer than 500."""
    _check_level(service_level)
    return max(500, _paths_with(GOOD_BEYOND, service_level))


def protection_demand(paths: Array, lead_time: int, review: int) -> Floats:
    """The demand over lead time + review along each path: (N, S, H) -> (N, S), summed in float64."""
    paths = np.asarray(paths)
    if paths.ndim != 3 or not 1 <= lead_time + review <= paths.shape[2]:
        raise ValueError(f"paths are {paths.shape}; want (N, S, H) with H ≥ lead_time + review")
    demand: Floats = paths[:, :, : lead_time + review].sum(axis=2, dtype=np.float64)
    if not np.isfinite(demand).all():
        raise ValueError("the sample paths hold NaN or infinity")
    return demand


def order_up_to_level(demand: Array, service_level: float, *, whole: bool) -> Floats:
    """The least stock ≥ 0 that covers at least `service_level` of the sampled demands: (N, S) -> (N,)."""
    level = np.maximum(np.quantile(demand, service_level, axis=1, method="inverted_cdf"), 0)
    return np.asarray(np.ceil(level) if whole else level, dtype=np.float64)


def _check_level(service_level: float) -> None:
    if not isinstance(service_level, numbers.Real) or not 0 < service_level < 1:
        hint = "Give a probability between 0 and 1, such as 0.95."
        raise UsageError("service_level does not fit", value=service_level, hint=hint)


def _paths_with(beyond: int, service_level: float) -> int:
    return math.ceil(beyond / (1 - service_level) - 1e-6)


def _rule(lead_time: int, review: int, service_level: float) -> str:
    interval = _periods(lead_time + review)
    arrival = f"arrives {_periods(lead_time)} later" if lead_time else "arrives at once"
    return (
        f"Order every {_periods(review)}; an order {arrival}, so what is in stock or on order must last "
        f"for {interval}. Order up to the level that covers the demand of {interval} in {service_level:.4g} "
        f"of the simulated futures, less what is on hand and on order."
    )


def _periods(count: int) -> str:
    return "1 period" if count == 1 else f"{count} periods"
