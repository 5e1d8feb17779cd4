"""The sales of many items on one calendar: from any frame or file to a panel of numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.forecasting.calendar import Dates, Frequency, anchored, frequency_named, infer_frequency
from recurra.forecasting.covariates import Covariates
from recurra.forecasting.invoices import has_cancellations, net_cancellations
from recurra.forecasting.large import look_through, sum_batches
from recurra.forecasting.lines import Cancellations, Gaps, Negative, Place, Reading, sales_lines
from recurra.sources import Source
from recurra.sources.table import read_source, scan_source

__all__ = ["Cancellations", "Gaps", "Negative", "Panel", "Reading", "date_column", "frame_like"]

Sums: TypeAlias = tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]

LARGEST = 400_000_000  # numbers in a panel: 1.6 GB


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
    status: (N, T) uint8, what each value says (`covariates.OBSERVED`, AT_LEAST, MISSING); None: all are OBSERVED.
    covariates: what else is known of the series.
    """

    ids: tuple[str, ...]
    frequency: Frequency
    dates: Dates
    values: NDArray[np.float32]
    first: NDArray[np.int64]
    whole: bool
    nonnegative: bool = True
    notes: tuple[str, ...] = ()
    status: NDArray[np.uint8] | None = None
    covariates: Covariates = field(default_factory=Covariates)

    @classmethod
    def from_frame(cls, frame: Any, **reading: Any) -> Panel:
        """Make a panel from a pandas, Polars or PyArrow table of sales lines, in any order, several a day.

        `reading` are the attributes of `Reading`: columns, frequency, date_format, decimal, unit, negative,
        cancellations, gaps.

        Raises
        ------
        InputError: what is wrong with the data, with row and column. Rows count from 1, the first row of
            data.
        UsageError: an argument that does not fit.
        """
        return _panel(frame, Place(), Reading(**reading))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str] | Source, **reading: Any) -> Panel:
        """Make a panel from a file or another `Source` (`sources.read_source`); the rest as in `from_frame`.

        Errors name the file and count rows as in the file: the header of a text file is row 1.
        """
        notes: list[str] = []
        source = path if isinstance(path, Source) else Source(path)
        settings = Reading(**reading)
        if source.is_database and settings.decimal is None:
            settings = replace(settings, decimal=".")  # exact decimals come as text
        with scan_source(source, say=notes.append) as scan:
            if scan is not None:
                panel = _panel_in_batches(scan.frame, Place(source, scan.header_rows), settings)
            else:
                table = read_source(source, say=notes.append)
                panel = _panel(table.frame, Place(source, table.header_rows), settings)
        return replace(panel, notes=(*notes, *panel.notes))

    def until(self, t: int) -> Panel:
        """Return the panel as it was after its first `t` periods; series that had not begun are left out.

        Raises
        ------
        UsageError: `t` is not between 1 and T.
        """
        if not 0 < t <= len(self.dates):
            raise UsageError(f"t must lie between 1 and {len(self.dates)}", value=t)
        begun = self._of(np.flatnonzero(self.first < t))
        return replace(
            begun,
            dates=self.dates[:t],
            values=begun.values[:, :t],
            status=None if begun.status is None else begun.status[:, :t],
            covariates=begun.covariates.until(t),
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
                "no such item", value=missing[0], hint=f"There are {len(self.ids):,}, such as {self.ids[0]}."
            )
        index = np.array([places[name] for name in ids], dtype=np.int64)
        return self._of(index)

    def _of(self, index: NDArray[np.int64]) -> Panel:
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            values=self.values[index],
            first=self.first[index],
            status=None if self.status is None else self.status[index],
            covariates=self.covariates.select(index),
        )


def date_column(dates: Dates, name: str = "ds") -> pl.Series:
    """Return `dates` as a Polars column: Date, or Datetime[us] for dates with a time of day."""
    unit = "D" if np.datetime_data(dates.dtype)[0] == "D" else "us"
    return pl.Series(name, dates.astype(f"datetime64[{unit}]"))


