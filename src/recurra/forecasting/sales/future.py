"""What is known ahead from a table of its own, such as prices, and whether it reaches over a horizon.

Legend: N series, T periods of history, A periods beyond it that anything is known of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.beside import Beside, find_beside
from recurra.forecasting.sales.covariates import MISSING
from recurra.forecasting.sales.data import LARGEST, Panel
from recurra.forecasting.sales.gather import carry, grids_of, is_flag
from recurra.forecasting.sales.reading import Place, Reading
from recurra.forecasting.sales.second_table import SecondTable

__all__ = ["check_ahead", "with_future"]

Grid = NDArray[np.float32]
NEAR = 1e-5  # values of two tables that differ by a smaller share are the same


def with_future(panel: Panel, table: Any, reading: Reading) -> Panel:
    """Join a table of what is known ahead to a panel: columns by item and date, or by date for all items.

    It may begin before the end of the history. There it fills up what the sales do not say: a column that they have
    not, and periods in which an item was not sold.

    Parameters
    ----------
    table: a frame (pandas, Polars, PyArrow), a file's path or a Source; the date, the columns of `reading.future`, and
        the item, or no such column: then it holds for all items.
    reading: names the columns.

    Returns
    -------
    The panel with `covariates.future` (N, T + A). Beyond the history what is not given is NaN (`check_ahead`).

    Raises
    ------
    InputError: an unknown item, a missing column, a value that contradicts the sales of its date or an earlier table.
    UsageError: `reading.future` is empty.
    """
    if not reading.future:
        hint = "Name them with --future COLUMN (future=[…] in Python)."
        raise UsageError("a table of the future is read for its columns, and none is named", hint=hint)
    opened = SecondTable.of(table)
    place, known = opened.place, panel.covariates.future
    beside = find_beside(opened.names, Reading(future=reading.future), file=place.file)
    beside = [replace(each, text=each.text or bool(_texts(known, each.name))) for each in beside]
    item = opened.key("unique_id", reading, beside)
    rows = opened.rows({"unique_id": item, "ds": opened.key("ds", reading, beside)}, beside, reading)
    lines, early = _placed(rows, panel, item, place)
    length = len(panel.dates)
    ends = [int(lines["period"].max()) + 1, length, *(each.shape[1] for each in known.values())]  # type: ignore[arg-type]
    columns = max(ends)
    _check_size(panel, lines, columns, place)
    future = {name: _wider(grid, columns) for name, grid in known.items()}
    for each in beside:
        future |= _joined(panel, lines, each, future, columns, whole=item is None, place=place)
    last = panel.frequency.dates(panel.dates[0], columns)[-1]
    notes = [*opened.notes, f"Known ahead, to {last}: {', '.join(each.name for each in beside)}."]
    if item is None:
        notes.append("The table of the future has no column of items: it holds for all.")
    if early:
        notes.append(f"Rows of the future before the history: {early:,}, left out.")
    return replace(panel, covariates=replace(panel.covariates, future=future), notes=(*panel.notes, *notes))


def check_ahead(panel: Panel, names: Sequence[str], horizon: int) -> None:
    """Raise InputError unless what is known ahead by `names` (keys of `covariates.future`) reaches over a horizon.

    The error names the item and column of which it ends first, and the first date without a value. Where a column of
    text has not the value of a name, those that it has are looked at.
    """
    length, future = len(panel.dates), panel.covariates.future
    dates = panel.frequency.dates(panel.dates[-1], horizon + 1)
    worst: tuple[int, int, str] | None = None
    for name in names:
        base = name.partition("=")[0]
        siblings = [name] if name in future else _texts(future, base) if base != name else []
        if not siblings:
            what = f"the data have no column {base}, or nothing in it, and the forecast needs it"
            raise InputError(what, column=base, hint="Give the table that the model was trained on.")
        ahead = _wider(future[siblings[0]], length + horizon)[:, length : length + horizon]
        none = np.isnan(ahead)
        if none.any():
            steps = np.where(none.any(1), none.argmax(1), horizon)
            row = int(steps.argmin())
            found = (int(steps[row]), row, base)
            worst = found if worst is None or found < worst else worst
    if worst is not None:
        step, row, base = worst
        raise InputError(
            f"the column {base} of item {panel.ids[row]} ends on {dates[step]}, the forecast needs it to {dates[-1]}",
            column=base,
            value=None,
            hint=f"Give it from {dates[step + 1]} on, in lines without a quantity or with --future-file "
            "(future= in Python).",
        )


def _texts(known: dict[str, Grid], name: str) -> list[str]:
    """The names that a column of text has become."""
    return [each for each in known if each.startswith(f"{name}=")]


def _wider(grid: Grid, columns: int) -> Grid:
    """The array with NaN behind it up to a number of columns."""
    if grid.shape[1] >= columns:
        return grid
    return np.pad(grid, ((0, 0), (0, columns - grid.shape[1])), constant_values=np.nan)


def _placed(rows: pl.DataFrame, panel: Panel, item: str | None, place: Place) -> tuple[pl.DataFrame, int]:
    """The rows with `code` and `period`, without those before the history, and how many these are."""
    if item is None:
        lines = rows.with_columns(code=pl.lit(0, dtype=pl.Int64))
    else:
        codes = pl.DataFrame({"unique_id": panel.ids, "code": np.arange(len(panel.ids))})
        lines = rows.join(codes, on="unique_id", how="left", maintain_order="left")
        unknown = lines.filter(pl.col("code").is_null())
        if unknown.height:
            raise InputError(
                "no such item in the sales",
                file=place.file,
                row=unknown["row"][0],
                column=item,
                value=unknown["unique_id"][0],
                hint="Correct its name, leave the row out, or name it in a table of items (--items-file, items=).",
            )
    start = int(panel.frequency.index(panel.dates[:1])[0])
    lines = lines.with_columns(period=pl.Series(panel.frequency.index(lines["ds"].to_numpy()) - start))
    kept = lines.filter(pl.col("period") >= 0)
    if kept.height == 0:
        what = "all dates lie before the sales begin"
        raise InputError(what, file=place.file, row=lines["row"][0], value=lines["ds"][0])
    return kept, lines.height - kept.height


def _check_size(panel: Panel, lines: pl.DataFrame, columns: int, place: Place) -> None:
    grids = len(panel.covariates.future) + sum(name.startswith("future:") for name in lines.columns)
    numbers = len(panel.ids) * (len(panel.dates) * (1 + len(panel.covariates.past)) + columns * grids)
    if numbers > LARGEST:
        far = lines.sort("period").row(-1, named=True)
        raise InputError(
            f"{len(panel.ids):,} items over {columns:,} periods are more numbers than recurra holds ({LARGEST:,}); "
            "this date is the last",
            file=place.file,
            row=far["row"],
            value=far["ds"],
            hint="Correct it if it is wrong, or leave columns out.",
        )


def _joined(
    panel: Panel,
    lines: pl.DataFrame,
    each: Beside,
    known: dict[str, Grid],
    columns: int,
    *,
    whole: bool,
    place: Place,
) -> dict[str, Grid]:
    """The arrays (N, T + A) of one column, from what is known of it and from the table's rows."""
    series, length = len(panel.ids), len(panel.dates)
    had = [each.name] if each.name in known else _texts(known, each.name)
    if each.name in known:
        column = lines[each.key]
        if column.dtype == pl.String and column.null_count() < len(column):
            what = "the column holds text, and that of the sales numbers"
            raise InputError(what, file=place.file, column=each.column)
        flag = is_flag(known[each.name][:, :length]) and column.dtype != pl.Float64
        kind = pl.Boolean if flag else pl.Float64
        lines = lines.with_columns(
            pl.lit(None, kind).alias(each.key) if column.dtype == pl.String else column.cast(kind)
        )
    given, _ = grids_of(lines, each.key, (1 if whole else series, columns), 0, place)
    if whole and bool(
        (lines.drop_nulls(each.key).group_by("ds").agg(pl.col(each.key).n_unique())[each.key] > 1).any()
    ):
        what = "the dates repeat with other values, and no column looks like the item"
        raise InputError(what, file=place.file, column=each.column, hint="Say which it is with --item NAME.")
    there = next(iter(given.values()))
    blank = np.where(np.isnan(there), there, np.float32(0))  # a row that names another text
    result: dict[str, Grid] = {}
    new_texts = [name for name in given if name not in had and (not had or name != f"{each.name}=")]
    for name in [*had, *new_texts]:
        new = np.broadcast_to(given.get(name, blank), (series, columns))
        if name in known:
            result[name] = _merged(panel, known[name], new, lines, each, place)
        elif had:  # a text that the sales do not have
            result[name] = np.where(np.isnan(new), np.where(np.isnan(known[had[0]]), np.nan, 0), new)
        else:
            result[name] = new.copy()
    number = lines[each.key].dtype == pl.Float64
    for name, grid in result.items():
        result[name] = grid = np.ascontiguousarray(grid, dtype=np.float32)
        if number:
            unbegun = panel.first == length
            if name in known and unbegun.any():
                new = np.broadcast_to(given[name], (series, columns))[:, :length]
                grid[unbegun, :length] = new[unbegun]
            carry(grid, length)
        else:
            np.nan_to_num(grid[:, :length], copy=False, nan=0)
    return result


def _merged(panel: Panel, old: Grid, new: Grid, lines: pl.DataFrame, each: Beside, place: Place) -> Grid:
    """What was known, and over it what the table says; InputError where an item was sold and they differ, or ahead."""
    length = len(panel.dates)
    both = ~np.isnan(old) & ~np.isnan(new)
    both[:, :length] &= panel.values != 0
    if panel.status is not None:
        both[:, :length] &= panel.status != MISSING
    clash = np.argwhere(both & ~np.isclose(old, new, rtol=NEAR, atol=NEAR))
    if len(clash):
        code, period = clash[0]
        here = lines.filter((pl.col("period") == period) & pl.col("code").is_in([0, code]))
        here = here.filter(pl.col("code") == code) if "unique_id" in lines.columns else here
        date = panel.frequency.dates(panel.dates[0], period + 1)[-1]
        raise InputError(
            f"item {panel.ids[code]} has another {each.name} on {date} where it was read before",
            file=place.file,
            row=here["row"][0],
            column=each.column,
            value=here[each.key][0],
            hint="Correct one of the two, or leave out the rows of the history.",
        )
    return np.where(np.isnan(new), old, new)
