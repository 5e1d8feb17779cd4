"""A table beside that of the sales: its rows by item, by date, or both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import narwhals as nw
import polars as pl

from recurra.errors import InputError
from recurra.forecasting.sales.beside import Beside, typed
from recurra.forecasting.sales.columns import date_column_of, item_column, like
from recurra.forecasting.sales.frames import as_table, numbered, series
from recurra.forecasting.sales.lines import Checks
from recurra.forecasting.sales.reading import Place, Reading
from recurra.sources import Source
from recurra.sources.table import read_source

__all__ = ["SecondTable"]


@dataclass(frozen=True)
class SecondTable:
    """A table that is read beside the sales, and where it comes from.

    Attributes
    ----------
    frame: its columns.
    place: where it comes from, for errors.
    notes: what was decided on the way here, in sentences.
    """

    frame: pl.DataFrame | nw.DataFrame[Any]
    place: Place = field(default_factory=Place)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Any) -> Self:
        """Open a frame (pandas, Polars, PyArrow), a file's path, a Source, or what is open already."""
        if isinstance(table, cls):
            return table
        if not isinstance(table, str | os.PathLike | Source):
            return cls(as_table(table))
        notes: list[str] = []
        source = table if isinstance(table, Source) else Source(table)
        read = read_source(source, say=notes.append)
        return cls(read.frame, Place(source, read.header_rows), tuple(notes))

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return list(self.frame.columns)

    def key(self, role: str, reading: Reading, beside: Sequence[Beside]) -> str | None:
        """The column of the item (unique_id) or the date (ds): the one that `reading` names, or found by name.

        Raises InputError where several might be it, and where there is none for the date.
        """
        aliases = {"unique_id": ("unique_id", "item"), "ds": ("ds", "date")}[role]
        for alias in aliases:
            named = (reading.columns or {}).get(alias)
            if named is not None and (found := like(self.names, named)) is not None:
                return found
        taken = [each.column for each in beside]
        others = [name for name in self.names if name not in taken]
        find = item_column if role == "unique_id" else date_column_of
        return find(others, file=self.place.file)

    def rows(self, keys: dict[str, str | None], beside: Sequence[Beside], reading: Reading) -> pl.DataFrame:
        """Its rows: row, the `keys` unique_id (text) and ds (Datetime[us]) where there are such, and those `beside`.

        Rows without any value are left out. Raises InputError for a value that cannot be used.
        """
        used = {role: name for role, name in keys.items() if name is not None}
        picked = [series(self.frame[name]).alias(role) for role, name in used.items()]
        picked += [series(self.frame[each.column], numbers=not each.text).alias(each.key) for each in beside]
        kept = numbered(picked, self.place.header_rows)
        kept = kept.filter(~pl.all_horizontal(pl.all().exclude("row").is_null()))
        if kept.height == 0:
            raise InputError("there are no rows of data", file=self.place.file)
        checks, columns = Checks(kept, self.place), [kept["row"]]
        if "unique_id" in used:
            columns.append(checks.ids(used["unique_id"]))
        if "ds" in used:
            columns.append(checks.moments(used["ds"], reading.date_format)[0])
        read = replace(
            reading, decimal="." if self._is_database and reading.decimal is None else reading.decimal
        )
        columns += [typed(kept[each.key], kept["row"], each, read, self.place) for each in beside]
        return pl.DataFrame(columns)

    @property
    def _is_database(self) -> bool:
        return isinstance(self.place.file, Source) and self.place.file.is_database
