"""Orders under way that say when they arrive: which of them come in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError
from recurra.forecasting.stock.inventory import read_number

__all__ = ["due_on_order"]


def due_on_order(
    on_hand: Any, on_order: Any, ids: Sequence[str], dates: NDArray[np.datetime64], intervals: Sequence[int]
) -> tuple[Any, Any, list[str]]:
    """Leave out what arrives too late, where a table of on_order (or of on_hand) has a column `arrives`, of dates.

    Of item n counts what arrives in the first `intervals[n]` of the periods that begin at `dates` (H,); what should
    have arrived before counts as arriving now. An item may have several rows in a table of on_order. Returns on_hand,
    on_order and what was left out, in sentences. Raises InputError for a date or an amount that cannot be read.
    """
    name = "on_order" if on_order is not None else "on_hand"
    frame = nw.from_native(on_hand if on_order is None else on_order, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or not {"unique_id", "on_order", "arrives"} <= set(frame.columns):
        return on_hand, on_order, []
    places = {item: place for place, item in enumerate(ids)}
    known: dict[str, float] = {}
    late, units = set(), 0.0
    for row in frame.select("unique_id", "on_order", "arrives").iter_rows(named=True):
        item = str(row["unique_id"])
        amount = read_number("on_order", row["on_order"], f"item {item!r}")
        known.setdefault(item, 0.0)
        place = places.get(item)
        if place is not None and amount and _period(row["arrives"], dates, item) >= intervals[place]:
            late.add(item)
            units += amount
        else:
            known[item] += amount
    notes = []
    if late:
        notes.append(
            f"{units:,.10g} units on order, of {len(late):,} of {len(ids):,} items, arrive too late to count."
        )
    return (frame.drop("on_order").to_native() if name == "on_hand" else on_hand), known, notes


def _period(arrives: Any, dates: NDArray[np.datetime64], item: str) -> int:
    """In which period a date lies, 0 for the first and all before it; no date is now."""
    if arrives is None or arrives == "":
        return 0
    try:
        date = np.datetime64(arrives, "s")
    except (TypeError, ValueError) as error:
        hint = "Write dates as 2026-03-31, or leave the cell empty for what arrives now."
        what = f"arrives of item {item!r} is no date"
        raise InputError(what, column="arrives", value=arrives, hint=hint) from error
    if np.isnat(date):
        return 0
    return max(int(np.searchsorted(dates.astype("datetime64[s]"), date, side="right")) - 1, 0)
