"""The report's part on what to order."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.wording import periods, plural
from recurra.forecasting.stock.plan import StockPlan
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
    text = f"{_when(plan, frequency)} {_what(plan)}"
    text += (
        "; the safety stock is what that level holds beyond the expected demand. Risk is the chance to run out in that "
        "time if nothing is ordered."
    )
    if not (frame["on_hand"] != 0).any() and not (frame["on_order"] != 0).any():
        text += " No stock was given: the quantities are for empty shelves."
    return text


def _when(plan: StockPlan, frequency: Frequency) -> str:
    """Say when one orders and how long stock must last, for one set of times or for many."""
    review, lead, interval = _times(plan)
    if interval is None or not float(interval).is_integer():
        lasts = (
            "until the order after that has arrived"
            if plan.terms.policy == "periodic"
            else "until an order arrives"
        )
        return (
            f"Lead times vary, or differ between items. What is in stock or on order now must last {lasts}."
        )
    arrival = f"arrives {periods(frequency, int(lead))} later" if lead else "arrives at once"
    if plan.terms.policy == "periodic":
        start = f"Orders are placed every {periods(frequency, review)} and an order {arrival}"
    else:
        often = f"looked at every {periods(frequency, review)}" if review else "watched all the time"
        start = f"Stock is {often} and an order {arrival}"
    return f"{start}, so what is in stock or on order now must last for {periods(frequency, int(interval))}."


def _what(plan: StockPlan) -> str:
    levels = {item.service_level for item in plan.items}
    level = f"{100 * levels.pop():.4g}%" if len(levels) == 1 else "the share asked for"
    enough = {
        "cycle": f"was enough in {level} of the simulated futures",
        "fill": f"delivers {level} of the demand from the shelf",
        "costs": "costs least by the costs given",
    }[plan.terms.target]
    if plan.terms.policy == "periodic":
        return f"Each item is filled up to the level that {enough}"
    return f"An item is ordered once it is at the reorder point that {enough}, or below"


def _times(plan: StockPlan) -> tuple[int, float, float | None]:
    """Review, lead time and their sum; None where items differ."""
    first = plan.items[0]
    same = all(item.lead_time == first.lead_time and item.review == first.review for item in plan.items)
    return first.review, first.lead_time.mean, first.lead_time.mean + first.review if same else None


def _table(rows: list[dict[str, Any]], plan: StockPlan, frequency: Frequency) -> Html:
    *_, interval = _times(plan)
    whole = interval is not None and float(interval).is_integer()
    named = {
        "on_hand": "In stock",
        "on_order": "On order",
        "reorder_point": "Reorder at",
        "order_up_to": "Fill up to",
        "expected_demand": f"Expected demand, {periods(frequency, int(interval or 0))}"
        if whole
        else "Expected demand",
        "safety_stock": "Safety stock",
    }
    shown = [name for name in named if name in nw.from_native(plan.frame, eager_only=True).columns]

    def cells(row: dict[str, Any]) -> list[object]:
        order = page.element("span", number(row["order_quantity"]), class_="strong")
        numbers = [number(row[name]) for name in shown]
        return [row["unique_id"], order, *numbers, percent(row["stock_out_probability"])]

    return page.table(("Item", "Order now", *(named[name] for name in shown), "Risk"), map(cells, rows))
