from __future__ import annotations

import datetime
from collections import defaultdict

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recurra.forecasting.sales.invoices import has_cancellations, net_cancellations

Line = tuple[str, str, str | None, int, float]  # invoice, item, customer, day, quantity


def frame(lines: list[Line], customers: bool = True) -> pl.DataFrame:
    schema = {
        "invoice": pl.String,
        "unique_id": pl.String,
        "customer": pl.String,
        "ds": pl.Int64,
        "y": pl.Float64,
    }
    table = pl.DataFrame(lines, schema=schema, orient="row")
    start = pl.lit(datetime.datetime(2011, 1, 1))
    table = table.with_columns(ds=start + pl.duration(days="ds"))
    return table if customers else table.drop("customer")


def left(lines: list[Line], customers: bool = True) -> tuple[list[tuple[str, float]], list[str]]:
    result, notes = net_cancellations(frame(lines, customers))
    return list(result.select("invoice", "y").iter_rows()), notes


def test_the_latest_sale_of_exactly_as_many_units_is_taken_back() -> None:
    lines = [("1", "a", "x", 1, 6), ("2", "a", "x", 2, 6), ("3", "a", "x", 3, 9), ("C4", "a", "x", 4, -6)]
    kept, notes = left(lines)
    assert kept == [("1", 6), ("3", 9)]
    assert notes == [
        "Cancelled lines (invoices C…): 1 over 6 units, taken out of earlier sales of the same customer and "
        "item. Dropped, as they found no earlier sale: 0 units of 0 of them."
    ]


def test_otherwise_the_latest_sales_until_the_units_are_used_up() -> None:
    lines = [("1", "a", "x", 1, 5), ("2", "a", "x", 2, 3), ("3", "a", "x", 3, 4), ("C4", "a", "x", 4, -6)]
    assert left(lines)[0] == [("1", 5), ("2", 1)]
    assert left([*lines, ("C5", "a", "x", 5, -1)])[0] == [("1", 5)]


def test_other_customers_other_items_and_later_sales_are_not_touched() -> None:
    lines = [("1", "a", "y", 1, 6), ("2", "b", "x", 1, 6), ("C3", "a", "x", 2, -6), ("4", "a", "x", 3, 6)]
    kept, notes = left(lines)
    assert kept == [("1", 6), ("2", 6), ("4", 6)]
    assert "Dropped, as they found no earlier sale: 6 units of 1 of them." in notes[0]


def test_a_sale_of_the_same_moment_can_be_cancelled_in_any_row_order() -> None:
    assert left([("C2", "a", "x", 1, -6), ("1", "a", "x", 1, 6)])[0] == []


def test_lines_without_a_customer_are_one_customer() -> None:
    assert left([("1", "a", None, 1, 6), ("2", "a", "x", 2, 6), ("C3", "a", None, 3, -6)])[0] == [("2", 6)]
    assert left([("1", "a", None, 1, 6), ("2", "a", "x", 2, 6), ("C3", "a", "y", 3, -6)], customers=False)[
        0
    ] == [("1", 6)]


def test_corrections_of_stock_are_dropped_and_zeros_kept() -> None:
    lines = [("1", "a", "x", 1, 6), ("2", "a", None, 2, -4), ("C3", "b", "x", 2, 1), ("4", "b", "x", 1, 0)]
    kept, notes = left([*lines, ("C5", "a", "x", 5, -2)])
    assert kept == [("1", 4), ("4", 0)]
    assert "positive ones on them: 2, dropped" in notes[1]


def test_what_counts_as_a_cancellation() -> None:
    assert has_cancellations(frame([("C489449", "a", "x", 1, -6)]))
    assert has_cancellations(frame([("c 17", "a", "x", 1, -6), (None, "a", "x", 1, 1)]))  # type: ignore[list-item]
    assert not has_cancellations(frame([("C489449", "a", "x", 1, 6)]))
    assert not has_cancellations(frame([("CASH", "a", "x", 1, -6)]))
    assert not has_cancellations(frame([("489449", "a", "x", 1, -6)]))
    assert not has_cancellations(frame([("C489449", "a", "x", 1, -6)]).drop("invoice"))


LINES = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "C1", "C2"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y", None]),
        st.integers(0, 3),
        st.integers(-5, 5).map(float),
    ),
    max_size=25,
)


def by_hand(lines: list[Line]) -> list[float]:
    """The rule of the docstring, word by word: what is left of each line (0 for all that are no sales)."""
    rest = [0.0 if line[0][0] == "C" else max(line[4], 0.0) for line in lines]
    credits = [n for n, line in enumerate(lines) if line[0][0] == "C" and line[4] < 0]
    for credit in sorted(credits, key=lambda n: (lines[n][3], n)):
        _, item, customer, day, amount = lines[credit]
        wanted = -amount
        earlier = [
            n for n, line in enumerate(lines)
            if rest[n] > 0 and line[1:3] == (item, customer) and line[3] <= day
        ]  # fmt: skip
        earlier.sort(key=lambda n: (lines[n][3], n), reverse=True)
        exact = [n for n in earlier if rest[n] == wanted]
        for n in exact[:1] or earlier:
            used = min(wanted, rest[n])
            rest[n] -= used
            wanted -= used
    return rest


@given(LINES)
def test_the_fast_way_does_what_the_rule_says(lines: list[Line]) -> None:
    expected = by_hand(lines)
    table = frame(lines).with_row_index("line")
    result, _ = net_cancellations(table)
    found = dict(zip(result["line"].to_list(), result["y"].to_list(), strict=True))
    assert found == {
        n: rest for n, (rest, line) in enumerate(zip(expected, lines, strict=True))
        if rest > 0 or (line[4] == 0 and line[0][0] != "C")
    }  # fmt: skip
    assert result.columns == table.columns
    assert list(found) == sorted(found)


@given(LINES)
def test_no_more_is_taken_back_than_was_cancelled(lines: list[Line]) -> None:
    result, _ = net_cancellations(frame(lines))
    sold: dict[str, float] = defaultdict(float)
    cancelled: dict[str, float] = defaultdict(float)
    for invoice, item, _, _, amount in lines:
        if invoice[0] == "C" and amount < 0:
            cancelled[item] -= amount
        elif invoice[0] != "C" and amount > 0:
            sold[item] += amount
    for item, total in sold.items():
        kept = result.filter(pl.col("unique_id") == item)["y"].sum()
        assert max(0, total - cancelled[item]) <= kept <= total
