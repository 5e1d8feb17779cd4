"""What to produce in each period: the least cost that capacity allows, by a linear program.

What must be there by the end of a period is a quantile of the demand summed up to it along joint sample paths. Legend:
N items, H periods, S paths. Variables of item i in period t: production x, stock I and backlog B at its end; of the
period: overtime u. With d the growth of what must be there, a the capacity that a unit uses, and all of them ≥ 0

    min Σ p x + h I + b B + c u   so that   I_t - B_t = I_{t-1} - B_{t-1} + x_t - d_t,
    Σ_i a x_t ≤ capacity_t + u_t,   u_t ≤ overtime_t,   |Σ_i a (x_t - x_{t-1})| ≤ change

(Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains, 4th ed. 2017, §14.5; setups left out).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import MissingExtraError, UsageError
from recurra.forecasting.forecast import Forecast
from recurra.forecasting.sales.data import date_column
from recurra.forecasting.stock.inventory import read_inventory
from recurra.forecasting.stock.plan import steady_paths
from recurra.forecasting.stock.policies import service_level_stock
from recurra.forecasting.stock.terms import check_number, item_numbers

__all__ = [
    "ProductionPlan",
    "ProductionTerms",
    "check_solver",
    "least_cost",
    "plan_production",
    "requirements",
]

Array = NDArray[Any]
Floats = NDArray[np.float64]
DUST = 1e-7
RULE = "linear program: least cost of production, stock, backlog and overtime within the capacity"


@dataclass(frozen=True)
class ProductionTerms:
    """What a production plan is asked for.

    Amounts (H,) for each period: `capacity`, and `overtime` that can be added to it. Amounts (N,) for each item:
    `use` of capacity by a unit, `cost` of producing it, `holding_cost` of a unit for a period, `shortage_cost` of a
    missing unit for a period, or None where nothing may be missing, and `stock` at the start. `overtime_cost` of a
    unit of capacity; `change`: how far the load may move from one period to the next, or None.
    """

    capacity: Floats
    use: Floats
    cost: Floats
    holding_cost: Floats
    shortage_cost: Floats | None
    stock: Floats
    overtime: Floats
    overtime_cost: float = 0.0
    change: float | None = None


@dataclass(frozen=True)
class ProductionPlan:
    """What to produce, and what it leads to.

    `frame` (Polars) has a row for each item and period: unique_id, ds, quantity, required (what must have been there
    in all, by the end of the period), stock and backlog at its end. `periods` has a row for each period: ds, capacity,
    load (of capacity, overtime included), overtime, and the backlog of all items. `cost` is the total. Quantities need
    not be whole: half a piece is finished in the next period.
    """

    frame: pl.DataFrame
    periods: pl.DataFrame
    cost: float
    rule: str

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values, for `--json`."""
        items, periods = (
            [row | {"ds": row["ds"].isoformat()} for row in table.iter_rows(named=True)]
            for table in (self.frame, self.periods)
        )
        return {"cost": self.cost, "rule": self.rule, "items": items, "periods": periods}


