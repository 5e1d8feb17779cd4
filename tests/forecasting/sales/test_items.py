"""Attributes from a table of items, and items that were never sold."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.items import with_items
from recurra.forecasting.sales.joined import read_all
from recurra.forecasting.sales.reading import Reading

DAYS = [datetime.date(2011, 1, n) for n in (1, 2, 3)]
SALES = pl.DataFrame({
    "item": ["b", "b", "d"],
    "date": DAYS,
    "qty": [1, 2, 3],
    "kind": ["tea", "tea", None],
    "size": [1.5, None, 4.0],
    "price": [2.0, 3.0, 8.0],
    "promo": [1, 0, 1],
    "out": [0, 1, 0],
})  # fmt: skip
READING = Reading(static=["kind", "size"])
ITEMS = pl.DataFrame({"sku": ["a", "b", "e"], "kind": ["milk", "tea", None], "size": [1.0, 1.5, 9.0]})


def test_attributes_are_joined_and_items_added() -> None:
    panel = Panel.from_frame(
        SALES, static=["kind", "size"], past=["promo"], future=["price"], stock_out="out"
    )
    joined = with_items(panel, ITEMS, READING)
    assert joined.ids == ("a", "b", "d", "e")
    assert joined.first.tolist() == [3, 0, 2, 3]
    assert joined.values.tolist() == [[0] * 3, [1, 2, 0], [0, 0, 3], [0] * 3]
    assert joined.status is not None
    assert joined.status.tolist() == [[0] * 3, [0, 1, 0], [0] * 3, [0] * 3]
    known = joined.covariates
    assert known.attributes == {"kind": ("milk", "tea", None, None)}
    np.testing.assert_array_equal(known.measures["size"], np.array([1, 1.5, 4, 9], dtype=np.float32))
    assert known.past["promo"].tolist() == [[0] * 3, [1, 0, 0], [0, 0, 1], [0] * 3]
    middle = np.median([2, 3, 3, 8, 8, 8])
    assert known.future["price"].tolist() == [[middle] * 3, [2, 3, 3], [8, 8, 8], [middle] * 3]
    assert joined.notes[-2:] == (
        "Items that were never sold, from the table of items: 2 (a, e).",
        "Items without a row in the table of items: 1 (d).",
    )
    assert joined.until(3).ids == ("b", "d")


def test_attributes_that_only_the_table_has(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item,kind,weight\nb,tea,\nd,,2\nb,tea,\n")
    joined = read_all(SALES.drop("kind"), Reading(static=["kind", "weight:text"]), items=file)
    assert joined.ids == ("b", "d")
    assert joined.covariates.attributes == {"kind": ("tea", None), "weight": (None, "2")}
    assert joined.covariates.measures == {}
    with pytest.raises(InputError, match="no such column for --static kind"):
        read_all(SALES.drop("kind"), READING)


@pytest.mark.parametrize(
    ("text", "what", "row", "column", "value"),
    [
        ("item,kind\nb,tea\nb,milk", "item b has two values of kind", 3, "kind", "milk"),
        (
            "item,kind\nx,milk\nb,milk",
            "item b has kind tea in its sales, and here another",
            3,
            "kind",
            "milk",
        ),
        ("item,kind,size\nb,tea,2", "item b has size 1.5 in its sales, and here another", 2, "size", "2.0"),
        ("item,kind,size\nb,tea,big\na,tea,b", "text, and that of the sales numbers", None, "size", None),
        ("item,kind,size\n,tea,2", "the item is empty", 2, "item", None),
        ("kind,size\ntea,2", "no column looks like the item", None, None, None),
    ],
)
def test_bad_tables(
    tmp_path: Path, text: str, what: str, row: int | None, column: str | None, value: str | None
) -> None:
    panel = Panel.from_frame(SALES, static=["kind", "size"])
    file = tmp_path / "items.csv"
    file.write_text(text + "\n")
    with pytest.raises(InputError, match=what) as caught:
        with_items(panel, file, READING)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (str(file), row, column, value)


def test_arguments_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = Panel.from_frame(SALES)
    with pytest.raises(UsageError, match="none is named"):
        with_items(panel, ITEMS, Reading())
    with pytest.raises(InputError, match="no such column for --static colour"):
        with_items(panel, ITEMS, Reading(static=["colour"]))
    monkeypatch.setattr("recurra.forecasting.sales.items.LARGEST", 11)
    with pytest.raises(InputError, match="4 items over 3 periods are more numbers"):
        with_items(panel, ITEMS, READING)


TEXTS = st.sampled_from([None, "", "tea", "1", "2.5", "yes", "nan"])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "d", "", None]), TEXTS, TEXTS), max_size=6))
def test_any_table_gives_a_panel_or_an_error_for_a_person(rows: list[Any]) -> None:
    panel = Panel.from_frame(SALES, static=["kind", "size"], future=["price"])
    schema = dict.fromkeys(("item", "kind", "size"), pl.String)
    try:
        joined = with_items(panel, pl.DataFrame(rows, schema=schema, orient="row"), READING)
    except (InputError, UsageError):
        return
    assert set(joined.ids) == {"b", "d"} | {item for item, _, _ in rows if item}
    assert list(joined.ids) == sorted(joined.ids)
    for row, item in enumerate(joined.ids):
        if item in panel.ids:
            np.testing.assert_array_equal(joined.values[row], panel.values[panel.ids.index(item)])
        else:
            assert joined.first[row] == 3
    assert np.isfinite(joined.covariates.future["price"]).all()
