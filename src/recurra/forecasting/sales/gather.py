"""From lines to arrays: what was sold, and what goes along, by item and period.

Lines have the columns `code` (the item's number) and `period`, both from 0. Legend: N series, T periods of history, A
periods beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError
from recurra.forecasting.sales.covariates import Covariates
from recurra.forecasting.sales.reading import Place
from recurra.forecasting.sales.wording import plural

__all__ = ["Sums", "carry", "cells_where", "count_columns", "covariates_of", "fill", "grids_of", "sums"]

Sums: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]
MOST_TEXTS: Final = 100  # different ones in a column of which each becomes one of 0 and 1
ROWS: Final = 4096  # of a panel, that are worked on at once


def sums(lines: pl.DataFrame, series: int, length: int) -> Sums:
    """Sum lines by item and period, to the same bits whatever their order.

    Returns the values (N, T), the index of each series' first observation (N,), T where it has none, and the places of
    all observations in the flattened values, sorted.
    """
    cells = lines.select("y", cell=pl.col("code") * length + pl.col("period")).sort("cell", "y")
    cell = cells["cell"].to_numpy()
    begins = np.flatnonzero(np.diff(cell, prepend=-1))
    seen = cell[begins]
    values = np.zeros(series * length, dtype=np.float32)
    values[seen] = np.add.reduceat(cells["y"].to_numpy(), begins)
    first = np.full(series, length, dtype=np.int64)
    rows, at = np.unique(seen // length, return_index=True)
    first[rows] = seen[at] % length
    return values.reshape(series, length), first, seen


def fill(values: NDArray[np.float32], first: NDArray[np.int64], seen: NDArray[np.int64], season: int) -> None:
    """Fill what was not seen from a series' first observation on: with the value a season before, or the one before.

    Where the season before lies ahead of the first observation, there is only the period before.
    """
    known = np.zeros(values.shape, dtype=bool)
    known.reshape(-1)[seen] = True
    for t in range(1, values.shape[1]):
        rows = np.flatnonzero(~known[:, t] & (first < t))
        before = np.where(t - season >= first[rows], t - season, t - 1)
        values[rows, t] = values[rows, before]


def cells_where(lines: pl.DataFrame, column: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where any line of an item and period says yes in `column`: (N, T)."""
    result = np.zeros(shape, dtype=bool)
    yes = lines.filter(pl.col(column)).select("code", "period").to_numpy()
    result[yes[:, 0], yes[:, 1]] = True
    return result


def count_columns(lines: pl.DataFrame) -> int:
    """How many numbers a period of an item has beside its sales."""
    moving = [name for name in lines.columns if name.startswith(("past:", "future:"))]
    return sum(lines[name].n_unique() if lines[name].dtype == pl.String else 1 for name in moving)


def covariates_of(
    lines: pl.DataFrame, ids: Sequence[str], length: int, ahead: int, place: Place
) -> tuple[Covariates, list[str]]:
    """Gather the columns beside the sales of N items over T periods and A more; and say what was done.

    Numbers that an item's period has none of are carried on from the item's last one, or back from its first, within
    the history; an item without any has the middle of the others'. A period without a line has no flags and no texts.
    Beyond the history what is not given is NaN.

    Raises
    ------
    InputError: an item with two values of a lasting attribute, a column with too many texts.
    """
    result, notes = Covariates(), list[str]()
    for key in lines.columns:
        role, _, name = key.partition(":")
        if role == "static":
            known = lasting(lines, key, ids, place)
            target = result.attributes if lines[key].dtype == pl.String else result.measures
            target[name] = known  # type: ignore[assignment]
            notes.append(_said_of_lasting(name, known, ids))
        elif role in ("past", "future"):
            columns = length + (ahead if role == "future" else 0)
            held = lines.filter(pl.col("period") < columns)
            grids, said = grids_of(held, key, (len(ids), columns), length, place)
            target = result.past if role == "past" else result.future
            for each in grids:
                if each in target:
                    raise InputError("two columns become one of this name", file=place.file, column=each)
            target.update(grids)
            notes.append(said)
    return result, notes


def lasting(
    lines: pl.DataFrame, key: str, ids: Sequence[str], place: Place
) -> tuple[str | None, ...] | NDArray[np.float32]:
    """The value that all lines of an item share, (N,); None or NaN where none has any."""
    name = key.partition(":")[2]
    known = lines.filter(pl.col(key).is_not_null()).select("row", "code", value=key).sort("row")
    firsts = known.group_by("code", maintain_order=True).first()
    other = known.join(firsts, on="code", suffix="_first", maintain_order="left")
    other = other.filter(pl.col("value") != pl.col("value_first"))
    if other.height:
        row, code, value, _, before = other.row(0)
        raise InputError(
            f"item {ids[code]} has two values of {name}, and here another than {before!r}",
            file=place.file,
            row=row,
            column=name,
            value=value,
            hint="Give each item one value, or leave the column out of --static (static= in Python).",
        )
    if known["value"].dtype == pl.String:
        names: list[str | None] = [None] * len(ids)
        for code, value in firsts.select("code", "value").iter_rows():
            names[code] = value
        return tuple(names)
    numbers = np.full(len(ids), np.nan, dtype=np.float32)
    numbers[firsts["code"].to_numpy()] = firsts["value"].cast(pl.Float32).to_numpy()
    return numbers


