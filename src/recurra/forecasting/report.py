"""The report of a forecast: what will be sold, what to order, and whether to believe it, on one page.

Shapes: N series, T periods of history, H of horizon, Q levels, S sample paths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import recurra
from recurra.forecasting import report_backtest, report_plan, report_production
from recurra.forecasting.backtest import Backtest
from recurra.forecasting.production import ProductionPlan
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.wording import day, period_name, periods, plural
from recurra.forecasting.stock.plan import StockPlan
from recurra.forecasting.stock.rules import item_demand
from recurra.reporting import page, plots
from recurra.reporting.page import Fact, Html, Section, about, element, number, paragraph, percent

__all__ = ["ReportContent", "render_report", "write_report"]

Array = NDArray[Any]

PICTURES = 8  # items with pictures of their own
MOST_ROWS = 2000  # rows of a table on the page; the files beside it hold all


@dataclass(frozen=True)
class ReportContent:
    """What a report is made of.

    Attributes
    ----------
    panel: the history. future: (H,) dates of the horizon. levels: (Q,) of the quantiles.
    quantiles, mean, paths: the forecast, (N, H, Q), (N, H) and (N, S, H); paths of the same number belong together
        across items, so that their sum has the right spread.
    plan, production, backtest: left out of the report where None.
    facts: how the model was made (cells, parameters, seconds, seed, …), printed as they stand.
    command: how to make this report again. notes: sentences beside those of the panel and the plan.
    """

    panel: Panel
    future: Array
    levels: Sequence[float]
    quantiles: Array
    mean: Array
    paths: Array
    plan: StockPlan | None = None
    production: ProductionPlan | None = None
    backtest: Backtest | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    command: str | None = None
    notes: Sequence[str] = ()
    title: str = "Sales forecast"


def write_report(path: str | os.PathLike[str], content: ReportContent) -> None:
    """Write the report as one HTML file, whole or not at all; InputError where `path` cannot be written."""
    page.write_page(path, render_report(content))


def render_report(content: ReportContent) -> str:
    """Return the report's HTML. Raises ValueError where the shapes of the content do not fit."""
    _check(content)
    panel, plan = content.panel, content.plan
    sections = [Section("All items together", "total", _total(content))]
    sections.append(Section("Item by item", "items", _items(content)))
    if plan is not None:
        sections.append(Section("What to order", "order", report_plan.body(plan, panel.frequency, MOST_ROWS)))
    if content.production is not None:
        body = report_production.body(content.production, panel.frequency)
        sections.append(Section("What to produce", "production", body))
    if content.backtest is not None:
        body = report_backtest.body(content.backtest, panel, content.levels)
        sections.append(Section("How far to trust it", "backtest", body))
    sections.append(Section("What was done with the data", "data", _data(content)))
    sections.append(Section("How to make it again", "again", _again(content)))
    subtitle = (
        f"{plural(len(panel.ids), 'item')}, {panel.frequency.name} sales from {day(panel.dates[0])} to "
        f"{day(panel.dates[-1])}; forecast to {day(content.future[-1])}"
    )
    footer = f"Made by recurra {recurra.__version__}. This page is one file; it needs no network."
    return page.page(content.title, subtitle, _lead(content), sections, footer=footer)


def _check(content: ReportContent) -> None:
    items, horizon = len(content.panel.ids), len(content.future)
    wanted = {
        "quantiles": (items, horizon, len(content.levels)),
        "mean": (items, horizon),
        "paths": (items, content.paths.shape[1], horizon),
    }
    for name, shape in wanted.items():
        found = np.shape(getattr(content, name))
        if found != shape:
            raise ValueError(f"{name} of the report are {found}, want {shape}")


def _lead(content: ReportContent) -> Html:
    panel, horizon = content.panel, len(content.future)
    span = periods(panel.frequency, horizon)
    total = float(content.mean.sum(dtype=np.float64))
    low, high = np.quantile(content.paths.sum(axis=(0, 2), dtype=np.float64), [0.1, 0.9])
    spread = f"between {about(low)} and {about(high)}"
    tiles = [Fact("Expected sales", about(total), f"units in {span}; {spread} in 8 of 10 futures")]
    before = float(panel.values[:, -horizon:].sum(dtype=np.float64))
    if len(panel.dates) >= horizon and before > 0:
        change = percent(total / before - 1, signed=True)
        tiles.append(Fact("Change", change, f"against {about(before)} in the {span} before"))
    units = element("strong", f"{about(total)} units")
    opening = f"; in 8 of 10 simulated futures it is {spread}."
    sentences: list[object] = [page.join([f"Over the next {span} expect to sell about ", units, opening], "")]
    if content.plan is not None:
        sentences.append(report_plan.headline(content.plan))
        tiles.append(report_plan.tile(content.plan))
    if content.backtest is not None:
        sentences.append(report_backtest.headline(content.backtest))
        tiles.append(report_backtest.tile(content.backtest))
    return page.join([element("p", page.join(sentences), class_="lead"), page.facts(tiles)])


