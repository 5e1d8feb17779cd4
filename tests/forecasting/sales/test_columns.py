from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.sales.columns import Columns, find_columns


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["unique_id", "ds", "y"], Columns("unique_id", "ds", "y")),
        (["y", "date", "ds", "item", "unique_id"], Columns("unique_id", "ds", "y")),
        (
            ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID"],
            Columns("StockCode", "InvoiceDate", "Quantity", "Invoice", "Customer ID"),
        ),
        (
            ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"],
            Columns("StockCode", "InvoiceDate", "Quantity", "InvoiceNo", "CustomerID"),
        ),
        (["date", "store", "item", "sales"], Columns("item", "date", "sales")),
        (["SKU", "Order Date", "Units Sold", "Revenue"], Columns("SKU", "Order Date", "Units Sold")),
        (["asin", "week", "volume"], Columns("asin", "week", "volume")),
        (["Product-Code", "Product", "Month", "DEMAND"], Columns("Product-Code", "Month", "DEMAND")),
        (["date", "quantity"], Columns(None, "date", "quantity")),
        (["timestamp", "day", "qty", "sales"], Columns(None, "timestamp", "qty")),
    ],
)  # fmt: skip
def test_names_of_real_files(names: list[str], expected: Columns) -> None:
    assert find_columns(names) == expected


def test_overrides_win() -> None:
    names = ["item", "sku", "date", "shipped", "qty", "sold"]
    found = find_columns(names, {"unique_id": "sku", "date": "Shipped", "y": "sold"})
    assert found == Columns("sku", "shipped", "sold")


def test_the_guess_is_one_sentence() -> None:
    sentence = find_columns(["StockCode", "InvoiceDate", "Quantity"]).sentence
    assert sentence.startswith(
        "Reading StockCode as item, InvoiceDate as date, Quantity as quantity; override with"
    )
    assert "--item, --date, --quantity" in sentence
    assert 'everything as one item called "all"' in find_columns(["date", "qty"]).sentence


@pytest.mark.parametrize(
    ("names", "overrides", "parts"),
    [
        (["item", "qty"], None, ["the date", "item, qty", "--date NAME", "columns={'ds': NAME}"]),
        (["item", "date", "price"], None, ["the quantity", "item, date, price", "--quantity NAME"]),
        (["item", "date", "order_date", "qty"], None, ["several", "date, order_date", "--date 'date'"]),
        (["item", "sku", "date", "qty"], None, ["several", "item, sku", "--item 'item'", "{'unique_id'"]),
        (["item", "date", "qty", "units"], None, ["several", "qty, units", "--quantity 'qty'"]),
        (["item", "date", "qty"], {"y": "qyt"}, ["no such column", "'qyt'", "Did you mean qty", "date, qty"]),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_asked_for(
    names: list[str], overrides: dict[str, str] | None, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        find_columns(names, overrides, file="sales.csv")
    assert caught.value.file == "sales.csv"
    for part in parts:
        assert part in str(caught.value)


def test_wrong_overrides() -> None:
    with pytest.raises(UsageError, match="unique_id, ds, y, invoice, customer"):
        find_columns(["ds", "y"], {"when": "ds"})
    with pytest.raises(UsageError, match="date and quantity at once"):
        find_columns(["item", "ds", "y"], {"ds": "y", "y": "y"})


@given(
    st.lists(st.sampled_from(["item", "sku", "date", "ds", "qty", "Qty ", "y", "name", "", "x"]), unique=True)
)
def test_any_names_are_told_or_refused(names: list[str]) -> None:
    try:
        found = find_columns(names)
    except RecurraError:
        return
    taken = [name for name in vars(found).values() if name is not None]
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(names)


def test_of_two_columns_the_one_that_is_no_date_is_the_quantity() -> None:
    found = find_columns(["Month", "Sunspots"])
    assert (found.unique_id, found.ds, found.y) == (None, "Month", "Sunspots")
    with pytest.raises(InputError, match="no column looks like the quantity"):
        find_columns(["Month", "Sunspots", "Auroras"])
