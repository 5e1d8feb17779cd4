"""Sales beyond memory: a table is gone through twice in batches, for what stands in it and for the sums.

Memory is bounded by the panel, one batch, and each different item, date and quantity once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import InputError
from recurra.forecasting.sales.columns import Columns, find_columns
from recurra.forecasting.sales.frames import as_text
from recurra.forecasting.sales.gather import Sums
from recurra.forecasting.sales.invoices import CREDIT
from recurra.forecasting.sales.lines import Checks
from recurra.forecasting.sales.reading import Place, Reading

__all__ = ["Contents", "look_through", "sum_batches"]

BATCH = 500_000  # lines


@dataclass(frozen=True)
class Contents:
    """What stands in a table, each different value once, beside what it means.

    Attributes
    ----------
    columns: which column is what.
    items: unique_id (as it stands), item (text).
    dates: ds (as it stands), moment (Datetime[us]), row (Int64, the first).
    quantities: y (as it stands), number (Float64).
    lines: how many there are without empty ones.
    credits: there are invoice numbers that start with C.
    notes: what was decided, in sentences.
    """

    columns: Columns
    items: pl.DataFrame
    dates: pl.DataFrame
    quantities: pl.DataFrame
    lines: int
    credits: bool
    notes: list[str]


def look_through(scan: pl.LazyFrame, reading: Reading, place: Place) -> Contents:
    """Go through a table once; raises as `sales_lines` does."""
    names = scan.collect_schema().names()
    found = find_columns(names, reading.columns, file=place.file)
    distinct: dict[str, pl.DataFrame] = {}
    rows = lines = 0
    credits = False
    for batch, height in _batches(scan, found, place):
        rows, lines = rows + height, lines + batch.height
        if "invoice" in batch.columns and not credits:
            credits = bool(as_text(batch["invoice"]).str.contains(CREDIT).any())
        for role in ("unique_id", "ds", "y"):
            if role in batch.columns:
                parts = [distinct[role]] if role in distinct else []
                parts.append(batch.select(role, "row"))
                distinct[role] = pl.concat(parts).group_by(role).agg(pl.col("row").min())
    if lines == 0:
        raise InputError("there are no rows of data", file=place.file)
    tables = {role: table.sort("row") for role, table in distinct.items()}
    moments, notes = Checks(tables["ds"], place).moments(found.ds, reading.date_format)
    items = pl.DataFrame({"unique_id": ["all"], "item": ["all"]})
    if found.unique_id is not None:
        items = tables["unique_id"].with_columns(
            Checks(tables["unique_id"], place).ids(found.unique_id).alias("item")
        )
    numbers, said = Checks(tables["y"], place).quantities(found.y, reading)
    blank = rows - lines
    return Contents(
        columns=found,
        items=items.select("unique_id", "item"),
        dates=tables["ds"].with_columns(moments.alias("moment")),
        quantities=tables["y"].select("y", numbers.alias("number")),
        lines=lines,
        credits=credits,
        notes=[found.sentence, *notes, *said, *([f"Empty rows: {blank:,}, left out."] if blank else [])],
    )


def sum_batches(
    scan: pl.LazyFrame, contents: Contents, place: Place, periods: NDArray[np.int64]
) -> tuple[tuple[str, ...], Sums]:
    """Sum a table by item and period, going through it again; returns the items and what `gather.sums` does.

    Parameters
    ----------
    periods: the period of each of `contents.dates`, from 0.
    """
    ids = contents.items["item"].unique().sort()
    places = pl.DataFrame({"item": ids, "code": np.arange(len(ids))})
    items = contents.items.join(places, on="item").select("unique_id", "code")
    dates = contents.dates.select("ds", period=pl.Series(periods))
    length = int(periods.max()) + 1
    totals = np.zeros(len(ids) * length)
    known = np.zeros(len(totals), dtype=bool)
    for batch, _ in _batches(scan, contents.columns, place):
        named = batch if "unique_id" in batch.columns else batch.with_columns(unique_id=pl.lit("all"))
        cells = (
            named.join(items, on="unique_id", maintain_order="left")
            .join(dates, on="ds", maintain_order="left")
            .join(contents.quantities, on="y", maintain_order="left", nulls_equal=True)
            .select("number", cell=pl.col("code") * length + pl.col("period"))
        )
        cell = cells["cell"].to_numpy()
        np.add.at(totals, cell, cells["number"].to_numpy())
        known[cell] = True
    seen = np.flatnonzero(known)
    row, column = np.divmod(seen, length)
    first = column[np.searchsorted(row, np.arange(len(ids)))]
    values = totals.astype(np.float32).reshape(len(ids), length)
    return tuple(ids.to_list()), (values, first.astype(np.int64), seen)


def _batches(scan: pl.LazyFrame, found: Columns, place: Place) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield the lines of each batch by their roles, with `row`, without empty ones; and its height with them."""
    roles = {role: name for role, name in vars(found).items() if name is not None and role != "customer"}
    picked = scan.select(pl.col(name).alias(role) for role, name in roles.items())
    numbered = picked.with_row_index("row", offset=1 + place.header_rows)
    empty = pl.all_horizontal(pl.col(role).is_null() for role in roles)
    for batch in numbered.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming"):
        typed = batch.with_columns(
            pl.col("row").cast(pl.Int64), pl.col(pl.Categorical, pl.Enum).cast(pl.String)
        )
        yield typed.filter(~empty), batch.height
