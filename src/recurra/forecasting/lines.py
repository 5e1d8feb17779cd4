"""Sales lines: from a table of any library to item, moment and quantity, every value checked."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

from recurra.errors import InputError, UsageError
from recurra.forecasting.columns import Columns, find_columns
from recurra.forecasting.dates import EARLIEST, LATEST, parse_dates

__all__ = ["Source", "sales_lines"]

BIGGEST = 1e15  # quantity
_TICKS = {"D": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}  # in a day
_DAYS = tuple(datetime.date(*day).toordinal() - 719_163 for day in ((EARLIEST, 1, 1), (LATEST, 12, 31)))


@dataclass(frozen=True)
class Source:
    """Where a table comes from, for errors: its file, and how many rows there stand above the data."""

    file: object = None
    header_rows: int = 0


def sales_lines(
    frame: Any, columns: Mapping[str, str] | None, date_format: str | None, source: Source
) -> tuple[pl.DataFrame, Columns, list[str]]:
    """Return the lines of `frame`, the columns they were read from, and what was decided, in sentences.

    The lines have the columns row (Int64), unique_id (String), ds (Datetime[us], local time), y (Float64),
    and invoice and customer (String) where the table has them. Rows without any value are left out.

    Raises
    ------
    InputError: an empty or impossible value (with its row), columns that cannot be found.
    UsageError: `frame` is no table.
    """
    table = frame if isinstance(frame, pl.DataFrame) else _narwhals(frame)
    found = find_columns(list(table.columns), columns, file=source.file)
    roles = {role: name for role, name in vars(found).items() if name is not None}
    picked = pl.DataFrame([_series(table[name]).alias(role) for role, name in roles.items()])
    numbered = picked.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row") + 1 + source.header_rows, pl.all()
    )
    kept = numbered.filter(~pl.all_horizontal(pl.col(role).is_null() for role in roles))
    if kept.height == 0:
        raise InputError("there are no rows of data", file=source.file)
    checks = _Checks(kept, source)
    moments, notes = checks.moments(found.ds, date_format)
    others = [_text(kept[role]) for role in ("invoice", "customer") if role in roles]
    lines = kept.select("row", checks.ids(found.unique_id), moments, checks.quantities(found.y), *others)
    blank = numbered.height - kept.height
    notes = [found.sentence, *notes, *([f"Empty rows: {blank:,}, left out."] if blank else [])]
    return lines, found, notes


@dataclass(frozen=True)
class _Checks:
    """Reads the columns of `table`, named by their roles; refuses the first value that is impossible."""

    table: pl.DataFrame
    source: Source

    def ids(self, column: str | None) -> pl.Series:
        if column is None:
            return pl.repeat("all", self.table.height, eager=True).alias("unique_id")
        ids = _text(self.table["unique_id"])
        self.refuse(ids.is_null(), "unique_id", column, "the item is empty", "Name it, or delete the row.")
        return ids

    def quantities(self, column: str) -> pl.Series:
        given = self.table["y"]
        if not (given.dtype.is_numeric() or given.dtype in (pl.String, pl.Boolean, pl.Null)):
            raise InputError(
                f"the quantity holds {given.dtype}, not numbers",
                file=self.source.file,
                column=column,
                hint="Say which column is the quantity with --quantity NAME (columns={'y': …} in Python).",
            )
        hint = "Write numbers with digits and a decimal point."
        if given.dtype == pl.String:
            given = _text(given)
            if given.str.contains(r"^[+-]?\d[\d.]*,\d+").any():
                hint = "Write numbers with a decimal point, and without a comma for decimals or thousands."
        empty = "Write 0 if nothing was sold, or delete the row."
        self.refuse(given.is_null(), "y", column, "the quantity is empty", empty)
        numbers = given.cast(pl.Float64, strict=False)
        self.refuse(numbers.is_null(), "y", column, "the quantity is not a number", hint)
        wrong = "Correct it, or delete the row."
        self.refuse(~numbers.is_finite(), "y", column, "the quantity is not a finite number", wrong)
        self.refuse(numbers.abs() > BIGGEST, "y", column, f"the quantity is beyond {BIGGEST:g}", wrong)
        return numbers.alias("y")

    def moments(self, column: str, date_format: str | None) -> tuple[pl.Series, list[str]]:
        given, notes = self.table["ds"], list[str]()
        empty = "Give it, or delete the row."
        if isinstance(given.dtype, (pl.Date, pl.Datetime)):
            days = given.to_physical() // _TICKS[getattr(given.dtype, "time_unit", "D")]
            far = ~days.is_between(_DAYS[0], _DAYS[1])
            self.refuse(far, "row", column, f"the year is not between {EARLIEST} and {LATEST}", empty)
        if given.dtype == pl.Date:
            moments = given.cast(pl.Datetime("us"))
        elif isinstance(given.dtype, pl.Datetime):
            if given.dtype.time_zone is not None:
                notes.append(f"Times in {column} are taken as the local ones of {given.dtype.time_zone}.")
            moments = given.dt.replace_time_zone(None).dt.cast_time_unit("us")
        elif given.dtype.is_numeric() or given.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
            text = _text(given)
            self.refuse(text.is_null(), "ds", column, "the date is empty", empty)
            moments, notes = parse_dates(
                text, self.table["row"], date_format=date_format, file=self.source.file, column=column
            )
        else:
            raise InputError(
                f"the date holds {given.dtype}, not dates",
                file=self.source.file,
                column=column,
                hint="Say which column is the date with --date NAME (columns={'ds': …} in Python).",
            )
        self.refuse(moments.is_null(), "ds", column, "the date is empty", empty)
        return moments.alias("ds"), notes

    def refuse(self, bad: pl.Series, role: str, column: str, what: str, hint: str) -> None:
        if not bad.any():
            return
        place = self.table.filter(bad).select("row", value=None if role == "row" else role).row(0, named=True)
        raise InputError(what, file=self.source.file, column=column, hint=hint, **place)


def _narwhals(frame: Any) -> nw.DataFrame[Any]:
    if isinstance(frame, pl.LazyFrame):
        return nw.from_native(frame.collect(), eager_only=True)
    if hasattr(frame, "reset_index") and hasattr(frame, "set_axis"):  # pandas and its kin
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    names = list(getattr(frame, "column_names", None) or getattr(frame, "columns", []))
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError("two columns have the same name", column=str(repeated[0]))
    try:
        wrapped = nw.from_native(frame)
    except TypeError as error:
        raise UsageError(
            "the data must be a pandas, Polars or PyArrow table", value=type(frame).__name__
        ) from error
    return wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped


def _series(column: pl.Series | nw.Series[Any]) -> pl.Series:
    """Return a column of any library as Polars; a pandas column of mixed Python objects becomes text."""
    if isinstance(column, pl.Series):
        return column
    if column.dtype != nw.Object:
        try:
            return column.to_polars()
        except ImportError:  # pandas without PyArrow
            if column.dtype == nw.Datetime:
                return pl.Series(column.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]"))
            if column.dtype.is_numeric():
                return pl.Series(column.to_numpy())
    pairs = zip(column.to_list(), column.is_null().to_list(), strict=True)
    return pl.Series([None if null else str(value) for value, null in pairs], dtype=pl.String)


def _text(column: pl.Series) -> pl.Series:
    """Return a column as text without blanks around it: empty text is null, 5.0 is "5"."""
    name = column.name
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        column = whole if (column == whole).all() else column
    text = column.cast(pl.String).str.strip_chars().to_frame()
    return text.select(pl.when(pl.col(name) != "").then(name))[name]
