from __future__ import annotations

import datetime
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.data import Panel, date_column, frame_like

DAY = datetime.date(2011, 1, 1)
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "online_retail_200.csv.gz"


def day(number: int) -> datetime.date:
    return DAY + datetime.timedelta(days=number)


def panel_of(lines: list[tuple[str, int, float]], **arguments: Any) -> Panel:
    rows = [(item, day(number), amount) for item, number, amount in lines]
    return Panel.from_frame(pl.DataFrame(rows, schema=["item", "date", "qty"], orient="row"), **arguments)


def test_a_small_shop() -> None:
    panel = panel_of([("b", 2, 5), ("a", 0, 1), ("a", 3, 2), ("a", 0, 2.5), ("b", 3, 0)])
    assert panel.ids == ("a", "b")
    assert panel.dates.tolist() == [day(n) for n in range(4)]
    assert panel.values.dtype == np.float32
    np.testing.assert_array_equal(panel.values, [[3.5, 0, 0, 2], [0, 0, 5, 0]])
    assert panel.first.tolist() == [0, 2]
    assert panel.frequency.name == "daily"
    assert not panel.whole
    assert panel.nonnegative
    assert panel.notes[0].startswith("Reading item as item, date as date, qty as quantity")
    assert panel.notes[1:] == (
        "Items: 2. Periods: 4, 2011-01-01 to 2011-01-04.",
        "Frequency daily: dates are mostly 1 day apart.",
        "Lines: 5, summed to 4, one for each item and period.",
        "Periods of an item without a line: 2, counted as zero sales; take them for missing with --gaps missing "
        "(gaps='missing' in Python).",
    )


NAMES = st.sampled_from(["a", "b", "ü", "10", "9"])
LINES = st.lists(st.tuples(NAMES, st.integers(0, 40), st.integers(-50, 200)), min_size=1, max_size=60)


@given(LINES, st.randoms(use_true_random=False), st.sampled_from([pl.DataFrame, pd.DataFrame, pa.table]))
def test_sums_are_those_of_a_dictionary(lines: list[tuple[str, int, int]], random: Any, library: Any) -> None:
    lines = [*lines, ("a", 0, 1), ("b", 41, 1), ("a", 1, 0)]  # always daily, always two dates
    expected: dict[tuple[str, int], float] = defaultdict(float)
    for item, number, amount in lines:
        expected[item, number] += amount
    random.shuffle(lines)
    items, numbers, amounts = (list(column) for column in zip(*lines, strict=True))
    panel = Panel.from_frame(
        library({"sku": items, "date": [day(n) for n in numbers], "units": amounts}), negative="keep"
    )
    assert panel.ids == tuple(sorted(set(items)))
    assert panel.values.shape == (len(panel.ids), 42)
    assert panel.whole
    assert panel.nonnegative == (min(expected.values()) >= 0)
    for row, item in enumerate(panel.ids):
        assert panel.values[row].tolist() == [expected.get((item, n), 0) for n in range(42)]
        assert panel.first[row] == min(n for other, n in expected if other == item)
    floored = Panel.from_frame(library({"sku": items, "date": [day(n) for n in numbers], "units": amounts}))
    np.testing.assert_array_equal(floored.values, np.maximum(panel.values, 0))
    assert floored.nonnegative