def plan_production(
    forecast: Forecast,
    *,
    capacity: Any,
    service_level: float = 0.95,
    on_hand: Any = 0,
    capacity_use: float = 1.0,
    production_cost: float = 0.0,
    holding_cost: float = 1.0,
    shortage_cost: float | None = None,
    overtime: Any = 0.0,
    overtime_cost: float = 0.0,
    change: float | None = None,
    seed: int | None = None,
) -> ProductionPlan:
    """Say how much of each item to produce in each period, at least cost within the capacity.

    A frame given as `on_hand` may have columns `service_level`, `capacity_use`, `production_cost`, `holding_cost` and
    `shortage_cost`: what stands there holds for the item, the argument for all others.

    Parameters
    ----------
    forecast: of `Forecaster.forecast`.
    capacity: what can be produced in a period, in units of capacity: a number, or one for each period.
    service_level: the probability, in (0, 1), with which demand up to the end of a period is to be met by then.
    on_hand: units in stock: a number, a mapping from item to number, or a frame.
    capacity_use: units of capacity that a unit takes, above 0.
    production_cost, holding_cost: of a unit; of a unit for a period.
    shortage_cost: of a unit that is missing, for a period; None where nothing may be missing.
    overtime, overtime_cost: capacity that can be added in a period, as `capacity`, and what a unit of it costs.
    change: how much the load may change from one period to the next, 0 or more; None for no limit.
    seed: of the paths; None for the model's.

    Raises UsageError where an argument does not fit or the capacity is not enough, InputError where the stock cannot
    be read, MissingExtraError without scipy.
    """
    for name, value in (("overtime_cost", overtime_cost), ("change", change)):
        if value is not None:
            check_number(name, value)
    given = {
        "service_level": service_level,
        "capacity_use": capacity_use,
        "production_cost": production_cost,
        "holding_cost": holding_cost,
        "shortage_cost": shortage_cost,
    }
    ids, horizon = forecast.ids, len(forecast.dates)
    each = {name: item_numbers(name, value, on_hand, ids) for name, value in given.items()}
    missing = each["shortage_cost"]
    if any(missing) and not all(missing):
        hint = "Give shortage_cost for all items, or for none."
        raise UsageError(
            f"item {ids[missing.index(None)]!r} has no shortage_cost, and others have", hint=hint
        )
    numbers = {name: np.array(values, dtype=np.float64) for name, values in each.items()}
    terms = ProductionTerms(
        capacity=_each_period(capacity, horizon, "capacity"),
        use=numbers["capacity_use"],
        cost=numbers["production_cost"],
        holding_cost=numbers["holding_cost"],
        shortage_cost=numbers["shortage_cost"] if all(missing) else None,
        stock=read_inventory(on_hand, 0 if np.isscalar(on_hand) else None, ids).on_hand,
        overtime=_each_period(overtime, horizon, "overtime"),
        overtime_cost=overtime_cost,
        change=change,
    )
    levels = numbers["service_level"]
    drawn = forecast.draw(steady_paths(float(levels.max())), seed)
    return least_cost(requirements(drawn, levels, whole=forecast.whole), ids, forecast.dates, terms)


def requirements(paths: Array, service_levels: Floats, *, whole: bool) -> Floats:
    """What must have been there in all by the end of each period, (N, S, H) -> (N, H), never falling.

    The quantile at an item's service level (N,) of the demand summed up to the period along each path.
    """
    needed = np.empty((paths.shape[0], paths.shape[2]))
    for n, level in enumerate(service_levels):
        needed[n] = service_level_stock(np.cumsum(paths[n], axis=1, dtype=np.float64).T, level, whole=whole)
    return np.asarray(np.maximum.accumulate(needed, axis=1))


def check_solver() -> None:
    """Raise MissingExtraError where scipy is not installed."""
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtraError.of("scipy", "plan")


def least_cost(required: Floats, ids: Sequence[str], dates: Array, terms: ProductionTerms) -> ProductionPlan:
    """Find the production of least cost that has `required` (N, H) there in time.

    Raises UsageError where capacity is not enough and nothing may be missing: it says in which periods how much is
    lacking; MissingExtraError without scipy.
    """
    solution = _solve(required, terms)
    if solution is None:
        raise _too_little(required, dates, terms)
    made, stock, backlog, overtime = solution
    load = terms.use @ made
    cost = float(
        (terms.cost @ made).sum() + (terms.holding_cost @ stock).sum() + terms.overtime_cost * overtime.sum()
    )
    if terms.shortage_cost is not None:
        cost += float((terms.shortage_cost @ backlog).sum())
    names = pl.Series("unique_id", ids, dtype=pl.String)
    frame = pl.DataFrame(
        [
            names.gather(np.repeat(np.arange(len(ids)), len(dates))),
            date_column(np.tile(dates, len(ids))),
            *(
                pl.Series(name, values.ravel())
                for name, values in (
                    ("quantity", made),
                    ("required", required),
                    ("stock", stock),
                    ("backlog", backlog),
                )
            ),
        ]
    )
    columns = {"capacity": terms.capacity, "load": load, "overtime": overtime, "backlog": backlog.sum(axis=0)}
    periods = pl.DataFrame([date_column(dates), *(pl.Series(name, x) for name, x in columns.items())])
    return ProductionPlan(frame, periods, cost, RULE)


