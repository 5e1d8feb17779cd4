"""The columns beside item, date and quantity: which they are, of what kind, and what they say in each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.columns import like, named_column
from recurra.forecasting.sales.frames import as_text
from recurra.forecasting.sales.numbers import looks_like_numbers, parse_numbers
from recurra.forecasting.sales.reading import TEXT, Place, Reading

__all__ = ["STOCK_OUT", "Beside", "find_beside", "refuse_roles", "stock_outs", "typed"]

BIGGEST = 1e15
_YES, _NO = ("yes", "y", "true", "t"), ("no", "n", "false", "f")
_WORDS = {"static": "--static", "past": "--past", "future": "--future", "stock_out": "--stock-out"}
STOCK_OUT: Final = "stock_out"


@dataclass(frozen=True)
class Beside:
    """One of these columns.

    Attributes
    ----------
    role: static, past, future or stock_out.
    name: what it is called among the covariates: as it was asked for, so that it is the same for every table.
    column: what it is called in the table.
    text: it holds names even where they are numbers.
    """

    role: str
    name: str
    column: str
    text: bool = False

    @property
    def key(self) -> str:
        """Its name among the columns of lines."""
        return self.role if self.role == STOCK_OUT else f"{self.role}:{self.name}"


def find_beside(
    names: Sequence[str],
    reading: Reading,
    *,
    file: object = None,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
) -> list[Beside]:
    """Say which of a table's columns `names` are those that `reading` asks for.

    `elsewhere` has by role (static, future) the columns of another table: what stands there alone is left out.

    Raises
    ------
    InputError: a column that is not there.
    UsageError: two names that are one column's.
    """
    asked = {"static": reading.static, "past": reading.past, "future": reading.future}
    asked[STOCK_OUT] = () if reading.stock_out is None else (reading.stock_out,)
    found: list[Beside] = []
    for role, columns in asked.items():
        other = (elsewhere or {}).get(role, ())
        for name in columns:
            text = role != STOCK_OUT and name.endswith(TEXT) and name not in names
            plain = name.removesuffix(TEXT) if text else name
            if like(names, plain) is None and like(other, plain) is not None:
                continue
            column = named_column(names, plain, f"{_WORDS[role]} {name}", file=file)
            for each in found:
                if each.column == column and role != STOCK_OUT:
                    what = f"one column cannot be {each.name} of {_WORDS[each.role]} and {name} of {_WORDS[role]}"
                    raise UsageError(what, file=file, column=column)
            found.append(Beside(role, plain, column, text))
    return found


def refuse_roles(beside: Sequence[Beside], roles: dict[str, str], *, file: object = None) -> None:
    """Raise the error for a column that is item, date or quantity as well."""
    words = {"unique_id": ("item", "--item"), "ds": ("date", "--date"), "y": ("quantity", "--quantity")}
    for each in beside:
        for role, (word, option) in words.items():
            if roles.get(role) == each.column:
                what = f"one column cannot be the {word} and {_WORDS[each.role]} at once"
                hint = f"Say which is the {word} with {option} NAME (columns={{{role!r}: …}} in Python)."
                raise UsageError(what, file=file, column=each.column, hint=hint)


def typed(given: pl.Series, rows: pl.Series, each: Beside, reading: Reading, place: Place) -> pl.Series:
    """Return a column as what it is: Float64, Boolean or String, null where a cell is empty; String if all are.

    Numbers of 0 and 1 alone are yes and no. Text is numbers where more than half of its different values are, yes
    and no where all say so.

    Raises
    ------
    InputError: a value that is not of the column's kind (with its row).
    """
    values = _read(given, rows, each, reading, place)
    if values.null_count() == len(values):
        return values.cast(pl.String).alias(each.key)
    if values.dtype == pl.Float64:
        bad = (~values.is_finite() | (values.abs() > BIGGEST)).fill_null(value=False)
        if bad.any():
            infinite = not np.isfinite(values.filter(bad)[0])
            what = "this is no finite number" if infinite else "this is too large"
            at = {"row": int(rows.filter(bad)[0]), "value": given.filter(bad)[0]}
            raise InputError(what, file=place.file, column=each.column, hint="Correct it, or empty it.", **at)
        if values.is_in([0.0, 1.0]).all():
            values = values.cast(pl.Boolean)
    return values.alias(each.key)


def _read(given: pl.Series, rows: pl.Series, each: Beside, reading: Reading, place: Place) -> pl.Series:
    if each.text:
        return as_text(given.alias(each.column))
    if given.dtype == pl.Boolean:
        return given
    if given.dtype.is_numeric():
        return given.cast(pl.Float64).fill_nan(None)
    if given.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        what = f"the column holds {given.dtype}, neither numbers nor text"
        raise InputError(what, file=place.file, column=each.column, hint="Convert it, or leave it out.")
    text = as_text(given)
    there = text.is_not_null()
    distinct = text.unique().drop_nulls()
    if not len(distinct):
        return text
    if distinct.str.to_lowercase().is_in([*_YES, *_NO]).all():
        return text.str.to_lowercase().is_in(_YES)
    if not looks_like_numbers(distinct):
        return text
    try:
        numbers, _ = parse_numbers(
            text.filter(there),
            rows.filter(there),
            decimal=reading.decimal,
            unit=None,
            file=place.file,
            column=each.column,
            words=("value", "values"),
        )
    except InputError as error:
        hint = f"{error.hint} If it holds names, ask for it as {each.name}{TEXT}."
        at = {"file": error.file, "column": error.column, "value": error.value}
        raise InputError(error.what, row=error.row, hint=hint, **at) from error
    result = np.full(len(text), np.nan)
    result[there.to_numpy()] = numbers.to_numpy()
    return pl.Series(result).fill_nan(None)


def stock_outs(
    given: pl.Series, rows: pl.Series, each: Beside, reading: Reading, place: Place
) -> tuple[pl.Series, str]:
    """Return for each line whether the item was out of stock, and how that was read.

    Yes and no, true and false, 1 and 0 say it as they stand. Any other numbers are units in stock, of which 0 or fewer
    are none. An empty cell says no.

    Raises
    ------
    InputError: a value that says neither, or shares between 0 and 1.
    """
    values = typed(given, rows, each, reading, place)
    hint = "Write yes or no, true or false, 1 or 0, or how many units were in stock."
    if values.dtype == pl.String:
        words = values.str.to_lowercase()
        bad = ~words.is_in([*_YES, *_NO, "0", "1"]).fill_null(value=True)
        if bad.any():
            what = "this does not say whether the item was out of stock"
            at = {"row": int(rows.filter(bad)[0]), "value": given.filter(bad)[0]}
            raise InputError(what, file=place.file, column=each.column, hint=hint, **at)
        values = words.is_in([*_YES, "1"])
    how = f"{each.column} says when: yes, true or 1"
    if values.dtype == pl.Float64:
        parts = ((values > 0) & (values < 1)).fill_null(value=False)
        if parts.any() and values.max() <= 1:  # type: ignore[operator]
            at = {"row": int(rows.filter(parts)[0]), "value": given.filter(parts)[0]}
            what = "a share does not say whether the item was out of stock"
            raise InputError(what, file=place.file, column=each.column, hint=hint, **at)
        values, how = values <= 0, f"{each.column} holds units in stock, of which 0 are none"
    return values.fill_null(value=False).alias(each.key), how
