from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from small_shop import shop

from recurra.errors import InputError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.stock.arrivals import due_on_order

IDS = ("apple", "pear")
DATES = np.arange("2025-03-03", "2025-03-13", dtype="datetime64[D]").astype("datetime64[s]")


def due(table: Any, intervals: tuple[int, int] = (3, 5)) -> tuple[dict[str, float], list[str]]:
    on_hand, known, notes = due_on_order(0, table, IDS, DATES, intervals)
    assert on_hand == 0
    return known, notes


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_what_arrives_in_time_counts(library: Any) -> None:
    days = [datetime.date(2025, 3, day) for day in (1, 5, 6, 7, 8)]
    table = library(
        {"unique_id": ["apple"] * 3 + ["pear"] * 2, "on_order": [1, 2, 4, 8, 16], "arrives": days}
    )
    known, notes = due(table)
    # Apple's interval ends with the 5th, pear's with the 7th; what was due before the first day arrives now.
    assert known == {"apple": 3, "pear": 8}
    assert notes == ["20 units on order, of 2 of 2 items, arrive too late to count."]


def test_text_and_empty_cells() -> None:
    table = pl.DataFrame({"unique_id": IDS, "on_order": ["3", "4"], "arrives": ["2025-03-12", None]})
    assert due(table)[0] == {"apple": 0, "pear": 4}


def test_without_dates_nothing_changes() -> None:
    assert due_on_order(5, {"apple": 3}, IDS, DATES, (1, 1)) == (5, {"apple": 3}, [])
    assert due_on_order(5, None, IDS, DATES, (1, 1)) == (5, None, [])


@pytest.mark.parametrize("bad", ["soon", "31.02.2025"])
def test_what_is_no_date_is_named(bad: str) -> None:
    with pytest.raises(InputError, match="arrives of item 'apple' is no date"):
        due(pl.DataFrame({"unique_id": ["apple"], "on_order": [3], "arrives": [bad]}))


def test_a_plan_orders_what_comes_too_late_again(fitted: Forecaster) -> None:
    end = shop().dates[-1].astype("datetime64[D]").item()
    for days, counted in ((2, 7), (4, 0)):
        table = pl.DataFrame(
            {
                "unique_id": ["item 03"],
                "on_hand": [1],
                "on_order": [7],
                "arrives": [end + datetime.timedelta(days)],
            }
        )
        plan = fitted.plan_stock(on_hand=table, lead_time=1, review=2)
        row = plan.frame.filter(pl.col("unique_id") == "item 03").row(0, named=True)
        assert (row["on_hand"], row["on_order"]) == (1, counted)
        assert any("too late" in note for note in plan.notes) is (counted == 0)