def _solve(
    required: Floats, terms: ProductionTerms, *, elastic: bool = False
) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Production, stock and backlog (N, H), overtime (H,); None where there is none.

    `elastic`: as if capacity could be had beyond all limits at a price; then the last is what was had of it.
    """
    check_solver()
    from scipy.optimize import linprog  # type: ignore[import-untyped]
    from scipy.sparse import (  # type: ignore[import-untyped]
        block_array,
        coo_array,
        diags_array,
        eye_array,
        kron,
    )

    items, horizon = required.shape
    count = items * horizon
    growth = np.diff(required, axis=1, prepend=0.0)
    growth[:, 0] -= terms.stock
    step = diags_array([np.ones(horizon), -np.ones(horizon - 1)], offsets=[0, -1])
    same, flow = eye_array(count), kron(eye_array(items), step)
    load = kron(coo_array(terms.use[None]), eye_array(horizon))  # (H, N·H)
    nothing, extra = coo_array((horizon, count)), eye_array(horizon)
    # Columns: production, stock, backlog, overtime, and what is beyond all limits.
    balance = block_array([[same, -flow, flow, coo_array((count, 2 * horizon))]])
    limits = [[load, nothing, nothing, -extra, -extra]]
    bounds = [terms.capacity]
    if terms.change is not None and horizon > 1:
        moves = step.tocsr()[1:]
        still = coo_array((horizon - 1, count))
        change = moves @ load
        limits += [[change, still, still, None, -moves], [-change, still, still, None, moves]]
        bounds += [np.full(horizon - 1, terms.change)] * 2
    missing = np.zeros(items) if terms.shortage_cost is None else terms.shortage_cost
    costs = [np.repeat(each, horizon) for each in (terms.cost, terms.holding_cost, missing)]
    objective = np.concatenate([*costs, np.full(horizon, terms.overtime_cost), np.zeros(horizon)])
    if elastic:
        # The least that is lacking, and of its places the latest: there it is due.
        lacking = 1 + 1e-3 * np.linspace(1, 0, horizon)
        objective = np.concatenate([np.zeros(3 * count + horizon), lacking])
    most = np.full(3 * count + 2 * horizon, np.inf)
    if terms.shortage_cost is None:
        most[2 * count : 3 * count] = 0.0
    most[3 * count : 3 * count + horizon] = terms.overtime
    if not elastic:
        most[-horizon:] = 0.0
    found = linprog(
        objective,
        A_ub=block_array(limits, format="csr"),
        b_ub=np.concatenate(bounds),
        A_eq=balance.tocsr(),
        b_eq=growth.ravel(),
        bounds=np.stack([np.zeros(len(most)), most], axis=1),
        method="highs",
    )
    if found.status == 2:
        return None
    if found.x is None:
        raise RuntimeError(f"HiGHS found no production plan: {found.message}")
    made, stock, backlog = (np.asarray(x).reshape(items, horizon) for x in np.split(found.x[: 3 * count], 3))
    rest = found.x[-horizon:] if elastic else found.x[3 * count : 3 * count + horizon]
    return made, stock, backlog, np.asarray(rest)


def _too_little(required: Floats, dates: Array, terms: ProductionTerms) -> UsageError:
    solution = _solve(required, terms, elastic=True)
    if solution is None:
        raise RuntimeError("HiGHS found no production plan even with all the capacity in the world")
    lacking = solution[-1]
    places = np.flatnonzero(lacking > DUST * max(1.0, float(lacking.max())))
    said = ", ".join(f"{lacking[t]:,.4g} on {np.datetime_as_string(dates[t], 'auto')}" for t in places[:3])
    more = f" and {len(places) - 3:,} more periods" if len(places) > 3 else ""
    limit = "" if terms.change is None else ", change by more from period to period (change=, --change)"
    return UsageError(
        f"capacity is not enough to have everything in time: at the least {lacking.sum():,.4g} more is needed, "
        f"{said}{more}",
        hint=f"Raise the capacity or the overtime{limit}, ask for a lower service level, or let units be late at a "
        "shortage_cost.",
    )


def _each_period(given: Any, horizon: int, name: str) -> Floats:
    """An amount for each period, (H,), from a number or as many numbers; UsageError where it does not fit."""
    try:
        amounts = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        amounts = np.array(np.nan)
    fits = amounts.ndim == 0 or amounts.shape == (horizon,)
    if isinstance(given, Mapping) or not fits or not (amounts >= 0).all() or not np.isfinite(amounts).all():
        hint = f"Give a number of 0 or more, or one for each of the {horizon} periods."
        raise UsageError(f"{name} does not fit", value=given, hint=hint)
    return np.array(np.broadcast_to(amounts, (horizon,)))
