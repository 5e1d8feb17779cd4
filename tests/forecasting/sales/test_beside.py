"""What stands in a sales table beside item, date and quantity: what kind it is, and what it says of each period."""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.reading import Reading

NAN = np.nan
LINES = """item,date,qty,price,promo,size,category,out
a,2011-01-01,3,2.5,,1.5,food,no
a,2011-01-02,1,2.5,half price,1.5,food,no
a,2011-01-04,,2.0,,1.5,food,yes
a,2011-01-05,2,,,1.5,food,no
b,2011-01-02,7,1,,,toys,no
b,2011-01-03,7,2,,4,toys,no
b,2011-01-03,7,1,new,4,toys,yes
"""
AHEAD = """a,2011-01-06,,2.0,half price,1.5,food,
a,2011-01-07,,3.0,,1.5,food,
b,2011-01-06,,1.5,,4,toys,
c,2011-01-06,,9,,4,toys,
"""
ALL: dict[str, Any] = {
    "static": ["category", "size"],
    "past": ["promo"],
    "future": ["price"],
    "stock_out": "out",
}


def read(tmp_path: Path, text: str, **reading: Any) -> Panel:
    file = tmp_path / "sales.csv"
    file.write_text(text)
    return Panel.from_file(file, **reading)


def panel_of(rows: list[dict[str, Any]], **reading: Any) -> Panel:
    """A panel of lines that tell what is not the usual: item a, one sold, days from 2011-01-01 on."""
    whole = [{"item": "a", "qty": 1} | row | {"date": day(row["date"])} for row in rows]
    return Panel.from_frame(pl.DataFrame(whole, infer_schema_length=None), **reading)


def day(number: int) -> datetime.date:
    return datetime.date(2011, 1, 1) + datetime.timedelta(days=number)


def test_a_table_with_all_of_it(tmp_path: Path) -> None:
    panel = read(tmp_path, LINES + AHEAD, **ALL)
    assert panel.ids == ("a", "b", "c")
    assert panel.first.tolist() == [0, 1, 5]
    assert panel.values.tolist() == [[3, 1, 0, 0, 2], [0, 7, 14, 0, 0], [0] * 5]
    assert panel.status is not None
    assert panel.status.tolist() == [[0, 0, 0, AT_LEAST, 0], [0, 0, AT_LEAST, 0, 0], [OBSERVED] * 5]
    known = panel.covariates
    assert known.attributes == {"category": ("food", "toys", "toys")}
    assert known.measures["size"].tolist() == [1.5, 4, 4]
    assert known.past.keys() == {"promo=half price", "promo=new"}
    assert known.past["promo=half price"].tolist() == [[0, 1, 0, 0, 0], [0] * 5, [0] * 5]
    assert known.past["promo=new"].tolist() == [[0] * 5, [0, 0, 1, 0, 0], [0] * 5]
    np.testing.assert_array_equal(
        known.future["price"],
        [
            [2.5, 2.5, 2.5, 2, 2, 2, 3],  # carried on over days without a line or a price
            [1, 1, 1.5, 1.5, 1.5, 1.5, NAN],  # back to before the first; two lines averaged
            [9, 9, 9, 9, 9, 9, NAN],
        ],
    )
    for said in (
        "category (of each item): 2 texts.",
        "size (of each item): numbers.",
        "promo (known): 2 texts, a yes or no for each (half price, new); a period without a line has none of them.",
        "price (known ahead): numbers, averaged where a period has several; periods of an item without one: 10, which "
        "take its last one.",
        "Out of stock: out says when: yes, true or 1.",
        "Periods of an item out of stock: 2; as much as was sold or more was wanted then.",
        "Items that were never sold: 1.",
    ):
        assert said in panel.notes, said
    plain = read(tmp_path, LINES.replace("04,,", "04,0,"))
    assert plain.status is None
    assert plain.covariates == type(plain.covariates)()


