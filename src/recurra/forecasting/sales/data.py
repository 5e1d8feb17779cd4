"""The sales of many items on one calendar: from any frame or file to a panel of numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.beside import STOCK_OUT
from recurra.forecasting.sales.calendar import Dates, Frequency, anchored, frequency_named, infer_frequency
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED, Covariates
from recurra.forecasting.sales.gather import Sums, cells_where, count_columns, covariates_of, fill, sums
from recurra.forecasting.sales.invoices import has_cancellations, net_cancellations
from recurra.forecasting.sales.large import look_through, sum_batches
from recurra.forecasting.sales.lines import find_all, sales_lines
from recurra.forecasting.sales.reading import Cancellations, Gaps, Negative, Place, Reading
from recurra.forecasting.sales.zero_runs import implausible_zeros, say_implausible_zeros
from recurra.sources import Source
from recurra.sources.table import read_source, scan_source

__all__ = ["Cancellations", "Gaps", "Negative", "Panel", "Reading", "date_column", "frame_like", "read_panel"]

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
        cancellations, gaps, static, past, future, stock_out.

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
        return read_panel(path if isinstance(path, Source) else Source(path), Reading(**reading))

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


def read_panel(
    table: Any,
    reading: Reading,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
    rhythm: Frequency | None = None,
) -> Panel:
    """Make a panel of a frame, a file's path or a Source, as `Panel.from_frame` and `from_file` do.

    `elsewhere` has by role (static, future) the columns of other tables, which this one may lack. With a `rhythm`,
    that of a panel that this one goes on from, one period is enough.
    """
    if not isinstance(table, str | os.PathLike | Source):
        return _panel(table, Place(), reading, elsewhere, rhythm)
    notes: list[str] = []
    source = table if isinstance(table, Source) else Source(table)
    if source.is_database and reading.decimal is None:
        reading = replace(reading, decimal=".")  # exact decimals come as text
    with scan_source(source, say=notes.append) as scan:
        if scan is not None:
            panel = _panel_in_batches(scan.frame, Place(source, scan.header_rows), reading, elsewhere, rhythm)
        else:
            read = read_source(source, say=notes.append)
            panel = _panel(read.frame, Place(source, read.header_rows), reading, elsewhere, rhythm)
    return replace(panel, notes=(*notes, *panel.notes))


def _panel(
    frame: Any,
    place: Place,
    reading: Reading,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
    given: Frequency | None = None,
) -> Panel:
    lines, found, notes = sales_lines(frame, reading, place, elsewhere)
    known, _ = _parted(lines)
    rhythm, said = (given, list[str]()) if given else _rhythm(known, reading, found.ds, place)
    notes += said
    lines = lines.with_columns(period=pl.Series(rhythm.index(lines["ds"].to_numpy())))
    known, later = _parted(lines)
    columns = 1 + count_columns(lines)
    series = lines["unique_id"].n_unique()
    start, end = _span(known, lines, series * columns, rhythm, found.ds, place, least=1 if given else 2)
    if reading.cancellations == "pair" and has_cancellations(known):
        known, said = net_cancellations(known)
        notes += said
        if known.height == 0:
            raise InputError("every sale was cancelled, nothing is left", file=place.file)
    whole = bool((known["y"] == known["y"].round()).all())
    lines = (pl.concat([known, later]) if later.height else known).drop(
        "ds", "invoice", "customer", strict=False
    )
    del known, later  # the lines are most of what reading takes in memory: each is held once
    ids = lines["unique_id"].unique().sort()
    code = lines["unique_id"].cast(pl.Enum(ids)).to_physical().cast(pl.Int64).alias("code")
    lines = lines.drop("unique_id").with_columns(code, pl.col("period") - start)
    known, _ = _parted(lines)
    length = end - start + 1
    summed = sums(known, len(ids), length)
    panel = _finished(tuple(ids.to_list()), summed, known.height, whole, rhythm, start, notes, reading)
    return _with_doubts(_with_covariates(panel, lines, place) if reading.beside else panel)


def _parted(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines with a quantity, and those without, which are of what is known ahead."""
    if not lines["y"].has_nulls():
        return lines, lines.clear()
    return lines.filter(pl.col("y").is_not_null()), lines.filter(pl.col("y").is_null())


def _panel_in_batches(
    scan: pl.LazyFrame,
    place: Place,
    reading: Reading,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
    given: Frequency | None = None,
) -> Panel:
    """Make the panel of a table that may not fit in memory; where invoices are cancelled, lines are kept.

    They are kept as well where columns are read beside item, date and quantity.
    """
    if reading.beside:
        found, beside = find_all(scan.collect_schema().names(), reading, place, elsewhere)
        kept = {*vars(found).values(), *(each.column for each in beside)} - {None}
        return _panel(scan.select(sorted(kept)).collect(engine="streaming"), place, reading, elsewhere, given)
    contents = look_through(scan, reading, place)
    if contents.credits and reading.cancellations == "pair":
        kept = {name for name in vars(contents.columns).values() if name is not None}
        return _panel(scan.select(kept).collect(engine="streaming"), place, reading, given=given)
    dates = contents.dates.select("row", ds="moment")
    column = contents.columns.ds
    rhythm, said = (given, list[str]()) if given else _rhythm(dates, reading, column, place)
    dates = dates.with_columns(period=pl.Series(rhythm.index(dates["ds"].to_numpy())))
    series = contents.items["item"].n_unique()
    start, _ = _span(dates, dates, series, rhythm, column, place, least=1 if given else 2)
    ids, summed = sum_batches(scan, contents, place, dates["period"].to_numpy() - start)
    numbers = contents.quantities["number"]
    whole = bool((numbers == numbers.round()).all())
    notes = [*contents.notes, *said]
    return _with_doubts(_finished(ids, summed, contents.lines, whole, rhythm, start, notes, reading))


