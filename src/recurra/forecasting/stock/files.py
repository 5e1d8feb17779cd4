"""What a shop keeps about its items in files: stock, settings, capacity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.columns import item_column
from recurra.forecasting.sales.dates import parse_dates
from recurra.forecasting.stock.inventory import read_inventory
from recurra.forecasting.stock.terms import PRODUCTION, SETTINGS, fault
from recurra.sources.table import header_rows, read_table

__all__ = ["read_capacity", "read_stock"]


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
    arrives = [name for name in ("arrives",) if name in table.columns]
    settings = [name for name in (*SETTINGS, *PRODUCTION) if name in table.columns]
    named = table.select(
        pl.col(item).cast(pl.String).str.strip_chars().alias("unique_id"), *amounts, *settings, *arrives
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
    if arrives and rows["arrives"].dtype == pl.String:
        text = rows["arrives"].str.strip_chars().replace("", None)
        dated = text.is_not_null()
        dates, notes = parse_dates(
            text.filter(dated), rows["row"].filter(dated), date_format=None, file=path, column="arrives"
        )
        for note in notes:
            say(note)
        places = rows.select("row").filter(dated).with_columns(dates.alias("arrives"))
        rows = rows.drop("arrives").join(places, on="row", how="left")
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


def read_capacity(
    given: str, dates: NDArray[np.datetime64], *, say: Callable[[str], object]
) -> float | NDArray[np.float64]:
    """Read a capacity: a number, or a file with the columns date (or ds) and capacity for each of `dates` (H,).

    Raises UsageError for a negative number, InputError for a file that cannot be used or lacks a date.
    """
    try:
        number = float(given)
    except ValueError:
        return _capacities(Path(given), dates, say)
    if not 0 <= number < np.inf:
        raise UsageError("capacity does not fit", value=given, hint="Give a number of 0 or more, or a file.")
    return number


def _capacities(
    path: Path, dates: NDArray[np.datetime64], say: Callable[[str], object]
) -> NDArray[np.float64]:
    table = read_table(path, say=say)
    column = "ds" if "ds" in table.columns else "date"
    if column not in table.columns or "capacity" not in table.columns:
        hint = "Give it the columns date and capacity, a row for each period ahead."
        found = ", ".join(table.columns)
        raise InputError("the file of the capacity lacks a column", file=path, value=found, hint=hint)
    rows = table.select(pl.col(column).alias("ds"), "capacity").with_row_index("row", 1 + header_rows(path))
    rows = rows.filter(~pl.all_horizontal(pl.col("ds", "capacity").is_null()))
    _refuse(rows, rows["ds"].is_null(), path, "ds", column, "the date is empty")
    amounts = rows["capacity"].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    bad = ~(amounts.is_finite() & (amounts >= 0)).fill_null(False)
    _refuse(rows, bad, path, "capacity", "capacity", "this is no capacity")
    days = rows["ds"]
    if days.dtype == pl.String:
        days, _ = parse_dates(days, rows["row"], date_format=None, file=path, column=column)
    known = dict(zip(days.cast(pl.Datetime("us")).to_numpy().astype("datetime64[s]"), amounts, strict=True))
    missing = [date for date in dates.astype("datetime64[s]") if date not in known]
    if missing:
        raise InputError(
            f"the capacity of {len(missing)} of {len(dates)} periods is not there, the first on "
            f"{np.datetime_as_string(missing[0], 'D')}",
            file=path,
            hint="Give a row for each period of the forecast; 0 where nothing is produced.",
        )
    return np.array([known[date] for date in dates.astype("datetime64[s]")])