def test_pandas_polars_and_pyarrow_say_the_same(tmp_path: Path) -> None:
    panel = read(tmp_path, LINES + AHEAD, **ALL)
    table = pl.read_csv(tmp_path / "sales.csv", try_parse_dates=True)
    typed = table.with_columns(out=pl.col("out") == "yes")
    for frame in (table, typed, typed.to_arrow(), pd.read_csv(tmp_path / "sales.csv"), typed.to_pandas()):
        assert_same(Panel.from_frame(frame, **ALL), panel)
    assert isinstance(typed.to_arrow(), pa.Table)


def assert_same(panel: Panel, other: Panel) -> None:
    for one, two in ((panel, other), (panel.covariates, other.covariates)):
        for name, value in vars(one).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(two, name), err_msg=name)
            elif isinstance(value, dict) and name != "attributes":
                assert value.keys() == getattr(two, name).keys()
                for key, array in value.items():
                    np.testing.assert_array_equal(array, getattr(two, name)[key], err_msg=key)
            elif name not in ("covariates", "notes"):
                assert value == getattr(two, name), name
    assert panel.notes == other.notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2, 3], {"x": [1.5, 2, 3, 3]}),
        ([1, 0, 1], {"x": [1, 0, 1, 0]}),
        ([True, None, True], {"x": [1, 0, 1, 0]}),
        (["yes", "No", " Y"], {"x": [1, 0, 1, 0]}),
        (["1,5", "2", ""], {"x": [1.5, 2, 2, 2]}),
        (["1'000", "2", "3"], {"x": [1000, 2, 3, 3]}),
        (["0", "a", "b"], {"x=0": [1, 0, 0, 0], "x=a": [0, 1, 0, 0], "x=b": [0, 0, 1, 0]}),
        (["", "sale ", "sale"], {"x=sale": [0, 1, 1, 0]}),
        ([NAN, 2.5, NAN], {"x": [2.5] * 4}),
        ([NAN, None, NAN], {"x=": [0] * 4}),
        ([None, None, None], {"x=": [0] * 4}),
        (["nan", "", "NaN"], {"x=": [0] * 4}),
    ],
)
def test_kinds_of_columns(values: list[Any], expected: dict[str, list[float]]) -> None:
    rows = [{"date": n, "x": value} for n, value in enumerate(values)]
    other = [{"date": 3, "item": "b", "x": values[1]}]
    for role in ("past", "future"):
        found = getattr(panel_of([*rows, *other], **{role: ["x"]}).covariates, role)
        assert {name: each[0].tolist() for name, each in found.items()} == expected


def test_numbers_that_are_names() -> None:
    rows = [{"item": "a", "date": 0, "store": 7}, {"item": "b", "date": 1, "store": 12}]
    assert panel_of(rows, static=["store"]).covariates.measures["store"].tolist() == [7, 12]
    assert panel_of(rows, static=["store:text"]).covariates.attributes == {"store": ("7", "12")}
    assert panel_of(rows, past=["store:text"]).covariates.past.keys() == {"store=7", "store=12"}


def test_several_lines_a_period() -> None:
    rows = [{"date": 0, "x": 1.0, "f": 0, "out": 5}, {"date": 0, "x": 4.0, "f": 1, "out": 0}]
    rows += [{"date": 0, "x": None, "f": None, "out": None}, {"date": 1, "x": 2.0, "f": 0, "out": 9}]
    panel = panel_of(rows, past=["x", "f"], stock_out="out")
    assert panel.covariates.past["x"].tolist() == [[2.5, 2]]
    assert panel.covariates.past["f"].tolist() == [[1, 0]]
    assert panel.status is not None
    assert panel.status.tolist() == [[AT_LEAST, OBSERVED]]


