"""Sales lines: from a table of any library to item, moment and quantity, every value checked."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, TypeAlias

import narwhals as nw
import polars as pl

from recurra.errors import InputError, UsageError
from recurra.forecasting.columns import Columns, find_columns
from recurra.forecasting.dates import EARLIEST, LATEST, parse_dates
from recurra.forecasting.numbers import parse_numbers

__all__ = ["Cancellations", "Checks", "Gaps", "Negative", "Place", "Reading", "as_text", "sales_lines"]

Negative: TypeAlias = Literal["returns", "keep"]
Cancellations: TypeAlias = Literal["pair", "keep"]
Gaps: TypeAlias = Literal["zero", "missing"]

BIGGEST = 1e15  # quantity
_TICKS = {"D": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}  # in a day
_DAYS = tuple(datetime.date(*day).toordinal() - 719_163 for day in ((EARLIEST, 1, 1), (LATEST, 12, 31)))


@dataclass(frozen=True)
class Reading:
    """How a table of sales is read. What is None is found, and said.

    Attributes
    ----------
    columns: role -> column name where the names do not tell (`find_columns`).
    frequency: hourly, daily, weekly, monthly, quarterly, yearly.
    date_format: strftime format of dates that are text.
    decimal: the decimal mark of quantities that are text, "." or ",".
    unit: a unit or currency sign to take off quantities that are text; None refuses them.
    negative: what a period with a negative sum is: "returns" counts as 0, "keep" stays as it is.
    cancellations: "pair" takes lines of invoices C… out of the sales they cancel, "keep" sums them.
    gaps: what an item's periods without a line are: "zero" sales, or "missing" and filled.

    Raises
    ------
    UsageError: one of the last three is neither of the two.
    """

    columns: Mapping[str, str] | None = None
    frequency: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    unit: str | None = None
    negative: Negative = "returns"
    cancellations: Cancellations = "pair"
    gaps: Gaps = "zero"

    def __post_init__(self) -> None:
        for argument, allowed in (
            ("negative", ("returns", "keep")),
            ("cancellations", ("pair", "keep")),
            ("gaps", ("zero", "missing")),
        ):
            if (value := getattr(self, argument)) not in allowed:
                raise UsageError(f"{argument} is {allowed[0]!r} or {allowed[1]!r}", value=value)


@dataclass(frozen=True)
class Place:
    """Where a table comes from, for errors: its file, and how many rows there stand above the data."""

    file: object = None
    header_rows: int = 0


def sales_lines(frame: Any, reading: Reading, place: Place) -> tuple[pl.DataFrame, Columns, list[str]]:
    """Return the lines of `frame`, the columns they were read from, and what was decided, in sentences.

    The lines have the columns row (Int64), unique_id (String), ds (Datetime[us], local time), y (Float64),
    and invoice and customer (String) where the table has them. Rows without any value are left out.

    Raises
    ------
    InputError: an empty or impossible value (with its row), columns that cannot be found.
    UsageError: `frame` is no table.
    """
    table = frame if isinstance(frame, pl.DataFrame) else _narwhals(frame)
    found = find_columns(list(table.columns), reading.columns, file=place.file)
    roles = {role: name for role, name in vars(found).items() if name is not None}
    picked = pl.DataFrame(
        [_series(table[name], numbers=role == "y").alias(role) for role, name in roles.items()]
    )
    numbered = picked.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row") + 1 + place.header_rows, pl.all()
    )
    kept = numbered.filter(~pl.all_horizontal(pl.col(role).is_null() for role in roles))
    if kept.height == 0:
        raise InputError("there are no rows of data", file=place.file)
    checks = Checks(kept, place)
    moments, notes = checks.moments(found.ds, reading.date_format)
    ids = checks.ids(found.unique_id)
    quantities, said = checks.quantities(found.y, reading)
    others = [as_text(kept[role]) for role in ("invoice", "customer") if role in roles]
    lines = kept.select("row", ids, moments, quantities, *others)
    blank = numbered.height - kept.height
    notes = [found.sentence, *notes, *said, *([f"Empty rows: {blank:,}, left out."] if blank else [])]
    return lines, found, notes


@dataclass(frozen=True)
class Checks:
    """Reads the columns of `table`, named by their roles; refuses the first value that is impossible."""

    table: pl.DataFrame
    place: Place

    def ids(self, column: str | None) -> pl.Series:
        """The items as text."""
        if column is None:
            return pl.repeat("all", self.table.height, eager=True).alias("unique_id")
        ids = as_text(self.table["unique_id"])
        self.refuse(ids.is_null(), "unique_id", column, "the item is empty", "Name it, or delete the row.")
        return ids

    def quantities(self, column: str, reading: Reading) -> tuple[pl.Series, list[str]]:
        """The quantities as Float64, and what was decided."""
        given = self.table["y"]
        if not (given.dtype.is_numeric() or given.dtype in (pl.String, pl.Boolean, pl.Null)):
            raise InputError(
                f"the quantity holds {given.dtype}, not numbers",
                file=self.place.file,
                column=column,
                hint="Say which column is the quantity with --quantity NAME (columns={'y': …} in Python).",
            )
        empty = "Write 0 if nothing was sold, or delete the row."
        text = as_text(given) if given.dtype == pl.String else given
        self.refuse(text.is_null(), "y", column, "the quantity is empty", empty)
        numbers, notes = text, list[str]()
        if given.dtype == pl.String:
            numbers, notes = parse_numbers(
                text,
                self.table["row"],
                decimal=reading.decimal,
                unit=reading.unit,
                file=self.place.file,
                column=column,
            )
        numbers = numbers.cast(pl.Float64)
        wrong = "Correct it, or delete the row."
        self.refuse(~numbers.is_finite(), "y", column, "the quantity is not a finite number", wrong)
        self.refuse(numbers.abs() > BIGGEST, "y", column, f"the quantity is beyond {BIGGEST:g}", wrong)
        return numbers.alias("y"), notes

    def moments(self, column: str, date_format: str | None) -> tuple[pl.Series, list[str]]:
        """The dates as Datetime[us], and what was decided."""
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
            text = as_text(given)
            self.refuse(text.is_null(), "ds", column, "the date is empty", empty)
            moments, notes = parse_dates(
                text, self.table["row"], date_format=date_format, file=self.place.file, column=column
            )
        else:
            raise InputError(
                f"the date holds {given.dtype}, not dates",
                file=self.place.file,
                column=column,
                hint="Say which column is the date with --date NAME (columns={'ds': …} in Python).",
            )
        self.refuse(moments.is_null(), "ds", column, "the date is empty", empty)
        return moments.alias("ds"), notes

    def refuse(self, bad: pl.Series, role: str, column: str, what: str, hint: str) -> None:
        """Raise the error for the first row that is `bad`, if any is."""
        if not bad.any():
            return
        first = self.table.filter(bad).select("row", value=None if role == "row" else role).row(0, named=True)
        raise InputError(what, file=self.place.file, column=column, hint=hint, **first)


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


def _series(column: pl.Series | nw.Series[Any], *, numbers: bool = False) -> pl.Series:
    """Return a column of any library as Polars; a pandas column of mixed Python objects becomes text, or `numbers`."""
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
    pairs = list(zip(column.to_list(), column.is_null().to_list(), strict=True))
    if numbers and all(null or isinstance(value, Decimal | Real) for value, null in pairs):
        with suppress(OverflowError):
            return pl.Series([None if null else float(value) for value, null in pairs], dtype=pl.Float64)
    return pl.Series([None if null else str(value) for value, null in pairs], dtype=pl.String)


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as text without blanks around it: empty text is null, 5.0 is "5"."""
    name = column.name
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        column = whole if (column == whole).all() else column
    try:
        text = column.cast(pl.String).str.strip_chars().to_frame()
    except pl.exceptions.PolarsError as error:
        what = f"the column read as {name} holds {column.dtype}, which is no text"
        raise InputError(what, hint="Convert it to text, or say which column it is with columns=.") from error
    return text.select(pl.when(pl.col(name) != "").then(name))[name]