def frame_like(original: Any, result: pl.DataFrame) -> Any:
    """Return `result` as a frame of the library of `original`: pandas, PyArrow, or else Polars."""
    native = nw.from_native(original, pass_through=True)
    if not isinstance(native, nw.DataFrame):
        return result
    if native.implementation.is_pyarrow():
        return result.to_arrow(compat_level=pl.CompatLevel.oldest())
    if not native.implementation.is_pandas():
        return result
    columns = {}  # to_pandas() would need PyArrow, which not every user of pandas has
    for column in result.with_columns(pl.col(pl.Date).cast(pl.Datetime("us"))).get_columns():
        columns[column.name] = column.to_list() if column.dtype == pl.String else column.to_numpy()
    return type(original)(columns)


def _panel(frame: Any, place: Place, reading: Reading) -> Panel:
    named = frequency_named(reading.frequency) if reading.frequency else None
    lines, found, notes = sales_lines(frame, reading, place)
    rhythm, said = _rhythm(lines, named, found.ds, place)
    notes += said
    lines = lines.with_columns(period=pl.Series(rhythm.index(lines["ds"].to_numpy())))
    start, end = _span(lines, lines["unique_id"].n_unique(), rhythm, found.ds, place)
    if reading.cancellations == "pair" and has_cancellations(lines):
        lines, said = net_cancellations(lines)
        notes += said
        if lines.height == 0:
            raise InputError("every sale was cancelled, nothing is left", file=place.file)
    whole = bool((lines["y"] == lines["y"].round()).all())
    return _finished(_sums(lines, start, end), lines.height, whole, rhythm, start, notes, reading)


def _panel_in_batches(scan: pl.LazyFrame, place: Place, reading: Reading) -> Panel:
    """Make the panel of a table that may not fit in memory; where invoices are cancelled, lines are kept."""
    named = frequency_named(reading.frequency) if reading.frequency else None
    contents = look_through(scan, reading, place)
    if contents.credits and reading.cancellations == "pair":
        kept = [name for name in vars(contents.columns).values() if name is not None]
        return _panel(scan.select(kept).collect(engine="streaming"), place, reading)
    dates = contents.dates.select("row", ds="moment")
    column = contents.columns.ds
    rhythm, said = _rhythm(dates, named, column, place)
    dates = dates.with_columns(period=pl.Series(rhythm.index(dates["ds"].to_numpy())))
    start, _ = _span(dates, contents.items["item"].n_unique(), rhythm, column, place)
    sums = sum_batches(scan, contents, place, dates["period"].to_numpy() - start)
    numbers = contents.quantities["number"]
    whole = bool((numbers == numbers.round()).all())
    return _finished(sums, contents.lines, whole, rhythm, start, [*contents.notes, *said], reading)


def _finished(
    sums: Sums, lines: int, whole: bool, rhythm: Frequency, start: int, notes: list[str], reading: Reading
) -> Panel:
    """The panel of sums from the period `start` on, with returns and gaps treated as told."""
    ids, values, first, seen = sums
    if len(seen) < lines:
        notes.append(f"Lines: {lines:,}, summed to {len(seen):,}, one for each item and period.")
    below = int(np.count_nonzero(values < 0))
    if below and reading.negative == "returns":
        np.maximum(values, 0, out=values)
        notes.append(
            f"Periods of an item with more returns than sales: {below:,}, counted as 0; "
            "keep them negative with --negative keep (negative='keep' in Python)."
        )
    if gaps := int((values.shape[1] - first).sum()) - len(seen):
        notes.append(f"Periods of an item without a line: {gaps:,}, {_GAPS[reading.gaps]}.")
        if reading.gaps == "missing":
            _fill(values, first, seen, rhythm.season)
    dates = rhythm.dates_of(np.arange(start, start + values.shape[1]))
    notes.insert(1, f"Items: {len(ids):,}. Periods: {len(dates):,}, {dates[0]} to {dates[-1]}.")
    return Panel(
        ids=ids,
        frequency=rhythm,
        dates=dates,
        values=values,
        first=first,
        whole=whole,
        nonnegative=not below or reading.negative == "returns",
        notes=tuple(notes),
    )