@given(st.permutations(range(60)))
def test_the_order_of_rows_does_not_change_a_bit(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    rows = [(str(item), int(number), float(amount)) for item, number, amount in zip(
        rng.integers(0, 3, 60), rng.integers(0, 5, 60), rng.lognormal(0, 9, 60), strict=True
    )]  # fmt: skip
    panel = panel_of(rows)
    shuffled = panel_of([rows[n] for n in order])
    np.testing.assert_array_equal(panel.values, shuffled.values)


def test_pandas_polars_and_pyarrow_are_read_alike_and_get_their_own_back() -> None:
    data = {"item": ["a", "b", "a"], "date": [day(0), day(1), day(3)], "qty": [1.5, 2.0, 3.0]}
    frames = [pl.DataFrame(data), pd.DataFrame(data), pa.table(data), pl.DataFrame(data).lazy()]
    panels = [Panel.from_frame(frame) for frame in frames]
    for panel in panels[1:]:
        assert (panel.ids, panel.notes, panel.frequency) == (
            panels[0].ids,
            panels[0].notes,
            panels[0].frequency,
        )
        np.testing.assert_array_equal(panel.values, panels[0].values)
        np.testing.assert_array_equal(panel.dates, panels[0].dates)
    result = pl.DataFrame({"unique_id": ["a", "b"], "ds": [day(0), day(1)], "mean": [0.5, 1.5]})
    for frame, library in zip(frames, (pl.DataFrame, pd.DataFrame, pa.Table, pl.DataFrame), strict=True):
        back = frame_like(frame, result)
        assert isinstance(back, library)
        assert (back if library is pl.DataFrame else pl.DataFrame(back)).cast({"ds": pl.Date}).equals(result)
    assert frame_like(pd.DataFrame(data), result)["ds"].dtype.kind == "M"
    assert frame_like(None, result) is result


def test_cancellations_are_paired_when_there_is_an_invoice_column() -> None:
    frame = pl.DataFrame({
        "Invoice": ["1", "2", "C3", "4"],
        "StockCode": ["a", "b", "a", "b"],
        "InvoiceDate": [day(0), day(1), day(2), day(3)],
        "Quantity": [10, 4, -6, -1],
        "Customer ID": ["x", "y", "x", "y"],
    })  # fmt: skip
    panel = Panel.from_frame(frame)
    np.testing.assert_array_equal(panel.values, [[4, 0, 0, 0], [0, 4, 0, 0]])
    assert any(note.startswith("Cancelled lines (invoices C…): 1 over 6") for note in panel.notes)
    summed = Panel.from_frame(frame, cancellations="keep", negative="keep")
    np.testing.assert_array_equal(summed.values, [[10, 0, -6, 0], [0, 4, 0, -1]])
    assert not summed.nonnegative
    floored = Panel.from_frame(frame, cancellations="keep")
    np.testing.assert_array_equal(floored.values, [[10, 0, 0, 0], [0, 4, 0, 0]])
    assert any(
        note.startswith("Periods of an item with more returns than sales: 2") for note in floored.notes
    )
    nothing = frame.filter(pl.col("StockCode") == "a").with_columns(Quantity=pl.Series([6, -6]))
    with pytest.raises(InputError, match="every sale was cancelled"):
        Panel.from_frame(nothing)


def test_constant_and_all_zero_series_are_series() -> None:
    panel = panel_of([("a", n, 3) for n in range(5)] + [("b", n, 0) for n in range(1, 5)])
    np.testing.assert_array_equal(panel.values, [[3] * 5, [0] * 5])
    assert panel.first.tolist() == [0, 1]
    assert panel.whole
    assert panel.nonnegative


def test_a_table_without_items_is_one_series() -> None:
    frame = pl.DataFrame({"month": ["2011-01", "2011-02", "2011-04"], "sales": [1, 2, 3]})
    panel = Panel.from_frame(frame)
    assert panel.ids == ("all",)
    assert panel.frequency.name == "monthly"
    np.testing.assert_array_equal(panel.values, [[1, 2, 0, 3]])
    assert 'everything as one item called "all"' in panel.notes[0]


def test_frequencies_that_are_given() -> None:
    lines = [("a", n, 1.0) for n in range(40)]  # 2011-01-01 is a Saturday
    weekly = panel_of(lines, frequency="weekly")
    assert weekly.values.tolist() == [[2, 7, 7, 7, 7, 7, 3]]
    assert str(weekly.dates[0]) == "2010-12-27"
    assert "The last period is incomplete: its last day of sales is 2011-02-09." in weekly.notes
    monthly = panel_of(lines, frequency="m")
    assert monthly.values.tolist() == [[31, 9]]
    assert "The last period is incomplete: its last day of sales is 2011-02-09." in monthly.notes
    assert not any(
        "incomplete" in note
        for note in panel_of(lines[:30] + lines[30:31] + [("a", -1, 1)], frequency="m").notes
    )
    sundays = panel_of([("a", 7 * n + 1, 1.0) for n in range(5)], frequency="weekly")
    assert sundays.dates.astype(object)[0] == day(1)
    assert not any("incomplete" in note for note in sundays.notes)


def test_hours() -> None:
    moments = pd.date_range("2011-01-01", periods=50, freq="h")
    panel = Panel.from_frame(pd.DataFrame({"ds": moments, "y": range(50)}))
    assert panel.frequency.name == "hourly"
    assert panel.dates.dtype == np.dtype("datetime64[s]")
    np.testing.assert_array_equal(panel.dates, moments.to_numpy().astype("datetime64[s]"))
    assert date_column(panel.dates).to_list() == moments.to_pydatetime().tolist()
    assert date_column(panel.dates[:1].astype("datetime64[D]"), "day").to_list() == [DAY]


def test_too_little(tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("item,date,qty\na,2011-01-01,1\n")
    with pytest.raises(InputError, match="only one date, at least two are needed") as caught:
        Panel.from_file(file)
    assert (caught.value.file, caught.value.column) == (str(file), "date")
    with pytest.raises(InputError, match="only one date"):
        panel_of([("a", 0, 1), ("b", 0, 2)])
    with pytest.raises(InputError, match="one monthly period, at least two") as caught:
        panel_of([("a", 0, 1), ("a", 9, 2)], frequency="monthly")
    assert caught.value.value == "2011-01-01"


def test_a_wrong_year_is_named_before_memory_is_asked_for(tmp_path: Path) -> None:
    rows = [f"item {n},2011-01-0{n % 9 + 1} {hour:02}:00,1" for n in range(400) for hour in range(24)]
    file = tmp_path / "sales.csv"
    file.write_text("\n".join(["item,date,qty", *rows[:30], "item 5,2211-01-01 00:00,1", *rows[30:]]))
    with pytest.raises(InputError, match="400 items") as caught:
        Panel.from_file(file, frequency="hourly")
    error = caught.value
    assert (error.file, error.row, error.column) == (str(file), 32, "date")
    assert error.value == "2211-01-01 00:00:00"


def test_arguments_that_do_not_fit() -> None:
    for arguments in (
        {"negative": "drop"},
        {"cancellations": "drop"},
        {"gaps": "drop"},
        {"frequency": "often"},
    ):
        with pytest.raises(UsageError):
            panel_of([("a", 0, 1), ("a", 1, 1)], **arguments)


def test_gaps_are_missing_when_told_so() -> None:
    lines = [("a", n, float(n)) for n in (1, 2, 3, 4, 5, 6, 7, 9, 18)] + [("b", 8, 5.0), ("b", 10, 6.0)]
    panel = panel_of(lines, gaps="missing")
    before = [1, 2, 3, 4, 5, 6, 7, 1, 9, 3, 4, 5, 6, 7, 1, 9, 3, 18]
    assert panel.values[0].tolist() == before
    assert panel.values[1, 7:].tolist() == [5, 5, 6, 6, 6, 6, 6, 5, 5, 6, 6]
    assert not panel.values[1, :7].any()
    said = "Periods of an item without a line: 18, taken for missing and filled with what the item sold one season"
    assert any(note.startswith(said) for note in panel.notes)


def test_until_and_select() -> None:
    panel = panel_of([("a", 0, 1), ("b", 2, 5), ("a", 3, 2), ("c", 1, 4)])
    earlier = panel.until(2)
    assert earlier.ids == ("a", "c")
    np.testing.assert_array_equal(earlier.values, [[1, 0], [0, 4]])
    assert earlier.first.tolist() == [0, 1]
    assert len(earlier.dates) == 2
    some = panel.select(["c", "a"])
    assert some.ids == ("c", "a")
    np.testing.assert_array_equal(some.values, [[0, 4, 0, 0], [1, 0, 0, 2]])
    assert some.first.tolist() == [1, 0]
    with pytest.raises(InputError, match="no such item") as caught:
        panel.select(["a", "z"])
    assert caught.value.value == "z"
    for t in (0, 5, -1):
        with pytest.raises(UsageError, match="between 1 and 4"):
            panel.until(t)


def test_the_shipped_example() -> None:
    panel = Panel.from_file(EXAMPLE)
    assert panel.values.shape == (200, 739)
    assert panel.whole
    assert panel.nonnegative
    assert [str(date) for date in panel.dates[[0, -1]]] == ["2009-12-01", "2011-12-09"]
    closed = ~panel.values.any(axis=0)
    assert closed.sum() == 135
    weekdays = np.array([date.weekday() for date in panel.dates.astype(object)])
    assert closed[weekdays == 5].sum() == (weekdays == 5).sum() - 1
    assert (panel.values > 0).sum(axis=1).min() == 405
    assert EXAMPLE.stat().st_size < 1_000_000
