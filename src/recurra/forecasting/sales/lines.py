"""Sales lines: from a table of any library to item, moment and quantity, every value checked."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import polars as pl

from recurra.errors import InputError
from recurra.forecasting.sales.beside import STOCK_OUT, Beside, find_beside, refuse_roles, stock_outs, typed
from recurra.forecasting.sales.columns import Columns, date_column_of, find_columns, item_column
from recurra.forecasting.sales.dates import EARLIEST, LATEST, parse_dates
from recurra.forecasting.sales.frames import as_table, as_text, numbered, series
from recurra.forecasting.sales.numbers import parse_numbers
from recurra.forecasting.sales.reading import Place, Reading

__all__ = ["Checks", "find_all", "sales_lines"]

BIGGEST = 1e15  # quantity
_TICKS = {"D": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}  # in a day
_DAYS = tuple(datetime.date(*day).toordinal() - 719_163 for day in ((EARLIEST, 1, 1), (LATEST, 12, 31)))


def sales_lines(
    frame: Any, reading: Reading, place: Place, elsewhere: Mapping[str, Sequence[str]] | None = None
) -> tuple[pl.DataFrame, Columns, list[str]]:
    """Return the lines of `frame`, the columns they were read from, and what was decided, in sentences.

    The lines have the columns row (Int64), unique_id (String), ds (Datetime[us], local time), y (Float64),
    and invoice and customer (String) where the table has them. Rows without any value are left out.

    The columns beside them are called static:NAME, past:NAME, future:NAME (Float64, Boolean or String, null where a
    cell is empty) and stock_out (Boolean). `elsewhere` has by role those that the table may lack. A line behind the
    item's last quantity has none (null) where columns are known ahead: it is of the future.

    Raises
    ------
    InputError: an empty or impossible value (with its row), columns that cannot be found.
    UsageError: `frame` is no table.
    """
    table = as_table(frame)
    found, beside = find_all(list(table.columns), reading, place, elsewhere)
    roles = {role: name for role, name in vars(found).items() if name is not None}
    picked = [series(table[name], numbers=role == "y").alias(role) for role, name in roles.items()]
    picked += [series(table[each.column], numbers=not each.text).alias(each.key) for each in beside]
    rows = numbered(picked, place.header_rows)
    full = any(not rows[name].has_nulls() for name in rows.columns[1:])  # so that nothing need be copied
    kept = rows if full else rows.filter(~pl.all_horizontal(pl.all().exclude("row").is_null()))
    if kept.height == 0:
        raise InputError("there are no rows of data", file=place.file)
    checks = Checks(kept, place)
    moments, notes = checks.moments(found.ds, reading.date_format)
    ids = checks.ids(found.unique_id)
    others = [as_text(kept[role]) for role in ("invoice", "customer") if role in roles]
    said = []
    for each in beside:
        if each.key == STOCK_OUT:
            column, how = stock_outs(kept[each.key], kept["row"], each, reading, place)
            said.append(f"Out of stock: {how}.")
        else:
            column = typed(kept[each.key], kept["row"], each, reading, place)
        others.append(column)
    lines = kept.select("row", ids, moments, *others)
    excused = _without_quantity(kept, lines, ahead=bool(reading.future)) if reading.beside else None
    told = kept if excused is None else kept.filter(excused.is_null())
    if told.height == 0:
        raise InputError("no line has a quantity", file=place.file, column=found.y)
    quantities, read = Checks(told, place).quantities(found.y, reading)
    if excused is not None:
        amounts = pl.DataFrame([told["row"], quantities])
        joined = pl.DataFrame([kept["row"], excused]).join(amounts, "row", how="left", maintain_order="left")
        quantities = joined.select(y=pl.when("sold_out").then(0.0).otherwise("y"))["y"]
    lines = lines.select("row", "unique_id", "ds", quantities, *(column.name for column in others))
    blank = rows.height - kept.height
    notes = [found.sentence, *notes, *read, *said, *([f"Empty rows: {blank:,}, left out."] if blank else [])]
    return lines, found, notes


def find_all(
    names: Sequence[str], reading: Reading, place: Place, elsewhere: Mapping[str, Sequence[str]] | None = None
) -> tuple[Columns, list[Beside]]:
    """Say which of the columns `names` are what, those beside item, date and quantity too; raises InputError."""
    beside = find_beside(names, reading, file=place.file, elsewhere=elsewhere)
    columns = [each.column for each in beside]
    try:
        found = find_columns(names, reading.columns, file=place.file, beside=columns)
    except InputError:
        found = find_columns(names, reading.columns, file=place.file)
    roles = vars(found)
    for role, alias, guess in (("unique_id", "item", item_column), ("ds", "date", date_column_of)):
        if not {role, alias} & set(reading.columns or ()):
            with suppress(InputError):
                roles = roles | {
                    role: guess(names)
                }  # what looks most like it is asked for beside: a word is due
    refuse_roles(beside, roles, file=place.file)
    return found, beside


def _without_quantity(kept: pl.DataFrame, lines: pl.DataFrame, *, ahead: bool) -> pl.Series:
    """Say which lines may have no quantity: null for those that have one, or should have.

    True while the item was out of stock: nothing was sold then; False `ahead`, behind the item's last line with a
    quantity.
    """
    given = kept["y"]
    amount = as_text(given) if given.dtype == pl.String else given
    amount = amount.fill_nan(None) if amount.dtype.is_float() else amount
    empty = pl.col("empty")
    out = pl.col(STOCK_OUT) if STOCK_OUT in lines.columns else pl.lit(value=False)
    last = pl.col("ds").filter(~empty | out).max().over("unique_id")
    later = last.is_null() | (pl.col("ds") > last) if ahead else pl.lit(value=False)
    excused = pl.when(empty & out).then(statement=True).when(empty & later).then(statement=False)
    return lines.with_columns(empty=amount.is_null()).select(sold_out=excused)["sold_out"]


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
