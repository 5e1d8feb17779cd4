"""What `recurra forecast` hands over: forecast, plan and backtest as files, a report, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import polars.selectors
from numpy.typing import NDArray

from recurra.artifact import check_replaceable
from recurra.errors import UsageError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.forecast import QUANTILES, Forecast
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.production import ProductionPlan, check_solver, plan_production
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.spreads import check_past, plan_spreads
from recurra.forecasting.stock.files import read_capacity, read_stock
from recurra.forecasting.stock.plan import StockPlan, check_plan, default_review
from recurra.forecasting.stock.terms import StockTerms, item_terms
from recurra.sources import files as folders
from recurra.sources.table import write_frames, write_table

if TYPE_CHECKING:
    from recurra.forecasting.report import ReportContent

__all__ = [
    "Delivery",
    "check_production",
    "check_terms",
    "deliver",
    "expected",
    "plain_facts",
    "prepare_folder",
    "prepare_model_folder",
    "write_forecast",
]

REPORT_PATHS = 500
CSV_DECIMALS = 4  # Parquet keeps all
MOST_NUMBERS = 100_000_000  # in the report's paths; with very many items each gets fewer


def check_terms(
    forecaster: Forecaster,
    panel: Panel,
    on_hand: Path | None,
    *,
    calibrate: bool = False,
    say: Callable[[str], object],
    **asked: Any,
) -> StockTerms:
    """Check what a plan is asked for, the file of the stock on hand included, before any training.

    Raises UsageError where something does not fit, InputError for a stock file that cannot be used.
    """
    terms = StockTerms(**asked)
    if terms.review is None:
        terms = replace(terms, review=default_review(panel.frequency, terms.policy))
    terms.check()
    if on_hand is not None:
        stock = read_stock(on_hand, panel.ids, say=say, policy=terms.policy, whole=panel.whole)
        terms = replace(terms, on_hand=stock)
    items = item_terms(terms, panel.ids, review=int(terms.review or 0), whole=panel.whole)
    check_plan(items, terms, panel.ids, horizon=forecaster.horizon)
    if calibrate:
        check_past(len(panel.dates), items)
    return terms


def check_production(
    forecaster: Forecaster,
    panel: Panel,
    on_hand: Path | None,
    *,
    capacity: str,
    say: Callable[[str], object],
    **asked: Any,
) -> dict[str, Any]:
    """Read what a production plan is asked for, before any training: arguments of `plan_production`.

    `capacity` is a number or the name of a file. Raises UsageError and InputError for what cannot be used.
    """
    check_solver()
    ahead = panel.frequency.dates(panel.dates[-1], forecaster.horizon + 1)[1:]
    asked["capacity"] = read_capacity(capacity, ahead, say=say)
    if on_hand is not None:
        asked["on_hand"] = read_stock(on_hand, panel.ids, say=say, whole=panel.whole)
    return asked


@dataclass(frozen=True)
class Delivery:
    """What was made: frames (Polars) and the files written; `interrupted`: Ctrl-C ended the backtest."""

    panel: Panel
    forecast: Forecast
    table: pl.DataFrame
    plan: StockPlan | None
    production: ProductionPlan | None
    backtest: Backtest | None
    files: tuple[Path, ...]
    training: Mapping[str, object]
    interrupted: bool

    def summary(self, rows: int) -> list[list[object]]:
        """The `rows` items of which most is expected: sold of late, expected, 10% and 90%, and the order.

        The range is that of the sum over the horizon, along joint paths: the quantile of a sum is not the sum of
        the quantiles.
        """
        recent = self.panel.values[:, -len(self.forecast.dates) :].sum(1, dtype=np.float64)
        order = []
        if self.plan is not None:
            order = [nw.from_native(self.plan.frame)["order_quantity"].to_numpy()]
        return expected(self.forecast, rows, [recent], order)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        plan = None if self.plan is None else nw.from_native(self.plan.frame).rows(named=True)
        return {
            "training": dict(self.training),
            "forecast": [row | {"ds": row["ds"].isoformat()} for row in self.table.iter_rows(named=True)],
            "plan": None if plan is None else [dict(row) for row in plan],
            "production": None if self.production is None else self.production.as_dict(),
            "backtest": None if self.backtest is None else self.backtest.as_dict(),
            "files": [str(path) for path in self.files],
        }


def deliver(
    forecaster: Forecaster,
    panel: Panel,
    out: Path | None,
    *,
    terms: StockTerms | None,
    production: Mapping[str, Any] | None = None,
    calibrate: bool = False,
    trained: bool,
    check: bool,
    max_seconds: float | None,
    command: str,
    say: Callable[[str], object],
    paths: int | None = None,
) -> Delivery:
    """Forecast `panel`, plan, backtest where `check` and the history is long enough, and write files into `out`.

    `trained`: the forecaster was fitted on this very panel. `out` exists (`prepare_folder`), and every file in it
    is written whole or not at all. `say` is told what was decided. Ctrl-C ends a backtest, which is left out. So many
    joint `paths` of every item are written, too, a part of the items after another.
    """
    forecast = forecaster.forecast(None if trained else panel)
    if not trained:
        _say_unknown(forecaster, panel, say)
    table = forecast.table()
    spreads = None
    if terms is not None and calibrate:
        say("Forecasting past dates, to see how widely each item's demand spread around its forecast.")
        spreads = plan_spreads(forecaster.forecast, panel, terms, forecaster.horizon)
    plan = None if terms is None else forecast.plan(spreads=spreads, **vars(terms))
    for note in () if plan is None else plan.notes:
        say(note)
    made = None if production is None else plan_production(forecast, **production)
    result, interrupted = None, False
    if check and len(panel.dates) <= 2 * forecaster.horizon:
        say("The history is too short for a backtest: it needs more than two horizons.")
    elif check:
        say(
            f"Training once more, without the last {forecaster.horizon} periods, to test the forecast on them."
        )
        try:
            replayed = {} if terms is None else _replayed(terms, panel, forecaster.horizon, calibrate, say)
            result = backtest(forecaster, panel, max_seconds=max_seconds, **replayed)
        except KeyboardInterrupt:
            interrupted = True
            say("The backtest was interrupted and is left out.")
    facts = forecaster.training_facts()
    files: list[Path] = []
    if out is not None:
        from recurra.forecasting.report import ReportContent

        numbers = len(forecast.ids) * len(forecast.dates)
        content = ReportContent(
            panel=panel.select(forecast.ids),
            future=forecast.dates,
            levels=QUANTILES,
            quantiles=forecast.at(QUANTILES),
            mean=forecast.quantiles.mean(),
            paths=forecast.draw(max(50, min(REPORT_PATHS, MOST_NUMBERS // numbers))),
            plan=plan,
            production=made,
            backtest=result,
            facts=facts,
            command=command,
            notes=() if plan is None else plan.notes,
        )
        files = _write(out, table, content)
        if paths is not None:
            files.append(out / "paths.parquet")
            write_frames(forecast.paths_tables(paths), files[-1])
    facts = plain_facts(forecaster)
    return Delivery(panel, forecast, table, plan, made, result, tuple(files), facts, interrupted)


def _replayed(
    terms: StockTerms, panel: Panel, horizon: int, calibrate: bool, say: Callable[[str], object]
) -> dict[str, Any]:
    """What of a plan's terms a backtest can use: the costs, and all that is replayed where one horizon is enough."""
    review = terms.review or default_review(panel.frequency)
    items = item_terms(terms, panel.ids, review=review, whole=panel.whole)
    found: dict[str, Any] = {}
    if all(item.holding_cost and item.shortage_cost for item in items):
        found = {name: getattr(terms, name) for name in ("holding_cost", "shortage_cost", "on_hand")}
    if terms.policy != "periodic":
        say("Plans with a reorder point are not replayed.")
        return found
    if max(item.longest for item in items) + max(item.review for item in items) > horizon:
        say(
            f"{horizon} periods are too short to replay the order plan; `recurra backtest` goes back further."
        )
        return found
    if calibrate:
        try:
            check_past(len(panel.dates) - horizon, items)
        except UsageError:
            say("The replay is not calibrated: without the last horizon the history is too short for it.")
            calibrate = False
    found |= {"review": review, "calibrate": calibrate}
    names = ("lead_time", "lead_time_sd", "service_level", "target", "pack_size", "minimum", "on_hand")
    return found | {name: getattr(terms, name) for name in names}


