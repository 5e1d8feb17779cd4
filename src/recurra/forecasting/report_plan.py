"""The report's part on what to order."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from recurra.forecasting.calendar import Frequency
from recurra.forecasting.stock import StockPlan
from recurra.forecasting.wording import periods, plural
from recurra.reporting import page
from recurra.reporting.page import Fact, Html, number, paragraph, percent

__all__ = ["body", "headline", "item_line", "row", "tile"]

FIRST_ROWS = 30


def row(plan: StockPlan, item: int) -> dict[str, Any]:
    """Return one item's row of the plan."""
    frame = nw.from_native(plan.frame, eager_only=True)
    return dict(zip(frame.columns, frame.row(item), strict=True))


def headline(plan: StockPlan) -> str:
    """Say in a sentence how much to order."""
    count, items, units = _orders(plan)
    if not count:
        return "What is in stock or on order lasts: order nothing now."
    return f"Order {number(units)} units now, of {count:,} of the {plural(items, 'item')}."


def tile(plan: StockPlan) -> Fact:
    """Return the headline number: the units to order."""
    count, items, units = _orders(plan)
    return Fact("To order now", number(units), f"units, of {count:,} of {plural(items, 'item')}")


def item_line(row: dict[str, Any]) -> str:
    """Say in a line what to order of one item."""
    if row["order_quantity"] > 0:
        return f"Order {number(row['order_quantity'])}."
    return "Nothing to order."


def body(plan: StockPlan, frequency: Frequency, most_rows: int) -> Html:
    """Return the section: the rule in words, the largest orders, all items."""
    rows = list(nw.from_native(plan.frame, eager_only=True).iter_rows(named=True))
    largest = sorted(rows, key=lambda row: -row["order_quantity"])[:FIRST_ROWS]
    blocks = [
        paragraph(_rule(plan, frequency)),
        page.notes(plan.notes) if plan.notes else Html(),
        _table(largest, plan, frequency),
    ]
    if len(rows) > FIRST_ROWS:
        summary = f"All {len(rows):,} items" if len(rows) <= most_rows else f"The first {most_rows:,} items"
        blocks.append(page.details(summary, _table(rows[:most_rows], plan, frequency)))
    return page.join(block for block in blocks if block)


def _orders(plan: StockPlan) -> tuple[int, int, float]:
    quantity = nw.from_native(plan.frame, eager_only=True)["order_quantity"]
    return int((quantity > 0).sum()), len(quantity), float(quantity.sum())


def _rule(plan: StockPlan, frequency: Frequency) -> str:
    frame = nw.from_native(plan.frame, eager_only=True)
    interval = periods(frequency, plan.lead_time + plan.review)
    arrival = f"arrives {periods(frequency, plan.lead_time)} later" if plan.lead_time else "arrives at once"
    text = (
        f"Orders are placed every {periods(frequency, plan.review)} and an order {arrival}, so what is in "
        f"stock or on order now must last for {interval}. Each item is filled up to the level that was "
        f"enough in {_level(plan.service_level)} of the simulated futures; the safety stock is what that "
        "level holds beyond the expected demand. Risk is the chance to run out in that time if nothing is "
        "ordered."
    )
    if not (frame["on_hand"] != 0).any() and not (frame["on_order"] != 0).any():
        text += " No stock was given: the quantities are for empty shelves."
    return text


def _level(service_level: float) -> str:
    return f"{100 * service_level:.4g}%"


def _table(rows: list[dict[str, Any]], plan: StockPlan, frequency: Frequency) -> Html:
    interval = periods(frequency, plan.lead_time + plan.review)
    columns = (
        "Item",
        "Order now",
        "In stock",
        "On order",
        "Fill up to",
        f"Expected demand, {interval}",
        "Safety stock",
        "Risk",
    )
    names = ("order_quantity", "on_hand", "on_order", "order_up_to", "expected_demand", "safety_stock")

    def cells(row: dict[str, Any]) -> list[object]:
        order = page.element("span", number(row["order_quantity"]), class_="strong")
        numbers = [number(row[name]) for name in names[1:]]
        return [row["unique_id"], order, *numbers, percent(row["stock_out_probability"])]

    return page.table(columns, map(cells, rows))
