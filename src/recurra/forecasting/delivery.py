"""What `recurra forecast` hands over: forecast, plan and backtest as files, a report, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import polars.selectors
from numpy.typing import NDArray

from recurra.artifact import check_replaceable
from recurra.errors import InputError
from recurra.forecasting.backtest import Backtest, backtest
from recurra.forecasting.columns import item_column
from recurra.forecasting.data import Panel
from recurra.forecasting.forecast import QUANTILES, Forecast
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.inventory import read_inventory
from recurra.forecasting.report import ReportContent, write_report
from recurra.forecasting.stock import StockPlan, check_plan, default_review
from recurra.forecasting.terms import SETTINGS, StockTerms, fault, item_terms
from recurra.sources.files import prepare_folder
from recurra.sources.table import header_rows, read_table, write_table

__all__ = [
    "Delivery",
    "check_terms",
    "deliver",
    "plain_facts",
    "prepare_folder",
    "prepare_model_folder",
    "read_stock",
]

REPORT_PATHS = 500
CSV_DECIMALS = 4  # Parquet keeps all
MOST_NUMBERS = 200_000_000  # in the report's paths; with very many items each gets fewer


def check_terms(
    forecaster: Forecaster,
    panel: Panel,
    on_hand: Path | None,
    *,
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
    return terms


def read_stock(
    path: Path,
    ids: Sequence[str],
    *,
    say: Callable[[str], object],
    policy: str = "periodic",
    whole: bool = False,
) -> pl.DataFrame:
    """Read the stock of the items `ids`: unique_id, on_hand, and what the file has of on_order and the settings.

    Raises InputError naming file, row, column and value where it cannot be used.
    """
    table = read_table(path, say=say)
    item = "unique_id" if "unique_id" in table.columns else item_column(table.columns, file=path)
    if item is None or "on_hand" not in table.columns:
        raise InputError(
            f"the stock file has no column {'on_hand' if item else 'for the item'}",
            file=path,
            value=", ".join(table.columns),
            hint="Give it an item column and on_hand, and on_order where orders are under way.",
        )
    amounts = [name for name in ("on_hand", "on_order") if name in table.columns]
    settings = [name for name in SETTINGS if name in table.columns]
    named = table.select(
        pl.col(item).cast(pl.String).str.strip_chars().alias("unique_id"), *amounts, *settings
    )
    rows = named.with_row_index("row", 1 + header_rows(path))
    rows = rows.filter(~pl.all_horizontal(pl.col("unique_id", *amounts).is_null()))
    _refuse(rows, rows["unique_id"].is_null(), path, "unique_id", item, "the item is empty")
    for name in amounts:
        text = rows[name].str.strip_chars() if rows[name].dtype == pl.String else rows[name]
        number = text.cast(pl.Float64, strict=False)
        _refuse(rows, ~number.is_finite().fill_null(False), path, name, name, "this is no number of units")
        rows = rows.with_columns(number.alias(name))
    for setting in settings:
        rows = _read_setting(rows, setting, path, policy, whole)
    stock = rows.drop("row")
    try:
        read_inventory(stock, None, ids)
    except InputError as error:
        raise InputError(error.what, file=path, value=error.value, hint=error.hint) from error
    return stock


def _read_setting(rows: pl.DataFrame, name: str, file: Path, policy: str, whole: bool) -> pl.DataFrame:
    """Read the column of a setting as numbers; where a cell is empty, what holds for all items does."""
    text = rows[name].cast(pl.String).str.strip_chars().replace("", None)
    number = text.cast(pl.Float64, strict=False)
    for row, found, value in zip(rows["row"], text, number, strict=True):
        if found is not None and (hint := fault(name, value, policy, whole=whole)):
            raise InputError(f"{name} does not fit", file=file, row=row, column=name, value=found, hint=hint)
    return rows.with_columns(number.alias(name))


def _refuse(rows: pl.DataFrame, bad: pl.Series, file: Path, name: str, column: str, what: str) -> None:
    if bad.any():
        row = rows.filter(bad).row(0, named=True)
        hint = "Name it, or delete the row." if name == "unique_id" else "Write 0 where there is nothing."
        raise InputError(what, file=file, row=row["row"], column=column, value=row[name], hint=hint)


@dataclass(frozen=True)
class Delivery:
    """What was made: frames (Polars) and the files written; `interrupted`: Ctrl-C ended the backtest."""

    panel: Panel
    forecast: Forecast
    table: pl.DataFrame
    plan: StockPlan | None
    backtest: Backtest | None
    files: tuple[Path, ...]
    training: Mapping[str, object]
    interrupted: bool

    def summary(self, rows: int) -> list[list[object]]:
        """The `rows` items of which most is expected: sold of late, expected, 10% and 90%, and the order.

        The range is that of the sum over the horizon, along joint paths: the quantile of a sum is not the sum of
        the quantiles.
        """
        horizon, whole = len(self.forecast.dates), self.forecast.whole
        expected = self.forecast.quantiles.mean().sum(1)
        shown = np.argsort(-expected, kind="stable")[:rows]
        totals = _part(self.forecast, shown).draw(REPORT_PATHS).sum(2, dtype=np.float64)
        low, high = np.quantile(totals, (0.1, 0.9), axis=1)
        recent = self.panel.values[shown, -horizon:].sum(1, dtype=np.float64)
        columns = [recent, expected[shown], low, high]
        if self.plan is not None:
            columns.append(nw.from_native(self.plan.frame)["order_quantity"].to_numpy()[shown])
        lines: list[list[object]] = [
            [self.forecast.ids[place], *(round(float(x)) if whole else float(x) for x in amounts)]
            for place, *amounts in zip(shown, *columns, strict=True)
        ]
        if len(expected) > rows:
            rest: list[object] = [f"… {len(expected) - rows:,} more"]
            lines.append([*rest, *[""] * len(columns)])
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        plan = None if self.plan is None else nw.from_native(self.plan.frame).rows(named=True)
        return {
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
    say: Callable[[str], object],
) -> Delivery:
    """Forecast `panel`, plan, backtest where `check` and the history is long enough, and write files into `out`.

    `trained`: the forecaster was fitted on this very panel. `out` exists (`prepare_folder`), and every file in it
    is written whole or not at all. `say` is told what was decided. Ctrl-C ends a backtest, which is left out.
    """
    forecast = forecaster.forecast(None if trained else panel)
    if not trained:
        _say_unknown(forecaster, panel, say)
    table = forecast.table()
    plan = None if terms is None else forecast.plan(**vars(terms))
    for note in () if plan is None else plan.notes:
        say(note)
    result, interrupted = None, False
    if check and len(panel.dates) <= 2 * forecaster.horizon:
        say("The history is too short for a backtest: it needs more than two horizons.")
    elif check:
        say(
            f"Training once more, without the last {forecaster.horizon} periods, to test the forecast on them."
        )
        try:
            result = backtest(forecaster, panel, max_seconds=max_seconds)
        except KeyboardInterrupt:
            interrupted = True
            say("The backtest was interrupted and is left out.")
    facts = forecaster.training_facts()
    files: list[Path] = []
    if out is not None:
        numbers = len(forecast.ids) * len(forecast.dates)
        content = ReportContent(
            panel=panel.select(forecast.ids),
            future=forecast.dates,
            levels=QUANTILES,
            quantiles=forecast.at(QUANTILES),
            mean=forecast.quantiles.mean(),
            paths=forecast.draw(max(50, min(REPORT_PATHS, MOST_NUMBERS // numbers))),
            plan=plan,
            backtest=result,
            facts=facts,
            command=command,
            notes=() if plan is None else plan.notes,
        )
        files = _write(out, table, plan, content)
    return Delivery(panel, forecast, table, plan, result, tuple(files), plain_facts(forecaster), interrupted)


def plain_facts(forecaster: Forecaster) -> dict[str, object]:
    """How the model was made, for `--json`: `training_facts` with names that programs like, as in held_out_loss."""
    facts = forecaster.training_facts().items()
    return {name.replace(" ", "_").replace("-", "_"): fact for name, fact in facts}


def prepare_model_folder(folder: Path) -> None:
    """Find out before the training whether a model can be saved there; raises as `Forecaster.save` does."""
    target = folder.resolve()
    check_replaceable(target)
    prepare_folder(target.parent)


def _write(out: Path, table: pl.DataFrame, plan: StockPlan | None, content: ReportContent) -> list[Path]:
    files = [out / "forecast.csv", out / "forecast.parquet"]
    write_table(_rounded(table), files[0])
    write_table(table, files[1])
    if plan is not None:
        files.append(out / "plan.csv")
        write_table(_rounded(plan.frame), files[-1])
    files.append(out / "report.html")
    write_report(files[-1], content)
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