def expected(
    forecast: Forecast,
    rows: int,
    before: Sequence[NDArray[np.float64]] = (),
    behind: Sequence[NDArray[np.float64]] = (),
) -> list[list[object]]:
    """The `rows` items of which most is expected over the horizon: its mean, 10% and 90% of the sum along joint paths.

    Numbers of all items (N,) may stand `before` these, and others `behind`.
    """
    means = forecast.quantiles.mean().sum(1)
    shown = np.argsort(-means, kind="stable")[:rows]
    totals = _part(forecast, shown).draw(REPORT_PATHS).sum(2, dtype=np.float64)
    low, high = np.quantile(totals, (0.1, 0.9), axis=1)
    columns = [*(each[shown] for each in before), means[shown], low, high, *(each[shown] for each in behind)]
    lines: list[list[object]] = [
        [forecast.ids[place], *(round(float(x)) if forecast.whole else float(x) for x in amounts)]
        for place, *amounts in zip(shown, *columns, strict=True)
    ]
    if len(means) > rows:
        lines.append([f"… {len(means) - rows:,} more", *[""] * len(columns)])
    return lines


def prepare_folder(folder: Path) -> None:
    """Make the folder of a delivery unless it exists, and see that its report can be drawn.

    Raises InputError where it cannot be made or written to, MissingExtraError without what draws.
    """
    # Matplotlib takes a second to load, and without a report nothing needs it.
    from recurra.forecasting import report  # noqa: F401

    folders.prepare_folder(folder)


