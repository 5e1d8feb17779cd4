"""The stock a shop has: a number, a mapping or a frame, read into one row per item of the forecast."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError

__all__ = ["Inventory", "read_inventory", "read_number"]


@dataclass(frozen=True)
class Inventory:
    """The stock on hand and on order of N items, (N,) each, in units; and what was assumed about it."""

    on_hand: NDArray[np.float64]
    on_order: NDArray[np.float64]
    notes: tuple[str, ...]


def read_inventory(on_hand: object, on_order: object, ids: Sequence[str]) -> Inventory:
    """Read what is on hand and on order for `ids`.

    Each is a number (the same for every item), a mapping from item to number, or a data frame with the
    columns unique_id and on_hand or on_order; a frame given as `on_hand` may hold both. `on_order=None` is
    0 or the frame's column. Items are compared as text. An item that is not listed has 0, which `notes`
    says. A negative on_hand means sales still to be delivered. Raises InputError for an unknown or repeated
    item and for a value that is no finite number (numbers as text are read), UsageError for anything else
    that cannot be read.
    """
    frame = nw.from_native(on_hand, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame) and "on_order" in frame.columns:
        if on_order is not None:
            hint = "Drop the column or the argument."
            raise UsageError("on_order is given twice: as a column of on_hand and as an argument", hint=hint)
        on_order = on_hand
    held, held_notes = _read("on_hand", on_hand, ids)
    ordered, ordered_notes = _read("on_order", 0 if on_order is None else on_order, ids)
    if (ordered < 0).any():
        worst = int(ordered.argmin())
        raise InputError(
            f"on_order of item {ids[worst]!r} is negative",
            value=f"{ordered[worst]:g}",
            hint="Give what was ordered and has not arrived; 0 where there is none.",
        )
    notes = held_notes if on_order is on_hand else held_notes + ordered_notes
    short = int((held < 0).sum())
    if short:
        notes.append(
            f"{_items(short)} with a negative on_hand: read as sales still to be delivered, ordered on top."
        )
    return Inventory(held, ordered, tuple(notes))


def _read(name: str, given: object, ids: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    if _is_number(given):
        return np.full(len(ids), read_number(name, given, "every item")), []
    if isinstance(given, Mapping):
        pairs: Iterable[tuple[object, object]] = given.items()
    else:
        frame = nw.from_native(given, eager_only=True, pass_through=True)
        if not isinstance(frame, nw.DataFrame):
            raise UsageError(
                f"{name} cannot be read from {_article(type(given).__name__)}",
                hint=f"Give a number, a mapping from item to number, or a frame with unique_id and {name}.",
            )
        for column in ("unique_id", name):
            if column not in frame.columns:
                found = ", ".join(frame.columns[:10])
                raise InputError(f"the stock has no such column; it has {found}", column=column)
        pairs = zip(frame["unique_id"].to_list(), frame[name].to_list(), strict=True)
    return _match(name, pairs, ids)


def _match(
    name: str, pairs: Iterable[tuple[object, object]], ids: Sequence[str]
) -> tuple[NDArray[np.float64], list[str]]:
    known: dict[str, float] = {}
    for item, value in pairs:
        if str(item) in known:
            hint = "Give each item once; sum over shops or bins first."
            raise InputError(f"{name} lists an item twice", value=item, hint=hint)
        known[str(item)] = read_number(name, value, f"item {str(item)!r}")
    unknown = sorted(known.keys() - set(ids))
    if unknown:
        near = difflib.get_close_matches(unknown[0], ids, n=1)
        close = f"Did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"{name} lists {_items(len(unknown))} that the model has no forecast for: {_some(unknown)}",
            hint=f"{close}Leave out what is not in the sales history.",
        )
    missing = [item for item in ids if item not in known]
    notes = []
    if missing:
        notes.append(f"{len(missing)} of {len(ids)} items have no {name} ({_some(missing)}): counted as 0.")
    return np.array([known.get(item, 0.0) for item in ids], dtype=np.float64), notes


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def read_number(name: str, value: object, where: str) -> float:
    """A finite number of units, also of text; InputError naming `name` and `where` otherwise."""
    try:
        # Tables read from text files hold their numbers as text.
        number = float(value) if isinstance(value, str) or _is_number(value) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        hint = "Give a finite number of units; 0 where there is none."
        raise InputError(f"{name} of {where} is no number", value=value, hint=hint)
    return number


def _some(items: Sequence[str]) -> str:
    return ", ".join(repr(item) for item in items[:3]) + (", …" if len(items) > 3 else "")


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
