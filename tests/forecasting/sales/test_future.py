"""What is known ahead from a second table, and whether it reaches far enough."""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.future import check_ahead, with_future
from recurra.forecasting.sales.items import with_items
from recurra.forecasting.sales.joined import read_all
from recurra.forecasting.sales.reading import Reading

NAN = np.nan
PRICED = Reading(future=["price", "promo"])
SALES = pl.DataFrame({
    "item": ["a", "a", "b", "b"],
    "date": ["2011-01-01", "2011-01-03", "2011-01-02", "2011-01-03"],
    "qty": [1, 2, 3, 4],
    "price": [1.5, 2.0, 5.0, 5.0],
    "promo": ["half", None, None, "half"],
})  # fmt: skip


def day(number: int) -> str:
    return str(datetime.date(2011, 1, 1) + datetime.timedelta(days=number))


def table(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows of item, day from 2011-01-01 on, price, promo."""
    dated = [(item, day(n), *rest) for item, n, *rest in rows]
    return pl.DataFrame(
        dated, schema=["item", "date", "price", "promo"], orient="row", infer_schema_length=None
    )


AHEAD = table(("a", 3, 2.5, "half"), ("a", 4, 3.0, None), ("b", 3, 6.0, None), ("b", 4, 6.5, None))


@pytest.fixture
def panel() -> Panel:
    return Panel.from_frame(SALES, future=["price", "promo"])


def assert_future(panel: Panel, expected: dict[str, Any]) -> None:
    assert panel.covariates.future.keys() == expected.keys()
    for name, each in panel.covariates.future.items():
        assert each.dtype == np.float32
        np.testing.assert_array_equal(each, np.array(expected[name], dtype=np.float32), err_msg=name)


def test_a_table_of_prices(panel: Panel, tmp_path: Path) -> None:
    assert panel.covariates.future["price"].shape == (2, 3)
    expected = {
        "price": [[1.5, 1.5, 2, 2.5, 3], [5, 5, 5, 6, 6.5]],
        "promo=half": [[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]],
    }
    file = tmp_path / "ahead.csv"
    AHEAD.write_csv(file)
    for ahead in (
        AHEAD,
        AHEAD.to_arrow(),
        AHEAD.to_pandas(),
        pd.read_csv(file),
        file,
        str(file),
        AHEAD[::-1],
    ):
        joined = with_future(panel, ahead, PRICED)
        assert_future(joined, expected)
        assert joined.notes[-1] == "Known ahead, to 2011-01-05: price, promo."
        np.testing.assert_array_equal(joined.values, panel.values)
    check_ahead(joined, ["price", "promo=half"], 2)


def test_it_says_the_same_as_lines_of_the_sales_without_a_quantity(panel: Panel) -> None:
    lines = pl.concat([SALES, AHEAD.with_columns(qty=None).select(SALES.columns)], how="vertical_relaxed")
    in_one = Panel.from_frame(lines, future=["price", "promo"])
    in_two = with_future(panel, AHEAD, PRICED)
    assert_future(in_two, {name: each.tolist() for name, each in in_one.covariates.future.items()})


def test_what_ends_too_early_is_named(panel: Panel) -> None:
    with pytest.raises(
        InputError, match="price of item a ends on 2011-01-03, the forecast needs it to 2011-01-04"
    ):
        check_ahead(panel, ["price"], 1)
    some = with_future(panel, AHEAD[[0, 1, 2]], PRICED)
    with pytest.raises(InputError) as caught:
        check_ahead(some, ["price", "promo=half"], 2)
    error = caught.value
    assert error.what == "the column price of item b ends on 2011-01-04, the forecast needs it to 2011-01-05"
    assert error.column == "price"
    assert "from 2011-01-05 on" in str(error)
    check_ahead(some, ["price", "promo=half"], 1)
    check_ahead(some, ["promo=never seen"], 1)  # the column is there, this text of it is not
    with pytest.raises(InputError, match="no column weather"):
        check_ahead(some, ["weather=rain"], 1)
    holey = with_future(panel, table(("a", 3, 1.0, ""), ("a", 5, 1.0, ""), ("b", 3, 1.0, ""), ("b", 4, 1.0, ""),
                                     ("b", 5, 1.0, "")), PRICED)  # fmt: skip
    with pytest.raises(
        InputError, match="price of item a ends on 2011-01-04, the forecast needs it to 2011-01-06"
    ):
        check_ahead(holey, ["price"], 3)
    empty = with_future(panel, table(("a", 3, None, "half"), ("b", 3, 2.0, None)), PRICED)
    with pytest.raises(InputError, match="column price of item a ends on 2011-01-03"):
        check_ahead(empty, ["promo=half", "price"], 1)


def test_texts_that_the_sales_do_not_have(panel: Panel) -> None:
    joined = with_future(panel, table(("a", 3, 1.0, "double"), ("b", 4, 2.0, "half")), PRICED)
    assert_future(joined, {
        "price": [[1.5, 1.5, 2, 1, NAN], [5, 5, 5, NAN, 2]],
        "promo=half": [[1, 0, 0, 0, NAN], [0, 0, 1, NAN, 1]],
        "promo=double": [[0, 0, 0, 1, NAN], [0, 0, 0, NAN, 0]],
    })  # fmt: skip
    numbers = pl.DataFrame({"item": ["a"], "date": [day(3)], "price": [1.0], "promo": [7]})
    assert "promo=7" in with_future(panel, numbers, PRICED).covariates.future


def test_a_column_that_is_empty_ahead(panel: Panel) -> None:
    joined = with_future(panel, table(("a", 3, 1.0, None), ("b", 3, 2.0, "")), PRICED)
    assert joined.covariates.future["promo=half"].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    check_ahead(joined, ["promo=half", "price"], 1)
    nothing = with_future(panel, table(("a", 3, None, None), ("b", 3, None, "half")), PRICED)
    np.testing.assert_array_equal(nothing.covariates.future["price"][:, 3:], NAN)
    sales = Panel.from_frame(SALES.with_columns(promo=pl.lit(None, pl.String)), future=["price", "promo"])
    assert sales.covariates.future["promo="].tolist() == [[0] * 3] * 2
    assert "promo (known ahead): empty." in sales.notes
    check_ahead(with_future(sales, AHEAD, PRICED), ["promo=half"], 2)
    with pytest.raises(InputError, match="no column promo, or nothing in it"):
        check_ahead(sales, ["promo"], 2)


def test_a_table_that_begins_in_the_history(panel: Panel) -> None:
    rows = table(("a", -3, 9.0, None), ("a", 0, 1.5, "half"), ("a", 1, 1.75, "half"), ("a", 3, 2.5, None))
    joined = with_future(panel, rows, PRICED)
    assert joined.covariates.future["price"][0].tolist() == [1.5, 1.75, 2, 2.5]
    assert joined.covariates.future["promo=half"][0].tolist() == [1, 1, 0, 0]
    assert joined.notes[-1] == "Rows of the future before the history: 1, left out."


def test_a_table_that_contradicts(panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "ahead.csv"
    table(("a", 3, 2.5, None), ("a", 2, 2.5, None)).write_csv(file)
    with pytest.raises(InputError, match="item a has another price on 2011-01-03") as caught:
        with_future(panel, file, PRICED)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (str(file), 3, "price", "2.5")
    with pytest.raises(InputError, match="item b has another promo on 2011-01-03"):
        with_future(panel, table(("b", 2, 5.0, None)), PRICED)
    once = with_future(panel, AHEAD, PRICED)
    with pytest.raises(InputError, match="item b has another price on 2011-01-05"):
        with_future(once, table(("b", 4, 6.25, None)), PRICED)
    assert_future(with_future(once, AHEAD, PRICED), once.covariates.future)


def test_a_table_for_all_items(panel: Panel) -> None:
    holidays = pl.DataFrame({"day": [day(n) for n in range(5)], "holiday": ["no", "yes", "no", "no", "yes"]})
    joined = with_future(panel, holidays, Reading(future=["holiday"]))
    assert joined.covariates.future["holiday"].tolist() == [[0, 1, 0, 0, 1]] * 2
    np.testing.assert_array_equal(joined.covariates.future["price"][:, 3:], NAN)
    assert "The table of the future has no column of items: it holds for all." in joined.notes
    check_ahead(joined, ["holiday"], 2)
    one = pl.DataFrame({"date": [day(3), day(3)], "price": [1.0, 2.0]})
    with pytest.raises(InputError, match="no column looks like the item"):
        with_future(panel, one, Reading(future=["price"]))


def test_a_column_that_the_sales_have_not() -> None:
    sales = SALES.drop("price", "promo")
    prices = table(
        *(("a", n, 1.5 + n, "half") for n in range(1, 5)), ("b", 0, 4.0, None), ("b", 3, 5.0, None)
    )
    joined = read_all(sales, PRICED, future=prices)
    assert_future(joined, {
        "price": [[2.5, 2.5, 3.5, 4.5, 5.5], [4, 4, 4, 5, NAN]],
        "promo=half": [[0, 1, 1, 1, 1], [0, 0, 0, 0, NAN]],
    })  # fmt: skip
    with pytest.raises(InputError, match="no such column for --future promo"):
        read_all(sales, PRICED, future=prices.drop("promo"))
    items = pl.DataFrame({"item": ["a"], "kind": ["x"], "price": [1.0], "promo": ["half"]})
    with pytest.raises(InputError, match="no such column for --future price"):  # of items, not of periods
        read_all(sales, Reading(static=["kind"], future=["price", "promo"]), items=items)
    both = read_all(sales, Reading(static=["kind"], future=["price", "promo"]), future=prices, items=items)
    assert both.covariates.attributes == {"kind": ("x", None)}
    assert both.covariates.future.keys() == joined.covariates.future.keys()
    assert read_all(joined, PRICED) is joined


def test_items_that_were_never_sold_take_their_prices(panel: Panel) -> None:
    grown = with_items(panel, pl.DataFrame({"item": ["new"], "kind": ["x"]}), Reading(static=["kind"]))
    joined = with_future(grown, table(("new", 3, 9.0, "half")), PRICED)
    assert joined.covariates.future["price"][2].tolist() == [9] * 4
    assert joined.covariates.future["promo=half"][2].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("rows", "what", "row", "column", "value"),
    [
        ([("c", 3, 1.0, None)], "no such item in the sales", 2, "item", "c"),
        ([(None, 3, 1.0, None)], "the item is empty", 2, "item", None),
        ([("a", None, 1.0, None)], "the date is empty", 2, "date", None),
        ([("a", 3, "cheap", None), ("b", 3, "1", "")], "text, and that of the sales numbers", None, "price", None),
        ([("a", -9, 1.0, None)], "all dates lie before", 2, None, "2010-12-23 00:00:00"),
        ([], "no rows of data", None, None, None),
    ],
)  # fmt: skip
def test_bad_tables(
    panel: Panel,
    tmp_path: Path,
    rows: list[Any],
    what: str,
    row: int | None,
    column: str | None,
    value: str | None,
) -> None:
    file = tmp_path / "ahead.csv"
    dated = [(item, None if n is None else day(n), *rest) for item, n, *rest in rows]
    schema = {"item": pl.String, "date": pl.String, "price": pl.String, "promo": pl.String}
    text = [tuple(None if each is None else str(each) for each in line) for line in dated]
    pl.DataFrame(text, schema=schema, orient="row").write_csv(file)
    with pytest.raises(InputError, match=what) as caught:
        with_future(panel, file, PRICED)
    assert (caught.value.file, caught.value.row, caught.value.column, caught.value.value) == (
        str(file), row, column, value,
    )  # fmt: skip


def test_missing_columns_and_arguments(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such column for --future promo"):
        with_future(panel, AHEAD.drop("promo"), PRICED)
    with pytest.raises(InputError, match="no column looks like the date"):
        with_future(panel, AHEAD.drop("date"), PRICED)
    with pytest.raises(UsageError, match="none is named"):
        with_future(panel, AHEAD, Reading())
    monkeypatch.setattr("recurra.forecasting.sales.future.LARGEST", 500)
    with pytest.raises(InputError, match="2 items over 304 periods are more numbers") as caught:
        with_future(panel, table(("a", 3, 1.0, None), ("a", 303, 1.0, None)), PRICED)
    assert caught.value.row == 2


def test_columns_named_in_the_reading_and_other_frequencies() -> None:
    sales = SALES.rename({"item": "thing", "date": "when"})
    reading = Reading(columns={"item": "thing", "date": "when"}, frequency="monthly", future=["price"])
    monthly = pl.concat([sales, sales.with_columns(when=pl.lit("2011-02-07"))])
    panel = read_all(monthly, reading, future=AHEAD.with_columns(date=pl.lit("2011-03-20")))
    assert panel.covariates.future["price"].tolist() == [[1.75, 1.75, 2.75], [5, 5, 6.25]]


TEXTS = st.sampled_from([None, "", "1", "2.5", "0", "half", "yes", "1,5", "nan", "£3"])
ROW = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from([*(day(n) for n in range(-2, 9)), None]),
    TEXTS,
    TEXTS,
)


@settings(max_examples=40)
@given(st.lists(ROW, max_size=8), st.booleans(), st.integers(0, 9), st.integers(1, 6))
def test_any_table_gives_a_panel_or_an_error_for_a_person(
    rows: list[Any], everywhere: bool, seed: int, horizon: int
) -> None:
    panel = Panel.from_frame(SALES, future=["price", "promo"])
    schema = dict.fromkeys(("item", "date", "price", "promo"), pl.String)
    random.Random(seed).shuffle(rows)
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    try:
        joined = with_future(panel, frame.drop("item") if everywhere else frame, PRICED)
        shapes = {each.shape for each in joined.covariates.future.values()}
        assert len(shapes) == 1
        for each in joined.covariates.future.values():
            assert np.isfinite(each[:, :3]).all()
        check_ahead(joined, list(joined.covariates.future), horizon)
    except InputError:
        return
    for each in joined.covariates.future.values():
        assert np.isfinite(each[:, 3 : 3 + horizon]).all()
        assert each.shape[1] >= 3 + horizon