def plain_facts(forecaster: Forecaster) -> dict[str, object]:
    """How the model was made, for `--json`: `training_facts` with names that programs like, as in held_out_loss."""
    facts = forecaster.training_facts().items()
    return {name.replace(" ", "_").replace("-", "_"): fact for name, fact in facts}


def prepare_model_folder(folder: Path) -> None:
    """Find out before the training whether a model can be saved there; raises as `Forecaster.save` does."""
    target = folder.resolve()
    check_replaceable(target)
    folders.prepare_folder(target.parent)


def _write(out: Path, table: pl.DataFrame, content: ReportContent) -> list[Path]:
    files = write_forecast(out, table)
    if content.plan is not None:
        files.append(out / "plan.csv")
        write_table(_rounded(content.plan.frame), files[-1])
    if content.production is not None:
        files.append(out / "plan_production.csv")
        write_table(_rounded(content.production.frame), files[-1])
    files.append(out / "report.html")
    from recurra.forecasting.report import write_report

    write_report(files[-1], content)
    return files


def write_forecast(out: Path, table: pl.DataFrame) -> list[Path]:
    """Write a forecast as forecast.csv and forecast.parquet into a folder, each whole or not at all."""
    files = [out / "forecast.csv", out / "forecast.parquet"]
    write_table(_rounded(table), files[0])
    write_table(table, files[1])
    return files


def _rounded(table: pl.DataFrame) -> pl.DataFrame:
    # Adding 0 makes zeros of the negative ones that rounding leaves.
    return table.with_columns(pl.selectors.float().round(CSV_DECIMALS) + 0.0)


def _part(forecast: Forecast, places: NDArray[np.int64]) -> Forecast:
    quantiles = replace(forecast.quantiles, values=forecast.quantiles.values[places])
    return replace(forecast, ids=tuple(forecast.ids[place] for place in places), quantiles=quantiles)


def _say_unknown(forecaster: Forecaster, panel: Panel, say: Callable[[str], object]) -> None:
    unknown = sorted(set(panel.ids) - set(forecaster.items_))
    if unknown:
        some = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        count = "1 item" if len(unknown) == 1 else f"{len(unknown):,} items"
        say(f"{count} that the model was not trained on ({some}): forecast from their own history alone.")
    for note in forecaster.inputs_.notes(panel):
        say(note)