@pytest.mark.parametrize(
    ("values", "out"),
    [
        ([True, False, None], [1, 0, 0]),
        ([1, 0, 1], [1, 0, 1]),
        (["yes", "no", ""], [1, 0, 0]),
        (["TRUE", "f", "Y"], [1, 0, 1]),
        (["1", "0", "0"], [1, 0, 0]),
        (["yes", "0", "no"], [1, 0, 0]),
        ([12, 0, 3], [0, 1, 0]),
        (["12", "-1", ""], [0, 1, 0]),
        ([2.5, 0.25, 0.0], [0, 0, 1]),
        ([None, None, None], [0, 0, 0]),
    ],
)
def test_what_says_that_an_item_was_out_of_stock(values: list[Any], out: list[int]) -> None:
    panel = panel_of([{"date": n, "left": value} for n, value in enumerate(values)], stock_out="left")
    assert panel.status is not None
    assert panel.status.tolist() == [[AT_LEAST if each else OBSERVED for each in out]]


def test_what_does_not_say_it() -> None:
    for values, bad in ((["yes", "perhaps", "no"], "perhaps"), ([0.5, 1.0, 0.0], "0.5")):
        rows = [{"date": n, "left": value} for n, value in enumerate(values)]
        with pytest.raises(InputError, match="say whether the item was out of stock") as caught:
            panel_of(rows, stock_out="left")
        assert (caught.value.row, caught.value.column) == (values.index(type(values[0])(bad)) + 1, "left")
        assert caught.value.value == bad


def test_gaps_that_are_missing_are_marked() -> None:
    rows = [{"date": 0}, {"date": 3}, {"item": "b", "date": 2}, {"item": "b", "date": 3}]
    panel = panel_of(rows, gaps="missing")
    assert panel.status is not None
    assert panel.status.tolist() == [[0, MISSING, MISSING, 0], [0] * 4]
    assert panel_of(rows).status is None
    marked = panel_of(
        [each | {"out": int(each["date"] == 3)} for each in rows], gaps="missing", stock_out="out"
    )
    assert marked.status is not None
    assert marked.status.tolist() == [[0, MISSING, MISSING, AT_LEAST], [0, 0, 0, AT_LEAST]]


def test_lines_without_a_quantity() -> None:
    rows = [{"date": 0}, {"date": 1, "qty": None}, {"date": 2}, {"date": 3, "qty": None}]
    rows = [each | {"price": 1.0 + n, "out": n == 1} for n, each in enumerate(rows)]
    panel = panel_of(rows, future=["price"], stock_out="out")
    assert panel.values.tolist() == [[1, 0, 1]]
    assert panel.covariates.future["price"].tolist() == [[1, 2, 3, 4]]
    assert (
        "Lines behind their item's last quantity: 1, to 2011-01-04, for what is known ahead." in panel.notes
    )
    for reading, row in (
        ({"future": ["price"]}, 2),
        ({"stock_out": "out"}, 4),
        ({"past": ["price"]}, 2),
        ({}, 2),
    ):
        with pytest.raises(InputError, match="the quantity is empty") as caught:
            panel_of(rows, **reading)
        assert (caught.value.row, caught.value.column) == (row, "qty")
        assert "Write 0" in str(caught.value)
    with pytest.raises(
        InputError, match="the quantity is empty"
    ):  # not behind the last quantity, but beside it
        panel_of(
            [*rows, {"date": 2, "qty": None, "price": 1.0, "out": False}], future=["price"], stock_out="out"
        )
    with pytest.raises(InputError, match="no line has a quantity"):
        panel_of([each | {"qty": None} for each in rows], future=["price"])


def test_an_item_that_ends_early_and_is_known_further(tmp_path: Path) -> None:
    rows = [{"date": n, "item": "b", "price": 2.0} for n in range(5)]
    rows += [{"date": 0, "price": 1.0}, *({"date": n, "qty": None, "price": float(n)} for n in range(1, 7))]
    panel = panel_of(rows, future=["price"])
    assert panel.values.tolist() == [[1, 0, 0, 0, 0], [1] * 5]
    np.testing.assert_array_equal(
        panel.covariates.future["price"], [[1, 1, 2, 3, 4, 5, 6], [2] * 5 + [NAN] * 2]
    )


