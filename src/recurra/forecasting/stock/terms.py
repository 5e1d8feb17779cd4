"""What an order plan is asked for, and what of it holds for which item."""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeGuard

import narwhals.stable.v2 as nw

from recurra.errors import InputError, UsageError
from recurra.forecasting.stock.lead_times import LeadTime

__all__ = [
    "PRODUCTION",
    "SETTINGS",
    "ItemTerms",
    "StockTerms",
    "check_number",
    "fault",
    "item_numbers",
    "item_terms",
]

POLICIES = ("periodic", "fixed-quantity", "min-max")
TARGETS = ("cycle", "fill", "costs")

COSTS = ("holding_cost", "shortage_cost")  # these may also be a mapping or a frame

PERIODS = "Give a whole number of periods, {} or more."
# The settings that a table of the stock may hold for each item: the least value, whether it must be above that, and
# the way out.
SETTINGS: dict[str, tuple[float, bool, str]] = {
    "lead_time": (0, False, PERIODS.format(0)),
    "lead_time_sd": (0, False, "Give a number of periods, 0 or more."),
    "review": (0, False, PERIODS.format(0)),
    "service_level": (0, True, "Give a probability between 0 and 1, such as 0.95."),
    "pack_size": (0, True, "Give the units in a pack, above 0."),
    "minimum": (0, False, "Give a number of units, 0 or more."),
    "price": (0, True, "Give what a unit costs you, above 0."),
    "holding_cost": (0, True, "Give what it costs to hold a unit for a period, above 0."),
    "shortage_cost": (0, True, "Give what a missing unit costs, above 0."),
    "ordering_cost": (0, False, "Give what an order costs however large it is, 0 or more."),
    "shelf_life": (1, False, PERIODS.format(1)),
}
# The same for a production plan.
PRODUCTION: dict[str, tuple[float, bool, str]] = {
    "capacity_use": (0, True, "Give the units of capacity that a unit takes, above 0."),
    "production_cost": (0, False, "Give what it costs to produce a unit, 0 or more."),
    "overtime_cost": (0, False, "Give what a unit of overtime costs, 0 or more."),
    "change": (0, False, "Give how far the load may move from one period to the next, 0 or more."),
}


@dataclass(frozen=True)
class StockTerms:
    """What a plan is asked for, for all items; `on_hand` may hold columns that say it for each.

    The fields are the arguments of `Forecaster.plan_stock`, which explains them.
    """

    lead_time: Any
    review: int | None = None
    service_level: float = 0.95
    target: str = "cycle"
    policy: str = "periodic"
    on_hand: Any = 0
    on_order: Any = None
    lead_time_sd: float = 0.0
    pack_size: float | None = None
    minimum: float = 0.0
    price: float | None = None
    holding_cost: Any = None
    shortage_cost: Any = None
    ordering_cost: float = 0.0
    shelf_life: int | None = None
    budget: float | None = None

    def check(self) -> None:
        """Raise UsageError where what holds for all items does not fit."""
        for name, value, known in (("policy", self.policy, POLICIES), ("target", self.target, TARGETS)):
            if value not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}", value=value)
        for name in SETTINGS:
            value = getattr(self, name)
            if name == "lead_time" or value is None or (name in COSTS and _by_item(name, value) is not None):
                continue
            if hint := fault(name, value, self.policy):
                raise UsageError(f"{name} does not fit", value=value, hint=hint)
        if self.budget is not None and (not _is_number(self.budget) or not 0 <= self.budget < math.inf):
            raise UsageError(
                "budget does not fit", value=self.budget, hint="Give an amount of money, 0 or more."
            )
        _lead_time(self.lead_time, self.lead_time_sd, None)


@dataclass(frozen=True)
class ItemTerms:
    """What holds for one item; 0 where no price or cost was said, and for a pack of which any part can be had."""

    lead_time: LeadTime
    review: int
    service_level: float
    pack_size: float
    minimum: float
    price: float
    holding_cost: float
    shortage_cost: float
    ordering_cost: float
    shelf_life: int | None
    spread: float = 1.0  # how much wider its demand is taken than it was forecast: `spreads`

    @property
    def longest(self) -> int:
        """The periods to look ahead: the longest lead time and the review."""
        return self.lead_time.longest + self.review


def fault(name: str, value: object, policy: str = "periodic", *, whole: bool = False) -> str | None:
    """The way out where a setting does not fit, None where it does; `whole`: units are whole pieces."""
    least, above, hint = (SETTINGS | PRODUCTION)[name]
    if name == "review" and policy == "periodic":
        least, hint = 1, PERIODS.format(1)
    if not _is_number(value) or not math.isfinite(value) or value < least or (above and value == least):
        return hint
    if name in ("review", "shelf_life") and value % 1:
        return hint
    if name == "service_level" and value >= 1:
        return hint
    if whole and name in ("pack_size", "minimum") and value % 1:
        return "Sales are whole pieces, so give a whole number."
    return None


def check_number(name: str, value: object) -> None:
    """Raise UsageError where the value of a setting does not fit."""
    if hint := fault(name, value):
        raise UsageError(f"{name} does not fit", value=value, hint=hint)


