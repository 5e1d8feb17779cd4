"""The sales of many items on one calendar: from any frame or file to a panel of numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, MissingExtraError, UsageError

try:
    import narwhals as nw
    import polars as pl
except ImportError as error:
    raise MissingExtraError.of("polars or narwhals", "tables") from error

from recurra.forecasting.calendar import Dates, Frequency, anchored, frequency_named, infer_frequency
from recurra.forecasting.columns import Columns, find_columns
from recurra.forecasting.dates import parse_dates
from recurra.forecasting.invoices import has_cancellations, net_cancellations
from recurra.sources.table import header_rows, read_table

__all__ = ["Panel", "date_column", "frame_like"]

Negative: TypeAlias = Literal["returns", "keep"]
Cancellations: TypeAlias = Literal["pair", "keep"]

LARGEST = 400_000_000  # numbers in a panel: 1.6 GB
BIGGEST = 1e15  # quantity


@dataclass(frozen=True)
class Panel:
    """N series on one common calendar of T periods without gaps.

    Attributes
    ----------
    ids: the names of the series, sorted.
    frequency: how far apart periods are.
    dates: (T,) datetime64[s] if hourly, otherwise datetime64[D].
    values: (N, T) float32, what was sold in each period; zeros before the first observation of a series.
    first: (N,) int64, the index of the first observation of each series.
    whole: every quantity is a whole number.
    nonnegative: no quantity is negative.
    notes: everything that was decided on the way here, in sentences.
    """

    ids: tuple[str, ...]
    frequency: Frequency
    dates: Dates
    values: NDArray[np.float32]
    first: NDArray[np.int64]
    whole: bool
    nonnegative: bool = True
    notes: tuple[str, ...] = ()

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        columns: Mapping[str, str] | None = None,
        frequency: str | None = None,
        date_format: str | None = None,
        negative: Negative = "returns",
        cancellations: Cancellations = "pair",
    ) -> Panel:
        """Make a panel from a pandas, Polars or PyArrow table of sales lines, in any order, many a day welcome.

        Parameters
        ----------
        columns: role -> column name where the names do not tell (`find_columns`).
        frequency: hourly, daily, weekly, monthly, quarterly, yearly; None to infer it from the dates.
        date_format: strftime format of dates that are text; None to find it.
        negative: what a period with a negative sum is: "returns" counts as 0, "keep" stays as it is.
        cancellations: "pair" takes lines of invoices C… out of the earlier sales they cancel, "keep" sums them.

        Raises
        ------
        InputError: what is wrong with the data, with row and column. Rows count from 1, the first row of data.
        UsageError: an argument that does not fit.
        """
        return _Reader(columns, frequency, date_format, negative, cancellations).read(frame)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        frequency: str | None = None,
        date_format: str | None = None,
        negative: Negative = "returns",
        cancellations: Cancellations = "pair",
    ) -> Panel:
        """Make a panel from a file (`sources.read_table`); the rest as in `from_frame`.

        Errors name the file and count rows as in the file: the header of a text file is row 1.
        """
        notes: list[str] = []
        frame = read_table(path, say=notes.append)
        reader = _Reader(columns, frequency, date_format, negative, cancellations, path, header_rows(path))
        panel = reader.read(frame)
        return replace(panel, notes=(*notes, *panel.notes))

    def until(self, t: int) -> Panel:
        """Return the panel as it was after its first `t` periods; series that had not begun are left out.

        Raises
        ------
        UsageError: `t` is not between 1 and T.
        """
        if not 0 < t <= len(self.dates):
            raise UsageError(f"t must lie between 1 and {len(self.dates)}", value=t)
        begun = self.first < t
        ids = tuple(name for name, kept in zip(self.ids, begun, strict=True) if kept)
        return replace(
            self, ids=ids, dates=self.dates[:t], values=self.values[begun, :t], first=self.first[begun]
        )

    def select(self, ids: Sequence[str]) -> Panel:
        """Return the panel of the series `ids`, in that order.

        Raises
        ------
        InputError: there is no series of that name.
        """
        places = {name: place for place, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in places]
        if missing:
            raise InputError(
                "no such item", value=missing[0], hint=f"There are {len(self.ids)}: {self.ids[0]}, …."
            )
        index = np.array([places[name] for name in ids], dtype=np.int64)
        return replace(self, ids=tuple(ids), values=self.values[index], first=self.first[index])


def date_column(dates: Dates, name: str = "ds") -> pl.Series:
    """Return `dates` as a Polars column: Date, or Datetime[us] for dates with a time of day."""
    unit = "D" if np.datetime_data(dates.dtype)[0] == "D" else "us"
    return pl.Series(name, dates.astype(f"datetime64[{unit}]"))


def frame_like(original: Any, result: pl.DataFrame) -> Any:
    """Return `result` as a frame of the library that `original` belongs to: pandas, PyArrow, or else Polars."""
    kind = nw.from_native(original, pass_through=True)
    if not isinstance(kind, nw.DataFrame):
        return result
    if kind.implementation.is_pandas():
        import pandas as pd

        columns = {}
        for column in result.get_columns():
            if column.dtype == pl.Date:
                column = column.cast(pl.Datetime("us"))
            columns[column.name] = column.to_list() if column.dtype == pl.String else column.to_numpy()
        return pd.DataFrame(columns)
    if kind.implementation.is_pyarrow():
        return result.to_arrow(compat_level=pl.CompatLevel.oldest())
    return result


@dataclass(frozen=True)
class _Reader:
    """The way from a table to a panel; every step returns new data, notes tell what was decided."""

    columns: Mapping[str, str] | None
    frequency: str | None
    date_format: str | None
    negative: Negative
    cancellations: Cancellations
    file: object = None
    header_rows: int = 0

    def read(self, frame: Any) -> Panel:
        if self.negative not in ("returns", "keep"):
            raise UsageError("negative= is 'returns' or 'keep'", value=self.negative)
        if self.cancellations not in ("pair", "keep"):
            raise UsageError("cancellations= is 'pair' or 'keep'", value=self.cancellations)
        named = frequency_named(self.frequency) if self.frequency else None
        columns, table, notes = self._table(frame)
        lines = table.select(
            self._ids(table, columns),
            self._quantities(table, columns),
            *(_text(table[role]) for role in ("invoice", "customer") if role in table.columns),
            "row",
        )
        moments, said = self._moments(table, columns)
        notes += said
        lines = lines.with_columns(moments)
        dates = lines["ds"].unique().to_numpy().astype("datetime64[s]")
        if named is None:
            try:
                rhythm, reason = infer_frequency(dates)
            except InputError as error:
                raise InputError(
                    error.what, file=self.file, column=columns.ds, value=error.value, hint=error.hint
                ) from None
        else:
            rhythm, reason = anchored(named, dates), f"Frequency {named.name}, as given."
        notes.append(reason)
        lines = lines.with_columns(period=pl.Series(rhythm.index(lines["ds"].to_numpy())))
        start, end = self._span(lines, columns)
        if self.cancellations == "pair" and has_cancellations(lines):
            lines, said = net_cancellations(lines)
            notes += said
        return self._panel(lines, rhythm, start, end, notes)

    def _table(self, frame: Any) -> tuple[Columns, pl.DataFrame, list[str]]:
        """Pick the columns that matter and number the rows; rows without any value are left out."""
        if not isinstance(frame, pl.DataFrame):
            frame = _to_narwhals(frame)
        names = [str(name) for name in frame.columns]
        columns = find_columns(names, self.columns, file=self.file)
        notes = [columns.sentence]
        roles = {role: name for role, name in vars(columns).items() if name is not None}
        table = pl.DataFrame([_to_series(frame[name]).alias(role) for role, name in roles.items()])
        table = table.with_row_index("row", offset=1 + self.header_rows).with_columns(
            pl.col("row").cast(pl.Int64)
        )
        empty = table.select(pl.all_horizontal(pl.col(role).is_null() for role in roles)).to_series()
        if empty.any():
            table = table.filter(~empty)
            notes.append(f"{empty.sum():,} empty rows were left out.")
        if table.height == 0:
            raise InputError("there are no rows of data", file=self.file)
        return columns, table, notes

    def _ids(self, table: pl.DataFrame, columns: Columns) -> pl.Series:
        if columns.unique_id is None:
            return pl.Series("unique_id", ["all"]).new_from_index(0, table.height)
        ids = _text(table["unique_id"])
        self._refuse(
            table,
            ids.is_null(),
            "unique_id",
            columns.unique_id,
            "the item is empty",
            "Name it, or delete the row.",
        )
        return ids

    def _quantities(self, table: pl.DataFrame, columns: Columns) -> pl.Series:
        given = table["y"]
        if given.dtype == pl.String:
            given = given.str.strip_chars()
        elif not (given.dtype.is_numeric() or given.dtype in (pl.Boolean, pl.Null)):
            raise InputError(
                f"the quantity holds {given.dtype}, not numbers", file=self.file, column=columns.y,
                hint="Say which column is the quantity with --quantity NAME (columns={'y': …} in Python).",
            )  # fmt: skip
        empty = given.is_null() | (given == "") if given.dtype == pl.String else given.is_null()
        self._refuse(
            table,
            empty,
            "y",
            columns.y,
            "the quantity is empty",
            "Write 0 if nothing was sold, or delete the row.",
        )
        numbers = given.cast(pl.Float64, strict=False)
        hint = "Write numbers with digits and a point."
        if given.dtype == pl.String:
            commas = given.str.contains(r"^[+-]?\d[\d.]*,\d+$")
            hint = (
                "Write numbers with a decimal point, and without a comma for thousands."
                if commas.any()
                else hint
            )
        self._refuse(table, numbers.is_null(), "y", columns.y, "the quantity is not a number", hint)
        endless = ~numbers.is_finite()
        self._refuse(
            table,
            endless,
            "y",
            columns.y,
            "the quantity is not a finite number",
            "Correct it, or delete the row.",
        )
        self._refuse(
            table, numbers.abs() > BIGGEST, "y", columns.y, f"the quantity is beyond {BIGGEST:g}", None
        )
        return numbers.alias("y")

    def _moments(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.Series, list[str]]:
        """Return the column ds as Datetime[us] without a time zone."""
        given = table["ds"]
        if given.dtype == pl.Date:
            moments, notes = given.cast(pl.Datetime("us")), []
        elif isinstance(given.dtype, pl.Datetime):
            notes = []
            if given.dtype.time_zone is not None:
                notes.append(f"Times in {columns.ds} are the local ones of {given.dtype.time_zone}.")
            moments = given.dt.replace_time_zone(None).dt.cast_time_unit("us")
        elif given.dtype in (pl.Duration, pl.Time) or given.dtype.is_nested():
            raise InputError(
                f"the date holds {given.dtype}, not dates", file=self.file, column=columns.ds,
                hint="Say which column is the date with --date NAME (columns={'ds': …} in Python).",
            )  # fmt: skip
        else:
            text = _text(given)
            self._refuse(
                table, text.is_null(), "ds", columns.ds, "the date is empty", "Give it, or delete the row."
            )
            moments, notes = parse_dates(
                text, table["row"], date_format=self.date_format, file=self.file, column=columns.ds
            )
        self._refuse(
            table, moments.is_null(), "ds", columns.ds, "the date is empty", "Give it, or delete the row."
        )
        return moments.alias("ds"), notes

    def _span(self, lines: pl.DataFrame, columns: Columns) -> tuple[int, int]:
        """Return the first and the last period, after checking that so large a panel fits in memory."""
        periods = lines["period"]
        start, end = int(periods.min()), int(periods.max())  # type: ignore[arg-type]
        if start == end:
            raise InputError(
                "all dates fall into one period, at least two are needed", file=self.file, column=columns.ds,
                hint="Give a longer history, or a shorter --frequency.",
            )  # fmt: skip
        series = lines["unique_id"].n_unique()
        if series * (end - start + 1) > LARGEST:
            middle = int(periods.median())  # type: ignore[arg-type]
            far = start if middle - start > end - middle else end
            place = lines.filter(pl.col("period") == far).row(0, named=True)
            raise InputError(
                f"{series:,} items over {end - start + 1:,} periods are more than recurra holds ({LARGEST:,} numbers); "
                "this date is the farthest from the others",
                file=self.file, row=place["row"], column=columns.ds, value=place["ds"],
                hint="Correct it if it is wrong, or sum to longer periods with --frequency.",
            )  # fmt: skip
        return start, end

    def _panel(self, lines: pl.DataFrame, rhythm: Frequency, start: int, end: int, notes: list[str]) -> Panel:
        cells = lines.group_by("unique_id", "period").agg(pl.col("y").sum())
        ids = cells["unique_id"].unique().sort()
        if len(ids) == 0:
            raise InputError("no sales are left once cancellations are taken out", file=self.file)
        series = cells.join(ids.to_frame().with_row_index("series"), on="unique_id", maintain_order="left")
        row, column = series["series"].to_numpy(), series["period"].to_numpy() - start
        length = end - start + 1
        values = np.zeros((len(ids), length), dtype=np.float32)
        values[row, column] = series["y"].to_numpy()
        first = np.full(len(ids), length, dtype=np.int64)
        np.minimum.at(first, row, column)

        if lines.height > cells.height:
            per = {"hourly": "an hour", "daily": "a day"}.get(rhythm.name, "a period")
            notes.append(
                f"{lines.height:,} lines were summed to {cells.height:,}, one for an item and {per[2:].strip()}."
            )
        gaps = int((length - first).sum()) - cells.height
        if gaps:
            notes.append(f"{gaps:,} periods of an item without a line count as zero sales.")
        below = int((values < 0).sum())
        if below and self.negative == "returns":
            np.maximum(values, 0, out=values)
            notes.append(
                f"{below:,} periods of an item had more returns than sales and count as 0; "
                "keep them negative with --negative keep (negative='keep' in Python)."
            )
        dates = rhythm.dates_of(np.arange(start, end + 1))
        notes.insert(1, f"{len(ids):,} items over {length:,} periods, {dates[0]} to {dates[-1]}.")
        whole = bool(np.all(values == np.rint(values)))
        nonnegative = not (below and self.negative == "keep")
        return Panel(tuple(ids.to_list()), rhythm, dates, values, first, whole, nonnegative, tuple(notes))

    def _refuse(
        self, table: pl.DataFrame, bad: pl.Series, role: str, column: str, what: str, hint: str | None
    ) -> None:
        if not bad.any():
            return
        place = table.filter(bad).row(0, named=True)
        raise InputError(what, file=self.file, row=place["row"], column=column, value=place[role], hint=hint)


def _to_narwhals(frame: Any) -> nw.DataFrame[Any]:
    if hasattr(frame, "reset_index") and any(name is not None for name in getattr(frame.index, "names", [])):
        frame = frame.reset_index()
    names = [str(name) for name in getattr(frame, "column_names", getattr(frame, "columns", []))]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError("two columns have the same name", column=repeated[0])
    try:
        wrapped = nw.from_native(frame)
    except TypeError as error:
        raise UsageError(
            "the data must be a pandas, Polars or PyArrow table", value=type(frame).__name__
        ) from error
    return wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped


def _to_series(column: Any) -> pl.Series:
    """Return a column of any library as Polars; a pandas column of mixed Python objects becomes text."""
    if isinstance(column, pl.Series):
        return column
    if column.dtype == nw.Object:
        values = column.to_list()
        return pl.Series(
            [None if value is None or value != value else str(value) for value in values], dtype=pl.String
        )
    return column.to_polars()


def _text(column: pl.Series) -> pl.Series:
    """Return a column as text without surrounding blanks; empty text is null, whole floats lose their point."""
    if column.dtype.is_float() and column.drop_nulls().is_finite().all():
        whole = column.cast(pl.Int64, strict=False)
        column = whole if (column.drop_nulls() == whole.drop_nulls()).all() else column
    text = column.cast(pl.String).str.strip_chars()
    return text.to_frame().select(pl.when(pl.col(text.name) != "").then(pl.col(text.name)))[text.name]
