"""Options of an order plan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from recurra.cli import options as o
from recurra.errors import UsageError

__all__ = [
    "Budget",
    "Calibrate",
    "Capacity",
    "CapacityUse",
    "Change",
    "HoldingCost",
    "LeadTime",
    "LeadTimeDeviation",
    "LostSales",
    "Minimum",
    "OnHand",
    "OrderingCost",
    "Overtime",
    "OvertimeCost",
    "PackSize",
    "Policy",
    "Price",
    "ProductionCost",
    "ReplayLeadTime",
    "ReplayOnHand",
    "Review",
    "ServiceLevel",
    "ShelfLife",
    "ShortageCost",
    "Target",
    "asked",
    "asked_production",
    "asked_replay",
]

PLAN = "The order plan"
# What the plan takes beside the lead time, by the names that Forecaster.plan_stock gives them.
FURTHER = (
    "review",
    "service_level",
    "target",
    "policy",
    "lead_time_sd",
    "pack_size",
    "minimum",
    "price",
    "holding_cost",
    "shortage_cost",
    "ordering_cost",
    "shelf_life",
    "budget",
)


def _option(text: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=PLAN, **more)


LeadTime = Annotated[
    float | None,
    _option("Periods from an order to its arrival; makes a plan.", min=0, show_default="none, no plan"),
]
LeadTimeDeviation = Annotated[
    float, _option("Standard deviation of the lead time, then a mean.", min=0, show_default="0, certain")
]
Review = Annotated[
    int | None,
    _option("Periods between two orders.", min=0, show_default="7 if daily, 24 if hourly, otherwise 1"),
]
ServiceLevel = Annotated[float, _option("What the target is to reach, between 0 and 1.")]
Target = Annotated[
    str,
    _option(
        "cycle: the chance that stock lasts; fill: the share delivered from the shelf; costs: least cost."
    ),
]
Policy = Annotated[
    str,
    _option("periodic: fill up at every review; fixed-quantity or min-max: order at a reorder point."),
]
OnHand = Annotated[
    Path | None,
    _option(
        "File with item, on_hand and, if any, on_order; also pack_size, price … of each item.",
        show_default="nothing in stock",
    ),
]
PackSize = Annotated[float | None, _option("Units in a pack.", show_default="1, or any part")]
Minimum = Annotated[float, _option("The least units of an order.", min=0, show_default="none")]
Price = Annotated[float | None, _option("What a unit costs to buy.", show_default="not known")]
HoldingCost = Annotated[
    float | None, _option("Cost of holding a unit for a period.", show_default="not known")
]
ShortageCost = Annotated[float | None, _option("Cost of a missing unit.", show_default="not known")]
OrderingCost = Annotated[float, _option("Cost of an order, however large.", min=0)]
ShelfLife = Annotated[
    int | None, _option("Periods until a unit spoils.", min=1, show_default="does not spoil")
]
Budget = Annotated[float | None, _option("Money for all orders together.", min=0, show_default="no limit")]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Take each item's demand as wide around its forecast as it has been in its own past.",
        rich_help_panel=PLAN,
    ),
]
MAKE = "The production plan"
# Options that both plans understand, and those of the production plan alone.
SHARED = ("service_level", "holding_cost", "shortage_cost", "on_hand")
PRODUCTION = ("capacity_use", "production_cost", "overtime", "overtime_cost", "change")


def _making(text: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=MAKE, **more)


Capacity = Annotated[
    str | None,
    _making(
        "Capacity of a period, or a file with date and capacity; makes a plan.",
        show_default="none, no plan",
    ),
]
CapacityUse = Annotated[float, _making("Units of capacity that a unit takes.")]
ProductionCost = Annotated[float, _making("Cost of producing a unit.", min=0)]
Overtime = Annotated[float, _making("Capacity that can be added in a period.", min=0)]
OvertimeCost = Annotated[float, _making("Cost of a unit of overtime.", min=0)]
Change = Annotated[
    float | None,
    _making("How far the load may move between periods.", min=0, show_default="no limit"),
]

ReplayLeadTime = Annotated[
    float | None,
    _option(
        "Periods from an order to its arrival; replays order plans.", min=0, show_default="none, no replay"
    ),
]
ReplayOnHand = Annotated[
    Path | None,
    _option(
        "A stock file: its pack_size, lead_time, costs … of each item hold.", show_default="all items alike"
    ),
]
LostSales = Annotated[
    bool,
    typer.Option(
        "--lost-sales",
        help="In the replay, what is not there is not delivered later.",
        rich_help_panel=PLAN,
    ),
]


def asked(context: typer.Context) -> dict[str, Any] | None:
    """What an order plan is asked for, as arguments of Forecaster.plan_stock; None where none is."""
    given = context.params
    if given["lead_time"] is None:
        shared = () if given["capacity"] is None else SHARED
        names = [name for name in (*FURTHER, "on_hand", "calibrate") if name not in shared]
        _refuse_unused(context, names, "an order plan", "--lead-time")
        return None
    return {name: given[name] for name in ("lead_time", *FURTHER)}


def asked_production(context: typer.Context) -> dict[str, Any] | None:
    """What a production plan is asked for, as arguments of plan_production; None where none is."""
    given = context.params
    if given["capacity"] is None:
        _refuse_unused(context, PRODUCTION, "a production plan", "--capacity")
        return None
    found = {name: given[name] for name in ("capacity", *PRODUCTION, *SHARED) if name != "on_hand"}
    return found | {"holding_cost": 1.0 if found["holding_cost"] is None else found["holding_cost"]}


def asked_replay(context: typer.Context) -> dict[str, Any]:
    """What a replay is asked for, as arguments of backtest; nothing where none is."""
    names = (
        "lead_time_sd",
        "review",
        "service_level",
        "target",
        "pack_size",
        "minimum",
        "calibrate",
        "lost_sales",
    )
    if context.params["lead_time"] is None:
        _refuse_unused(context, names, "a replay of order plans", "--lead-time")
        return {}
    return {name: context.params[name] for name in ("lead_time", *names)}


def _refuse_unused(context: typer.Context, names: Iterable[str], what: str, way_out: str) -> None:
    if unused := o.given(context, *names):
        option = f"--{unused[0].replace('_', '-')}"
        raise UsageError(f"{option} is for {what}", hint=f"Add {way_out}.")