def _finished(
    ids: tuple[str, ...],
    summed: Sums,
    lines: int,
    whole: bool,
    rhythm: Frequency,
    start: int,
    notes: list[str],
    reading: Reading,
) -> Panel:
    """The panel of sums from the period `start` on, with returns and gaps treated as told."""
    values, first, seen = summed
    status = None
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
            fill(values, first, seen, rhythm.season)
            status = np.where(np.arange(values.shape[1]) < first[:, None], OBSERVED, MISSING).astype(np.uint8)
            status.reshape(-1)[seen] = OBSERVED
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
        status=status,
    )


def _with_covariates(panel: Panel, lines: pl.DataFrame, place: Place) -> Panel:
    """The panel with what stands in its lines beside item, date and quantity."""
    length, notes = len(panel.dates), list(panel.notes)
    ahead = max(0, int(lines["period"].max()) + 1 - length)  # type: ignore[arg-type]
    covariates, said = covariates_of(lines, panel.ids, length, ahead, place)
    notes += said
    status = panel.status
    known, _ = _parted(lines)
    if STOCK_OUT in lines.columns:
        out = cells_where(known, STOCK_OUT, panel.values.shape)
        status = np.where(out, AT_LEAST, OBSERVED if status is None else status).astype(np.uint8)
        count = int(out.sum())
        notes.append(
            f"Periods of an item out of stock: {count:,}; as much as was sold or more was wanted then."
        )
    if never := int((panel.first == length).sum()):
        notes.append(f"Items that were never sold: {never:,}.")
    if later := lines.height - known.height:
        last = panel.frequency.dates(panel.dates[-1], ahead + 1)[-1]
        notes.append(
            f"Lines behind their item's last quantity: {later:,}, to {last}, for what is known ahead."
        )
    return replace(panel, covariates=covariates, status=status, notes=tuple(notes))


def _with_doubts(panel: Panel) -> Panel:
    """The panel, and a note on zeros that chance does not explain."""
    if not panel.nonnegative:
        return panel
    told = None if panel.status is None else panel.status != OBSERVED
    said = say_implausible_zeros(implausible_zeros(panel.values, panel.first, told), panel.ids, panel.dates)
    return replace(panel, notes=(*panel.notes, *said))


def _rhythm(lines: pl.DataFrame, reading: Reading, column: str, place: Place) -> tuple[Frequency, list[str]]:
    """Return the frequency, given or inferred, and the reason; say if the last period may be incomplete."""
    named = frequency_named(reading.frequency) if reading.frequency else None
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


def _span(
    known: pl.DataFrame,
    lines: pl.DataFrame,
    columns: int,
    rhythm: Frequency,
    column: str,
    place: Place,
    least: int,
) -> tuple[int, int]:
    """Return the first and the last period of the history, after checking that so large a panel fits in memory.

    `known` are the lines of the history, `lines` those of the future too; a period has `columns` numbers; at
    `least` so many periods are needed.
    """
    periods = lines["period"].to_numpy()
    start, end = int(periods.min()), int(known["period"].max())  # type: ignore[arg-type]
    if end - start + 1 < least:
        raise InputError(
            f"all dates fall into one {rhythm.name} period, at least two are needed",
            file=place.file,
            column=column,
            value=rhythm.dates_of(np.array([start]))[0],
            hint="Give a longer history, or a shorter --frequency.",
        )
    length = int(periods.max()) - start + 1
    if columns * length > LARGEST:
        series = lines["unique_id"].n_unique() if "unique_id" in lines.columns else columns
        middle = np.median(periods)
        far = lines.row(int(np.argmax(np.abs(periods - middle))), named=True)
        beside = f" with {columns // series - 1} columns beside their sales" if columns > series else ""
        raise InputError(
            f"{series:,} items over {length:,} {rhythm.name} periods{beside} are more numbers than recurra holds "
            f"({LARGEST:,}); this date is the farthest from the others",
            file=place.file,
            row=far["row"],
            column=column,
            value=far["ds"],
            hint="Correct it if it is wrong, or sum to longer periods with --frequency.",
        )
    return start, end


_GAPS = {
    "zero": "counted as zero sales; take them for missing with --gaps missing (gaps='missing' in Python)",
    "missing": "taken for missing and filled with what the item sold one season before, or else last",
}
