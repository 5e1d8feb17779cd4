"""What `recurra forecast` hands over: forecast, plan and backtest as files, a report, and a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from recurra.errors import InputError, UsageError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.columns import item_column
from recurra.forecasting.data import Panel
from recurra.forecasting.forecast import QUANTILES, Forecast
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.report import ReportContent, write_report
from recurra.forecasting.stock import StockPlan, check_plan, default_review, paths_needed
from recurra.sources.table import write_table

__all__ = ["Delivery", "StockTerms", "deliver", "stock_terms"]

REPORT_PATHS = 500
MOST_NUMBERS = 200_000_000  # in the report's paths; with very many items each gets fewer


@dataclass(frozen=True)
class StockTerms:
    """What an order plan is asked for: `Forecaster.plan_stock`'s arguments."""

    lead_time: int
    review: int
    service_level: float
    on_hand: Any
    on_order: Any


def stock_terms(
    forecaster: Forecaster,
    panel: Panel,
    *,
    lead_time: int | None,
    review: int | None,
    service_level: float,
    on_hand: pl.DataFrame | None,
) -> StockTerms | None:
    """Check what a plan is asked for before any training; None without a lead time: no plan.

    Raises UsageError where something does not fit, or is given without a lead time; InputError for a stock file
    without the columns it needs.
    """
    if lead_time is None:
        if review is not None or on_hand is not None:
            raise UsageError("an order plan needs a lead time", hint="Add --lead-time.")
        return None
    review = default_review(panel.frequency) if review is None else review
    check_plan(
        lead_time,
        review,
        service_level,
        horizon=forecaster.horizon,
        samples=paths_needed(service_level),
    )
    if on_hand is None:
        return StockTerms(lead_time, review, service_level, 0, None)
    name = "unique_id" if "unique_id" in on_hand.columns else item_column(on_hand.columns)
    if name is None or "on_hand" not in on_hand.columns:
        missing = "on_hand" if name else "item"
        raise InputError(
            f"the stock file has no column {missing}",
            value=", ".join(on_hand.columns),
            hint="Give it an item column and on_hand, and on_order where orders are under way.",
        )
    return StockTerms(lead_time, review, service_level, on_hand.rename({name: "unique_id"}), None)


@dataclass(frozen=True)
class Delivery:
    """What was made: frames (Polars), the files written, and notes beside those of the data."""

    panel: Panel
    forecast: Forecast
    table: pl.DataFrame
    plan: StockPlan | None
    backtest: Backtest | None
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    training: Mapping[str, object]

    def summary(self, rows: int) -> list[list[object]]:
        """The `rows` items of which most is expected: sold of late, expected, a range, and the order."""
        horizon = len(self.forecast.dates)
        expected = self.forecast.quantiles.mean().sum(1)
        outer = self.forecast.at((0.1, 0.9)).sum(1)
        recent = self.panel.values[:, -horizon:].sum(1, dtype=np.float64)
        orders = [] if self.plan is None else nw.from_native(self.plan.frame)["order_quantity"].to_list()
        lines: list[list[object]] = []
        for place in np.argsort(-expected, kind="stable")[:rows]:
            amounts = [recent[place], expected[place], outer[place, 0], outer[place, 1]]
            order = [] if self.plan is None else [round(orders[place])]
            lines.append([self.forecast.ids[place], *(round(float(a)) for a in amounts), *order])
        if len(expected) > rows:
            rest: list[object] = [f"… {len(expected) - rows:,} more"]
            lines.append([*rest, *[""] * (len(lines[0]) - 1)])
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        plan = None if self.plan is None else nw.from_native(self.plan.frame).rows(named=True)
        return {
            "notes": [*self.panel.notes, *self.notes],
            "training": dict(self.training),
            "forecast": [row | {"ds": row["ds"].isoformat()} for row in self.table.iter_rows(named=True)],
            "plan": None if plan is None else [dict(row) for row in plan],
            "backtest": None if self.backtest is None else self.backtest.as_dict(),
            "files": [str(path) for path in self.files],
        }


def deliver(
    forecaster: Forecaster,
    panel: Panel,
    out: Path | None,
    *,
    terms: StockTerms | None,
    trained: bool,
    check: bool,
    max_seconds: float | None,
    command: str,
) -> Delivery:
    """Forecast `panel`, plan, backtest where `check` and the history is long enough, and write files into `out`.

    `trained`: the forecaster was fitted on this very panel. Every file is written whole or not at all.

    Raises InputError where `out` cannot be written.
    """
    if out is not None:
        _make_folder(out)
    forecast = forecaster.forecast(None if trained else panel)
    table = forecast.table()
    plan = None if terms is None else forecast.plan(**vars(terms))
    notes = list(plan.notes) if plan is not None else []
    result = None
    if check:
        if len(panel.dates) > 2 * forecaster.horizon:
            result = backtest(forecaster, panel, max_seconds=max_seconds)
        else:
            notes.append("The history is too short for a backtest: it needs more than two horizons.")
    files: list[Path] = []
    if out is not None:
        for name in ("forecast.csv", "forecast.parquet"):
            write_table(table, out / name)
            files.append(out / name)
        if plan is not None:
            plan.write(out / "plan.csv")
            files.append(out / "plan.csv")
        numbers = len(forecast.ids) * len(forecast.dates)
        paths = forecast.draw(max(50, min(REPORT_PATHS, MOST_NUMBERS // numbers)))
        content = ReportContent(
            panel=panel.select(forecast.ids),
            future=forecast.dates,
            levels=QUANTILES,
            quantiles=forecast.at(QUANTILES),
            mean=forecast.quantiles.mean(),
            paths=paths,
            joint=True,
            plan=plan,
            backtest=result,
            facts=forecaster.training_facts(),
            command=command,
            notes=() if plan is None else plan.notes,
        )
        write_report(out / "report.html", content)
        files.append(out / "report.html")
    facts = forecaster.training_facts()
    return Delivery(panel, forecast, table, plan, result, tuple(files), tuple(notes), facts)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Choose another folder with --out."
        raise InputError(f"the folder cannot be made: {error.strerror}", file=out, hint=hint) from error
