"""Numbers written in every convention come back, or are asked for."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.sales.numbers import parse_numbers


def parse(
    texts: list[str], decimal: str | None = None, unit: str | None = None
) -> tuple[list[float], list[str]]:
    rows = pl.Series(range(2, len(texts) + 2), dtype=pl.Int64)
    text = pl.Series(texts, dtype=pl.String)
    numbers, notes = parse_numbers(text, rows, decimal=decimal, unit=unit, file="s.csv", column="Qty")
    return numbers.to_list(), notes


def written(thousandths: int, mark: str, between: str) -> str:
    """The number as people write it, without needless zeros: 1.234,5."""
    whole, part = divmod(abs(thousandths), 1000)
    text = f"{whole:,}".replace(",", between) + (f"{mark}{part:03}".rstrip("0") if part else "")
    return f"{'-' if thousandths < 0 else ''}{text}"


CONVENTIONS = [
    (".", ""),
    (",", ""),
    (".", ","),
    (",", "."),
    (",", "\u202f"),
    (",", " "),
    (".", "'"),
    (",", "’"),
]


@given(st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=8), st.sampled_from(CONVENTIONS))
def test_numbers_come_back_from_every_convention(thousandths: list[int], convention: tuple[str, str]) -> None:
    texts = [written(value, *convention) for value in thousandths]
    expected = [value / 1000 for value in thousandths]
    assert parse(texts, decimal=convention[0])[0] == expected
    try:
        found = parse(texts)[0]
    except InputError:  # such as 1.234 alone: asked for, never guessed
        found = parse(texts, decimal={".": ",", ",": "."}[convention[0]])[0]
        assert found != expected
    else:
        assert found == expected


@given(st.lists(st.floats(-1e15, 1e15), min_size=1), st.booleans())
def test_numbers_as_programs_write_them(values: list[float], plain: bool) -> None:
    texts = [repr(value) for value in values]
    if plain:
        texts = [text for text in texts if "e" not in text]
        assume(texts)
    assert parse(texts, decimal=".")[0] == [float(text) for text in texts]


def test_the_whole_column_decides() -> None:
    assert parse(["1.234", "0.5"])[0] == [1.234, 0.5]
    assert parse(["1.234", "0,5"])[0] == [1234.0, 0.5]
    assert parse(["1,234", "1,234,567"])[0] == [1234.0, 1234567.0]
    numbers, notes = parse(["1", "2,5"])
    assert numbers == [1.0, 2.5]
    assert notes == [
        "Quantities are read with a decimal comma, such as 2,5; override with --decimal (decimal= in Python)."
    ]
    assert parse(["1", "2.5", "−3"]) == ([1.0, 2.5, -3.0], [])
    assert parse(["1.234"], decimal=",") == ([1234.0], [])


@pytest.mark.parametrize("texts", [["1.234"], ["5", "1,234"], ["12.000", "1.000", "1.000"]])
def test_what_can_be_both_is_asked_for(texts: list[str]) -> None:
    with pytest.raises(InputError, match="decimal point and with a decimal comma") as caught:
        parse(texts)
    error = caught.value
    assert (error.file, error.column) == ("s.csv", "Qty")
    assert error.value in texts
    assert "--decimal . or --decimal ," in str(error)


@pytest.mark.parametrize(
    ("texts", "row", "value", "said"),
    [
        (["1", "few"], 3, "few", "Write numbers with digits and a decimal point."),
        (["1,5", "few"], 3, "few", "Write numbers with digits and a decimal comma."),
        (
            ["1,5", "2.5", "3,5"],
            3,
            "2.5",
            "a number with a decimal point, and the column is read with a decimal comma",
        ),
        (["1", "£5"], 3, "£5", "have '£' taken off with --unit '£'"),
        (["1", "-5 kg"], 3, "-5 kg", "--unit 'kg'"),
        (["EUR 1.234,50"], 2, "EUR 1.234,50", "--unit 'EUR'"),
        (["5 Stk."], 2, "5 Stk.", "--unit 'Stk.'"),
        (["50%"], 2, "50%", "--unit '%'"),
        (["1,23", "1,2,3"], 3, "1,2,3", "not a number"),
        (["."], 2, ".", "not a number"),
        (["1 2"], 2, "1 2", "not a number"),
        (["12/5"], 2, "12/5", "not a number"),
    ],
)
def test_what_is_no_number_is_shown(texts: list[str], row: int, value: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(texts)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == ("s.csv", row, "Qty", value)
    assert said in str(error)


def test_units_are_taken_off_only_when_told() -> None:
    numbers, notes = parse(["5 kg", "2,5kg", "7"], unit="kg")
    assert numbers == [5.0, 2.5, 7.0]
    assert notes[0] == "kg was taken off the quantities, in 2 different ones."
    assert parse(["£5", "-£ 1,234.50", "£-6"], unit="£")[0] == [5.0, -1234.5, -6.0]
    with pytest.raises(InputError, match="--unit 'g'"):
        parse(["5 kg", "5 g"], unit="kg")
    for unit in ("", " ", "5", "-", "k,g"):
        with pytest.raises(UsageError, match="a unit is a word or a sign"):
            parse(["5"], unit=unit)
    with pytest.raises(UsageError, match="the decimal mark"):
        parse(["5"], decimal=";")


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.text("0123456789.,eE+-' £kg%", max_size=8)), min_size=1, max_size=5
    ),
    st.sampled_from([None, ".", ","]),
    st.sampled_from([None, "kg", "£", "."]),
)
def test_any_text_is_parsed_or_refused(texts: list[str], decimal: str | None, unit: str | None) -> None:
    try:
        numbers, _ = parse(texts, decimal, unit)
    except RecurraError:
        return
    assert all(isinstance(number, float) for number in numbers)
