"""The report's part on what to produce."""

from __future__ import annotations

import polars as pl

from recurra.forecasting.production import ProductionPlan
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.wording import day, periods, plural
from recurra.reporting import page, plots
from recurra.reporting.page import Html, number, paragraph

__all__ = ["body"]

ROWS = 30


def body(plan: ProductionPlan, frequency: Frequency) -> Html:
    """Return the section: the plan in words, the load of every period, the items that take most."""
    table = plan.periods
    columns = [table[name].to_numpy() for name in ("ds", "load", "capacity")]
    made = float(plan.frame["quantity"].sum())
    items = plan.frame["unique_id"].n_unique()
    late = float(table["backlog"].max())  # type: ignore[arg-type]
    words = (
        f"{number(made)} units of {plural(items, 'item')} in {periods(frequency, table.height)}, at a cost of "
        f"{number(plan.cost)}: the least that has everything there in time within the capacity."
    )
    over = float(table["overtime"].sum())
    if over > 1e-6:
        words += f" It takes {number(over)} units of overtime."
    if late > 1e-6:
        words += f" Capacity is short: at the worst {number(late)} units are late, which the costs say is cheapest."
    caption = "Load of every period (bars) and its capacity (line); what stands above it is overtime."
    picture = page.figure(plots.load(*columns), "Load and capacity of every period", caption, wide=True)
    totals = (
        plan.frame.group_by("unique_id", maintain_order=True)
        .agg(pl.col("quantity").sum(), pl.col("stock", "backlog").max())
        .sort("quantity", descending=True, maintain_order=True)
        .head(ROWS)
    )
    heads = ("Item", "Produce", "Most in stock", "Most late")
    shown = page.table(heads, ([name, *map(number, rest)] for name, *rest in totals.iter_rows()))
    busiest = table.row(int(table["load"].arg_max() or 0), named=True)
    note = f"The busiest period begins on {day(busiest['ds'])}. plan_production.csv has the quantities of every period."
    return page.join([paragraph(words), picture, shown, page.notes([note])])