def _rhythm(
    lines: pl.DataFrame, named: Frequency | None, column: str, place: Place
) -> tuple[Frequency, list[str]]:
    """Return the frequency, given or inferred, and the reason; say if the last period may be incomplete."""
    dates = lines["ds"].unique().to_numpy().astype("datetime64[s]")
    if named is None:
        try:
            rhythm, reason = infer_frequency(dates)
        except InputError as error:
            raise InputError(
                error.what, file=place.file, column=column, value=error.value, hint=error.hint
            ) from error
        return rhythm, [reason]
    rhythm, last = anchored(named, dates), dates.max()
    period = rhythm.index(dates[dates == last])
    notes = [f"Frequency {rhythm.name}, as given."]
    written = rhythm.dates_of(rhythm.index(dates)).astype("datetime64[s]")
    following = rhythm.index(np.array([last + np.timedelta64(1, "D")]))
    if (
        rhythm.unit != "h"
        and rhythm.name != "daily"
        and np.any(written != dates)
        and following[0] == period[0]
    ):
        notes.append(f"The last period is incomplete: its last day of sales is {str(last)[:10]}.")
    return rhythm, notes


def _span(lines: pl.DataFrame, series: int, rhythm: Frequency, column: str, place: Place) -> tuple[int, int]:
    """Return the first and the last period, after checking that so large a panel fits in memory."""
    periods = lines["period"].to_numpy()
    start, end = int(periods.min()), int(periods.max())
    if start == end:
        raise InputError(
            f"all dates fall into one {rhythm.name} period, at least two are needed",
            file=place.file,
            column=column,
            value=rhythm.dates_of(np.array([start]))[0],
            hint="Give a longer history, or a shorter --frequency.",
        )
    length = end - start + 1
    if series * length > LARGEST:
        middle = np.median(periods)
        far = lines.row(int(np.argmax(np.abs(periods - middle))), named=True)
        raise InputError(
            f"{series:,} items over {length:,} {rhythm.name} periods are more numbers than recurra holds "
            f"({LARGEST:,}); this date is the farthest from the others",
            file=place.file,
            row=far["row"],
            column=column,
            value=far["ds"],
            hint="Correct it if it is wrong, or sum to longer periods with --frequency.",
        )
    return start, end


def _sums(lines: pl.DataFrame, start: int, end: int) -> Sums:
    """Sum lines by item and period, to the same bits whatever their order.

    Returns the ids, the values (N, T), the index of each series' first observation (N,), and the places of all
    observations in the flattened values, sorted.
    """
    length = end - start + 1
    ids = lines["unique_id"].unique().sort()
    codes = pl.DataFrame({"unique_id": ids, "code": np.arange(len(ids))})
    cells = (
        lines.join(codes, on="unique_id", maintain_order="left")
        .select("y", cell=pl.col("code") * length + (pl.col("period") - start))
        .sort("cell", "y")
    )
    cell = cells["cell"].to_numpy()
    begins = np.flatnonzero(np.diff(cell, prepend=-1))
    seen = cell[begins]
    values = np.zeros(len(ids) * length, dtype=np.float32)
    values[seen] = np.add.reduceat(cells["y"].to_numpy(), begins)
    row, column = np.divmod(seen, length)
    first = column[np.searchsorted(row, np.arange(len(ids)))]
    return tuple(ids.to_list()), values.reshape(len(ids), length), first.astype(np.int64), seen


_GAPS = {
    "zero": "counted as zero sales; take them for missing with --gaps missing (gaps='missing' in Python)",
    "missing": "taken for missing and filled with what the item sold one season before, or else last",
}


def _fill(
    values: NDArray[np.float32], first: NDArray[np.int64], seen: NDArray[np.int64], season: int
) -> None:
    """Fill what was not seen from a series' first observation on: with the value a season before, or the one before.

    Where the season before lies ahead of the first observation, there is only the period before.
    """
    known = np.zeros(values.shape, dtype=bool)
    known.reshape(-1)[seen] = True
    for t in range(1, values.shape[1]):
        rows = np.flatnonzero(~known[:, t] & (first < t))
        before = np.where(t - season >= first[rows], t - season, t - 1)
        values[rows, t] = values[rows, before]