def test_cancelled_lines_say_nothing() -> None:
    rows = [
        {"date": 0, "invoice": "1", "qty": 4, "price": 5.0},
        {"date": 0, "invoice": "2", "qty": 3, "price": 3.0},
        {"date": 1, "invoice": "C3", "qty": -4, "price": 7.0},
        {"date": 2, "invoice": "4", "qty": -1, "price": 0.0},
        {"date": 2, "invoice": "5", "qty": 1, "price": 2.0},
        {"date": 3, "invoice": None, "qty": None, "price": 8.0},
    ]
    panel = panel_of(rows, future=["price"])
    assert panel.values.tolist() == [[3, 0, 1]]
    assert panel.covariates.future["price"].tolist() == [[3, 3, 2, 8]]


def test_select_and_until_take_it_along(tmp_path: Path) -> None:
    panel = read(tmp_path, LINES + AHEAD, **ALL)
    some = panel.until(2).select(["b"])
    assert some.status is not None
    assert some.status.shape == (1, 2)
    assert some.covariates.attributes == {"category": ("toys",)}
    assert some.covariates.past["promo=new"].shape == (1, 2)
    assert some.covariates.future["price"].shape == (1, 7)


@pytest.mark.parametrize(
    ("change", "reading", "what", "row", "column", "hint"),
    [
        (("", ""), {"static": ["categry"]}, "no such column for --static", None, "categry", "Did you mean category"),
        (("", ""), {"stock_out": "gone"}, "no such column for --stock-out gone", None, "gone", "The columns are"),
        (("07,,3.0", "07,,3.0 EUR"), ALL, "a unit or a currency sign", 10, "price", "price:text"),
        (("1,2.5,half", "1,soon,half"), ALL, "the value is not a number", 3, "price", "price:text"),
        (("1,2.5,half", "1,inf,half"), ALL, "no finite number", 3, "price", "empty it"),
        (("1,2.5,half", "1,1e20,half"), ALL, "too large", 3, "price", "empty it"),
        (("05,2,,,1.5,food", "05,2,,,1.5,fod"), ALL, "item a has two values of category", 5, "category", "--static"),
        (("05,2,,,1.5", "05,2,,,1.25"), ALL, "item a has two values of size", 5, "size", "--static"),
    ],
)  # fmt: skip
def test_bad_columns(
    tmp_path: Path,
    change: tuple[str, str],
    reading: dict[str, Any],
    what: str,
    row: int | None,
    column: str,
    hint: str,
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path, (LINES + AHEAD).replace(*change), **reading)
    error = caught.value
    assert (error.file, error.row, error.column) == (str(tmp_path / "sales.csv"), row, column)
    assert hint in str(error.hint)


def test_columns_that_cannot_be_used() -> None:
    rows = [{"date": n, "many": f"text {n}", "days": day(n)} for n in range(101)]
    for name, what in (("many", "101 different texts"), ("days", "holds Date")):
        with pytest.raises(InputError, match=what) as caught:
            panel_of(rows, past=[name])
        assert caught.value.column == name
    twice = [{"date": n, "a": "b", "a=b": 1.5} for n in range(2)]
    with pytest.raises(InputError, match="two columns become one"):
        panel_of(twice, past=["a", "a=b"])


def test_what_is_read_beside_is_no_item_and_no_date() -> None:
    rows = [{"date": 0, "article": "x", "week": 1.5}, {"date": 1, "article": "x", "week": 2.5}]
    panel = panel_of(rows, static=["article"], past=["week"])
    assert panel.ids == ("a",)
    assert panel.covariates.attributes == {"article": ("x",)}
    for reading in ({"past": ["qty"]}, {"static": ["item"]}, {"stock_out": "date"}):
        with pytest.raises(UsageError, match="one column cannot be the"):
            panel_of(rows, **reading)
    with pytest.raises(UsageError, match="cannot be week of --past and Week of --future"):
        panel_of(rows, past=["week"], future=["Week"])