def grids_of(
    lines: pl.DataFrame, key: str, shape: tuple[int, int], length: int, place: Place
) -> tuple[dict[str, NDArray[np.float32]], str]:
    """One column as arrays (N, T + A) by name, its history filled up; and what was done, in a sentence.

    A column without any value becomes one of the name "column=", as if no period had any of its texts.
    """
    role, _, name = key.partition(":")
    ahead = " ahead" if role == "future" else ""
    cell = (lines["code"] * shape[1] + lines["period"]).to_numpy()
    if lines[key].dtype == pl.Float64:
        grid, missing, never = _numbers(lines, key, cell, shape, length)
        said = f"{name} (known{ahead}): numbers, averaged where a period has several"
        said += f"; periods of an item without one: {missing:,}, which take its last one" if missing else ""
        said += f"; items without any: {never:,}, which take the middle of the others'" if never else ""
        return {name: grid}, said + "."
    without = "; a period without a line has none of them"
    if lines[key].dtype == pl.Boolean:
        grid = _flags(cell, cell[lines[key].fill_null(value=False).to_numpy()], shape, length)
        return {
            name: grid
        }, f"{name} (known{ahead}): yes or no, yes if any line of a period says so{without}."
    texts = lines[key].drop_nulls().unique().sort().to_list()
    if len(texts) > MOST_TEXTS:
        raise InputError(
            f"the column has {len(texts):,} different texts, and each becomes a number; {MOST_TEXTS} are the most",
            file=place.file,
            column=name,
            value=texts[0],
            hint="Group them, or leave the column out.",
        )
    grids = {}
    for text in texts:
        yes = (lines[key] == text).fill_null(value=False).to_numpy()
        grids[f"{name}={text}"] = _flags(cell, cell[yes], shape, length)
    if not texts:
        return {f"{name}=": _flags(cell, cell[:0], shape, length)}, f"{name} (known{ahead}): empty."
    many = plural(len(texts), "text")
    shown = ", ".join(texts[:3]) + (", …" if len(texts) > 3 else "")
    return grids, f"{name} (known{ahead}): {many}, a yes or no for each ({shown}){without}."


def _flags(
    lines: NDArray[np.int64], yes: NDArray[np.int64], shape: tuple[int, int], length: int
) -> NDArray[np.float32]:
    """0 and 1, (N, T + A); NaN in the periods beyond the history that have no line."""
    grid = np.zeros(shape, dtype=np.float32)
    grid[:, length:] = np.nan
    grid.reshape(-1)[lines] = 0
    grid.reshape(-1)[yes] = 1
    return grid


def _numbers(
    lines: pl.DataFrame, key: str, cell: NDArray[np.int64], shape: tuple[int, int], length: int
) -> tuple[NDArray[np.float32], int, int]:
    """Means by item and period, to the same bits whatever the lines' order, carried on within the history.

    Returns them, the number of periods of the history without one, and the number of items without any.
    """
    given = pl.DataFrame({"cell": cell, "value": lines[key]}).drop_nulls().sort("cell", "value")
    cells = given["cell"].to_numpy()
    begins = np.flatnonzero(np.diff(cells, prepend=-1))
    grid = np.full(shape, np.nan, dtype=np.float32)
    if len(begins):
        counts = np.diff(np.append(begins, len(cells)))
        grid.reshape(-1)[cells[begins]] = np.add.reduceat(given["value"].to_numpy(), begins) / counts
    return grid, *carry(grid, length)


def carry(grid: NDArray[np.float32], length: int) -> tuple[int, int]:
    """Fill the first `length` periods: with a row's last number, or its first, or else the median of all numbers there.

    Returns how many periods there had none, and how many rows none at all. `grid` (N, T + A) is changed in place.
    """
    missing, never = 0, np.zeros(len(grid), dtype=bool)
    known = grid[:, :length][~np.isnan(grid[:, :length])]
    known = known if len(known) else grid[~np.isnan(grid)]
    middle = np.median(known) if len(known) else np.float32(0)
    for start in range(0, len(grid), ROWS):
        block = grid[start : start + ROWS]
        there = ~np.isnan(block)
        missing += int((~there[:, :length]).sum())
        none = ~there.any(1)
        never[start : start + ROWS] = none
        earliest = np.argmax(there, axis=1)
        last = np.where(there[:, :length], np.arange(length, dtype=np.int32), -1)
        np.maximum.accumulate(last, axis=1, out=last)
        source = np.where(last < 0, earliest[:, None], last)
        block[:, :length] = np.take_along_axis(block, source, axis=1)
        block[none, :length] = middle
    return missing, int(never.sum())


def is_flag(grid: NDArray[np.float32]) -> bool:
    """Whether all numbers are 0 or 1."""
    return bool(((grid == 0) | (grid == 1) | np.isnan(grid)).all())


def _said_of_lasting(
    name: str, known: tuple[str | None, ...] | NDArray[np.float32], ids: Sequence[str]
) -> str:
    if isinstance(known, tuple):
        kinds, none = len({each for each in known if each is not None}), sum(each is None for each in known)
        what = plural(kinds, "text")
    else:
        none, what = int(np.isnan(known).sum()), "numbers"
    without = f"; not known of {none:,} of {len(ids):,} items" if none else ""
    return f"{name} (of each item): {what}{without}."