def _recent(content: ReportContent) -> slice:
    """The part of the history that the pictures show."""
    shown = max(4 * len(content.future), 2 * content.panel.frequency.season)
    return slice(max(len(content.panel.dates) - shown, 0), None)


def _total(content: ReportContent) -> Html:
    panel, recent = content.panel, _recent(content)
    picture = plots.fan(
        panel.dates[recent],
        panel.values[:, recent].sum(axis=0, dtype=np.float64),
        content.future,
        content.levels,
        np.quantile(content.paths.sum(axis=0, dtype=np.float64), content.levels, axis=0).T,
        content.mean.sum(axis=0, dtype=np.float64),
        size=(10, 3.4),
        legend=True,
        nonnegative=panel.nonnegative,
    )
    caption = f"Units per {period_name(panel.frequency)}, all items added up."
    alt = f"Line of past total sales and the forecast to {day(content.future[-1])} with its range"
    return page.figure(picture, alt, caption, wide=True)


def _items(content: ReportContent) -> Html:
    panel = content.panel
    order = np.argsort(-content.mean.sum(axis=1), kind="stable")
    chosen = order[:PICTURES]
    cards = page.grid((_card(content, int(item)) for item in chosen), "cards" if content.plan else "grid")
    which = "All of them" if len(chosen) == len(order) else f"The {len(chosen)} that will sell most"
    intro = (
        f"{which}: what was sold (gray), the forecast (blue line) and the range around it. The darker the "
        "blue, the more likely."
    )
    if content.plan is not None:
        intro += (
            " Beside it, how much may be sold until the next order arrives: the order fills stock up to "
            "the orange line, and only the orange futures would need more. The dashed line is the expected "
            "demand, the triangle what you have and have on order."
        )
    span = periods(panel.frequency, len(content.future))
    columns = ["Item", f"Last {span}", f"Next {span}", "8 in 10 between", "and", "Change"]
    shown = order[:MOST_ROWS]
    table = page.table(columns, (_row(content, int(item)) for item in shown))
    summary = (
        f"Table of {plural(len(order), 'item')}"
        if len(shown) == len(order)
        else f"Table of the first {MOST_ROWS:,}"
    )
    return page.join([paragraph(intro), cards, page.details(summary, table)])


def _row(content: ReportContent, item: int) -> list[object]:
    before = float(content.panel.values[item, -len(content.future) :].sum(dtype=np.float64))
    total = float(content.mean[item].sum(dtype=np.float64))
    low, high = np.quantile(content.paths[item].sum(axis=1, dtype=np.float64), [0.1, 0.9])
    change = percent(total / before - 1, signed=True) if before > 0 else "–"
    return [content.panel.ids[item], number(before), number(total), number(low), number(high), change]


def _card(content: ReportContent, item: int) -> Html:
    panel, recent = content.panel, _recent(content)
    start = max(recent.start, min(int(panel.first[item]), len(panel.dates) - 1))
    name, _, total, low, high, change = _row(content, item)
    span = periods(panel.frequency, len(content.future))
    line = f"{total} in the next {span} ({low} to {high}), {change} against the {span} before"
    picture = plots.fan(
        panel.dates[start:],
        panel.values[item, start:],
        content.future,
        content.levels,
        content.quantiles[item],
        content.mean[item],
        nonnegative=panel.nonnegative,
    )
    blocks = [page.figure(picture, f"Past sales and forecast of {name}")]
    if content.plan is not None:
        row = report_plan.row(content.plan, item)
        terms = content.plan.items[item]
        samples = item_demand(content.paths[item], terms, terms.review, whole=panel.whole)
        picture = plots.demand(
            samples,
            row["order_up_to"],
            expected=row["expected_demand"],
            available=row["on_hand"] + row["on_order"],
            whole=panel.whole,
        )
        blocks.append(
            page.figure(
                picture, f"Demand for {name} until the next order arrives, and the level filled up to"
            )
        )
        line += f". {report_plan.item_line(row)}"
    body = page.grid(blocks, "pair") if content.plan is not None else blocks[0]
    return element(
        "div", page.join([element("h3", name), element("p", line, class_="quiet"), body]), class_="card"
    )


def _data(content: ReportContent) -> Html:
    panel = content.panel
    sold = number(float(panel.values.sum(dtype=np.float64)))
    late = int((panel.first > 0).sum())
    lines = [
        f"{plural(len(panel.ids), 'item')}, {periods(panel.frequency, len(panel.dates))} from "
        f"{day(panel.dates[0])} to {day(panel.dates[-1])}, {sold} units in all.",
    ]
    if late:
        lines.append(
            f"{plural(late, 'item')} started after the first date; before its start an item has no sales."
        )
    return page.notes([*lines, *panel.notes, *content.notes])


def _again(content: ReportContent) -> Html:
    blocks: list[Html] = []
    if content.command:
        blocks.append(element("pre", content.command))
    if content.facts:
        blocks.append(page.pairs(content.facts.items()))
    return page.join(blocks)
