"""Attributes of items from a table of their own, and items that were never sold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.beside import find_beside
from recurra.forecasting.sales.covariates import OBSERVED, Covariates
from recurra.forecasting.sales.data import LARGEST, Panel
from recurra.forecasting.sales.gather import carry, is_flag, lasting
from recurra.forecasting.sales.reading import Reading
from recurra.forecasting.sales.second_table import SecondTable

__all__ = ["with_items"]


def with_items(panel: Panel, table: Any, reading: Reading) -> Panel:
    """Join a table of items, a row for each, to a panel: their attributes, and the items that were never sold.

    Parameters
    ----------
    table: a frame (pandas, Polars, PyArrow), a file's path or a Source; the item, and columns of `reading.static`.
    reading: names the columns.

    Returns
    -------
    The panel with its items and the table's, sorted. An item that was never sold has zeros and begins behind the
    history (`first` = T). An item without a row has the attributes that its lines have, or none (None, NaN), which is
    said.

    Raises
    ------
    InputError: a column that neither table has, an item twice with different values, or otherwise than in its lines.
    UsageError: `reading.static` is empty.
    """
    if not reading.static:
        hint = "Name them with --static COLUMN (static=[…] in Python)."
        raise UsageError("a table of items is read for its columns, and none is named", hint=hint)
    opened = SecondTable.of(table)
    place, had = opened.place, {**panel.covariates.attributes, **panel.covariates.measures}
    beside = find_beside(
        opened.names, Reading(static=reading.static), file=place.file, elsewhere={"static": tuple(had)}
    )
    beside = [replace(each, text=each.text or each.name in panel.covariates.attributes) for each in beside]
    item = opened.key("unique_id", reading, beside)
    if item is None:
        hint = "Say which with --item NAME (columns={'unique_id': …} in Python)."
        raise InputError("no column looks like the item", file=place.file, hint=hint)
    rows = opened.rows({"unique_id": item}, beside, reading)
    ids = sorted({*panel.ids, *rows["unique_id"]})
    grown = _grown(panel, ids, place.file)
    codes = pl.DataFrame({"unique_id": ids, "code": np.arange(len(ids))})
    rows = rows.join(codes, on="unique_id", maintain_order="left")
    attributes, measures = dict(grown.covariates.attributes), dict(grown.covariates.measures)
    for each in beside:
        if each.name in had and rows[each.key].null_count() == rows.height:
            continue
        found = lasting(rows, each.key, ids, place)
        if isinstance(found, tuple) and each.name in measures:
            what = "the column holds text, and that of the sales numbers"
            raise InputError(what, file=place.file, column=each.column)
        before = attributes.get(each.name, measures.get(each.name))
        both = found if before is None else _both(before, found, rows, each.name, ids, place.file)
        if isinstance(found, tuple):
            attributes[each.name] = tuple(both)
        else:
            measures[each.name] = np.array(both, dtype=np.float32)
    joined = replace(grown, covariates=replace(grown.covariates, attributes=attributes, measures=measures))
    return replace(joined, notes=(*panel.notes, *opened.notes, *_said(panel, rows)))


def _both(
    before: Iterable[Any], found: Iterable[Any], rows: pl.DataFrame, name: str, ids: list[str], file: object
) -> list[Any]:
    """What the sales say of each item, or else the table; InputError where they differ."""
    result = []
    for code, (old, new) in enumerate(zip(before, found, strict=True)):
        if _known(old) and _known(new) and old != new:
            row = rows.filter(pl.col("code") == code)["row"][0]
            what = f"item {ids[code]} has {name} {old} in its sales, and here another"
            raise InputError(what, file=file, row=row, column=name, value=new, hint="Correct one of the two.")
        result.append(old if _known(old) else new)
    return result


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float | np.floating) and np.isnan(value))


def _grown(panel: Panel, ids: list[str], file: object) -> Panel:
    """The panel with the items `ids`, sorted; those that it had not are not begun."""
    periods, known = len(panel.dates), panel.covariates
    if ids == list(panel.ids):
        return panel
    width = periods * (1 + len(known.past)) + sum(each.shape[1] for each in known.future.values())
    if len(ids) * width > LARGEST:
        what = (
            f"{len(ids):,} items over {periods:,} periods are more numbers than recurra holds ({LARGEST:,})"
        )
        raise InputError(what, file=file, hint="Leave the items out that are not to be forecast.")
    had = np.isin(ids, panel.ids)
    index = np.flatnonzero(had)
    place = {name: n for n, name in enumerate(panel.ids)}
    order = np.array([place[ids[n]] for n in index], dtype=np.int64)

    def rows(array: NDArray[Any], value: float) -> NDArray[Any]:
        result = np.full((len(ids), *array.shape[1:]), value, dtype=array.dtype)
        result[index] = array[order]
        return result

    def moving(grid: NDArray[np.float32]) -> NDArray[np.float32]:
        result = rows(grid, np.nan)
        if is_flag(grid[:, :periods]):
            result[~had, :periods] = 0
        else:
            carry(result, periods)
        return result

    names = {name: dict(zip(panel.ids, each, strict=True)) for name, each in known.attributes.items()}
    return replace(
        panel,
        ids=tuple(ids),
        values=rows(panel.values, 0),
        first=rows(panel.first, periods),
        status=None if panel.status is None else rows(panel.status, OBSERVED),
        covariates=Covariates(
            attributes={name: tuple(each.get(item) for item in ids) for name, each in names.items()},
            measures={name: rows(each, np.nan) for name, each in known.measures.items()},
            past={name: moving(each) for name, each in known.past.items()},
            future={name: moving(each) for name, each in known.future.items()},
        ),
    )


def _said(panel: Panel, rows: pl.DataFrame) -> list[str]:
    told, notes = set(rows["unique_id"]), []
    if new := sorted(told - set(panel.ids)):
        notes.append(f"Items that were never sold, from the table of items: {len(new):,} ({_few(new)}).")
    if without := sorted(set(panel.ids) - told):
        notes.append(f"Items without a row in the table of items: {len(without):,} ({_few(without)}).")
    return notes


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
