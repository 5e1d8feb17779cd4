from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from recurra.errors import InputError, UsageError
from recurra.forecasting.stock.inventory import read_inventory

IDS = ("apple", "pear", "plum")


def test_a_number_is_the_same_for_every_item() -> None:
    inventory = read_inventory(5, 2.5, IDS)
    assert inventory.on_hand.tolist() == [5, 5, 5]
    assert inventory.on_order.tolist() == [2.5, 2.5, 2.5]
    assert inventory.notes == ()


def test_a_mapping_says_what_it_left_out() -> None:
    inventory = read_inventory({"plum": 3}, None, IDS)
    assert inventory.on_hand.tolist() == [0, 0, 3]
    assert inventory.notes == ("2 of 3 items have no on_hand ('apple', 'pear'): counted as 0.",)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_of_any_library_may_hold_both(library) -> None:  # type: ignore[no-untyped-def]
    frame = library({"unique_id": ["plum", "apple", "pear"], "on_hand": [1, 2, 3], "on_order": [0, 10, 0]})
    inventory = read_inventory(frame, None, IDS)
    assert inventory.on_hand.tolist() == [2, 3, 1]
    assert inventory.on_order.tolist() == [10, 0, 0]


def test_text_from_a_file_and_numeric_ids_are_read() -> None:
    stock = pl.DataFrame({"unique_id": [1, 2], "on_hand": ["4", " 5.5 "]})
    assert read_inventory(stock, None, ("1", "2")).on_hand.tolist() == [4, 5.5]


def test_on_order_given_twice_is_refused() -> None:
    frame = pl.DataFrame({"unique_id": list(IDS), "on_hand": [1, 2, 3], "on_order": [0, 1, 0]})
    with pytest.raises(UsageError, match="given twice"):
        read_inventory(frame, 3, IDS)


def test_an_unknown_item_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(InputError, match=r"1 item that .*'aple'.*Did you mean 'apple'\?"):
        read_inventory({"aple": 1}, None, IDS)


def test_many_unknown_items_are_counted() -> None:
    with pytest.raises(InputError, match=r"5 items .*'x0', 'x1', 'x2', …"):
        read_inventory({f"x{i}": 1 for i in range(5)}, None, IDS)


def test_an_item_listed_twice_is_refused() -> None:
    frame = pl.DataFrame({"unique_id": ["plum", "plum"], "on_hand": [1, 2]})
    with pytest.raises(InputError, match=r"twice .*'plum'.*sum over"):
        read_inventory(frame, None, IDS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "three", "", True, [1]])
def test_a_value_that_is_no_number_is_named_with_its_item(bad: object) -> None:
    with pytest.raises(InputError, match="on_hand of item 'pear' is no number"):
        read_inventory({"pear": bad}, None, IDS)


def test_nan_for_all_is_refused() -> None:
    with pytest.raises(InputError, match="on_hand of every item"):
        read_inventory(float("nan"), None, IDS)


def test_a_negative_stock_is_a_backorder_and_said() -> None:
    inventory = read_inventory({"apple": -4, "pear": 0, "plum": 1}, 0, IDS)
    assert inventory.on_hand.tolist() == [-4, 0, 1]
    assert inventory.notes == (
        "1 item with a negative on_hand: read as sales still to be delivered, ordered on top.",
    )


def test_a_negative_order_makes_no_sense() -> None:
    with pytest.raises(InputError, match=r"on_order of item 'pear' is negative \(found '-2'\)"):
        read_inventory(0, {"apple": 0, "pear": -2, "plum": 0}, IDS)


def test_a_missing_column_is_named_with_those_found() -> None:
    with pytest.raises(InputError, match=r"'on_hand'.*it has unique_id, stock"):
        read_inventory(pl.DataFrame({"unique_id": ["plum"], "stock": [1]}), None, IDS)


@pytest.mark.parametrize("what", ["12", True, None, [1, 2, 3]])
def test_anything_else_is_a_usage_error(what: object) -> None:
    with pytest.raises(UsageError, match="on_hand cannot be read from a"):
        read_inventory(what, None, IDS)
