"""Tables of any library, and their columns as Polars."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import polars as pl

from recurra.errors import InputError, UsageError

__all__ = ["as_table", "as_text", "numbered", "series"]


def as_table(frame: Any) -> pl.DataFrame | nw.DataFrame[Any]:
    """Return a table that can be asked for its columns; raises UsageError where `frame` is none."""
    return frame if isinstance(frame, pl.DataFrame) else _narwhals(frame)


def numbered(columns: list[pl.Series], header_rows: int) -> pl.DataFrame:
    """Put columns together behind `row`, the number that each row has where the table comes from."""
    rows = pl.int_range(pl.len(), dtype=pl.Int64).alias("row") + 1 + header_rows
    return pl.DataFrame(columns).select(rows, pl.all())


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


def series(column: pl.Series | nw.Series[Any], *, numbers: bool = False) -> pl.Series:
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