def test_too_many_numbers_are_refused_before_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"date": n, "price": 1.5, "promo": text} for n, text in enumerate("abcd")]
    rows.append({"date": 300, "qty": None, "price": 2.5, "promo": "a"})
    monkeypatch.setattr("recurra.forecasting.sales.data.LARGEST", 1000)
    with pytest.raises(
        InputError, match="1 items over 301 daily periods with 5 columns beside their sales"
    ) as caught:
        panel_of(rows, future=["price", "promo"])
    assert (caught.value.row, caught.value.column) == (5, "date")


@pytest.mark.parametrize(
    "arguments",
    [
        {"static": "category"},
        {"past": {"a": 1}},
        {"future": [1]},
        {"future": [":text"]},
        {"past": ["x"], "future": ["x"]},
        {"past": ["x", "x:text"]},
        {"stock_out": ["x"]},
        {"stock_out": ""},
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Reading(**arguments)
    with pytest.raises(UsageError):
        Forecaster(**arguments).check_arguments()


TEXTS = st.sampled_from(["", "yes", "no", "0", "1", "2.5", "1,5", "1.234", "nan", "inf", "half", "5 kg", "é"])
ROW = st.tuples(
    st.sampled_from(["a", "b", "ü", ""]),
    st.integers(0, 9),
    st.sampled_from(["1", "0", "-2", "3.5", "", ""]),
    TEXTS, TEXTS, TEXTS, TEXTS,
)  # fmt: skip
NAMES = ("item", "date", "qty", "one", "two", "three", "four")


@settings(max_examples=40)
@given(
    rows=st.lists(ROW, min_size=1, max_size=12),
    roles=st.lists(
        st.sampled_from(["static", "past", "future", "stock_out", "none"]), min_size=4, max_size=4
    ),
    text=st.booleans(),
    gaps=st.sampled_from(["zero", "missing"]),
    seed=st.integers(0, 99),
)
def test_any_frame_gives_a_panel_or_an_error_for_a_person(
    rows: list[Any], roles: list[str], text: bool, gaps: str, seed: int
) -> None:
    reading: dict[str, Any] = {"gaps": gaps}
    for name, role in zip(NAMES[3:], roles, strict=True):
        if role in ("static", "past", "future"):
            reading.setdefault(role, []).append(f"{name}:text" if text else name)
        elif role == "stock_out":
            reading["stock_out"] = name
    # items and dates that make it a panel, most of the time
    rows = [*rows, ("a", 0, "1", "", "", "", ""), ("a", 9, "1", "", "", "", "")]
    table = [(item, day(date), *rest) for item, date, *rest in rows]
    shuffled = table.copy()
    random.Random(seed).shuffle(shuffled)

    def panel(lines: list[Any]) -> Panel | type[RecurraError]:
        try:
            return Panel.from_frame(pl.DataFrame(lines, schema=list(NAMES), orient="row"), **reading)
        except (InputError, UsageError) as error:
            return type(error)

    found, again = panel(table), panel(shuffled)
    if not isinstance(found, Panel):
        assert found == again
        return
    assert isinstance(again, Panel)
    assert_same(again, found)
    series, periods = len(found.ids), len(found.dates)
    widths = {each.shape for each in found.covariates.future.values()}
    assert len(widths) <= 1
    for each in (*found.covariates.past.values(), *found.covariates.future.values()):
        assert each.dtype == np.float32
        assert each.shape[0] == series
        assert np.isfinite(each[:, :periods]).all()
    assert (found.status is None) or (found.status.shape == found.values.shape)
    assert all(len(each) == series for each in found.covariates.attributes.values())