def item_numbers(name: str, common: object, on_hand: object, ids: Sequence[str]) -> list[Any]:
    """One setting for each of `ids`: its own by a mapping or a frame `common`, or else by the column `name` of a table
    of the stock, or else what holds for all.

    Raises UsageError or InputError where a value does not fit.
    """
    table = _columns(on_hand, (name,))
    own = _by_item(name, common)
    if own is not None:
        table, common = _with(table, name, own), None
    elif common is not None:
        check_number(name, common)
    return [_own(item, table.get(item, {}), "periodic", False).get(name, common) for item in ids]


def item_terms(terms: StockTerms, ids: Sequence[str], *, review: int, whole: bool) -> list[ItemTerms]:
    """What holds for each of `ids`: the settings of `terms`, and over them the columns of its table `on_hand`.

    `review` is taken where neither says one. Raises UsageError or InputError where a value does not fit, InputError
    where a plan asks for something, such as a price, that an item lacks.
    """
    terms.check()
    table = _columns(terms.on_hand, SETTINGS)
    common = {name: getattr(terms, name) for name in SETTINGS}
    for name in COSTS:
        if (each := _by_item(name, common[name])) is not None:
            table, common[name] = _with(table, name, each), None
    common |= {"review": review if terms.review is None else terms.review}
    for name in ("pack_size", "minimum"):
        if common[name] is not None and (hint := fault(name, common[name], whole=whole)):
            raise UsageError(f"{name} does not fit", value=common[name], hint=hint)
    common["pack_size"] = common["pack_size"] or (1.0 if whole else 0.0)
    common |= {name: common[name] or 0.0 for name in ("price", "holding_cost", "shortage_cost")}
    lead_time = _lead_time(common["lead_time"], common["lead_time_sd"], None)
    found = []
    for item in ids:
        own = _own(item, table.get(item, {}), terms.policy, whole)
        mine = common | own
        mine["lead_time"] = lead_time
        if "lead_time" in own or "lead_time_sd" in own:
            given = own.get("lead_time", common["lead_time"])
            mine["lead_time"] = _lead_time(given, own.get("lead_time_sd", common["lead_time_sd"]), item)
        del mine["lead_time_sd"]
        _check_complete(item, mine, terms)
        mine["review"] = int(mine["review"])
        found.append(ItemTerms(**mine))
    return found


def _own(item: str, row: Mapping[str, object], policy: str, whole: bool) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            continue
        try:
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            number = value
        if hint := fault(name, number, policy, whole=whole):
            raise InputError(f"{name} of item {item!r} does not fit", column=name, value=value, hint=hint)
        own[name] = number
    return own


def _columns(on_hand: object, settings: Collection[str]) -> dict[str, dict[str, object]]:
    """The settings in a table of the stock, by item."""
    frame = nw.from_native(on_hand, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or "unique_id" not in frame.columns:
        return {}
    names = [name for name in frame.columns if name in settings]
    rows = frame.select("unique_id", *names).iter_rows(named=True) if names else ()
    return {str(row["unique_id"]): {name: row[name] for name in names} for row in rows}


def _by_item(name: str, given: object) -> dict[str, object] | None:
    """What a mapping from items, or a frame with a column `name`, says of each item; None where it is neither."""
    if isinstance(given, Mapping):
        return {str(item): value for item, value in given.items()}
    frame = nw.from_native(given, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return None
    for column in ("unique_id", name):
        if column not in frame.columns:
            found = ", ".join(frame.columns[:10])
            raise InputError(f"the table of {name} has no such column; it has {found}", column=column)
    return {item: row[name] for item, row in _columns(frame, (name,)).items()}


def _with(
    table: Mapping[str, Mapping[str, object]], name: str, own: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    """The settings of the items, one of them as each item's `own`."""
    rows = {item: dict(row) for item, row in table.items()}
    for item, value in own.items():
        rows.setdefault(item, {})[name] = value
    return rows


def _lead_time(given: object, deviation: float, item: str | None) -> LeadTime:
    try:
        return LeadTime.of(given, deviation)
    except ValueError as error:
        if item is None:
            raise UsageError("lead_time does not fit", value=given, hint=str(error)) from error
        what = f"lead_time of item {item!r} does not fit"
        raise InputError(what, column="lead_time", value=given, hint=str(error)) from error


def _check_complete(item: str, mine: Mapping[str, Any], terms: StockTerms) -> None:
    needed = {"holding_cost", "shortage_cost"} if terms.target == "costs" else set()
    if terms.policy != "periodic":
        needed |= {"holding_cost", "ordering_cost"}
    if terms.budget is not None:
        needed.add("price")
    for field in fields(ItemTerms):
        if field.name in needed and not mine[field.name]:
            asked = (
                "a budget" if field.name == "price" else f"the policy {terms.policy}, target {terms.target}"
            )
            raise UsageError(
                f"{asked} needs the {field.name} of every item, and item {item!r} has none",
                hint=f"Give {field.name} for all items, or as a column of the stock table.",
            )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
