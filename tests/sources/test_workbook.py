"""Workbooks as people keep them: several sheets, titles above the header, dates as Excel has them."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError
from recurra.forecasting.sales.data import Panel
from recurra.sources import Source
from recurra.sources.table import read_source

HEADER = ["item", "date", "qty"]
DAYS = [datetime.date(2011, 1, day) for day in (1, 2, 3)]
ROWS = [HEADER, ["tea", DAYS[0], 1], ["tea", DAYS[1], 2.5], [7, DAYS[2], 3]]


def write(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], hidden: Sequence[str] = ()) -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    if isinstance(value, datetime.date):
                        sheet.write_datetime(number, place, value)
                    elif value is not None:
                        sheet.write(number, place, value)
            if name in hidden:
                sheet.hide()
    return path


def test_the_only_sheet_with_data_is_read_as_it_is_typed(tmp_path: Path) -> None:
    path = write(tmp_path / "s.xlsx", {"Cover": [["Our sales"]], "Sales": ROWS, "Empty": []})
    notes: list[str] = []
    frame, header_rows = read_source(Source(path), say=notes.append)
    assert frame["qty"].to_list() == [1.0, 2.5, 3.0]
    assert frame["date"].cast(pl.Date).to_list() == DAYS
    assert frame["item"].to_list() == ["tea", "tea", "7"]
    assert header_rows == 1
    assert notes == ["Reading the sheet Sales, of Cover, Sales, Empty."]
    panel = Panel.from_file(path)
    assert panel.ids == ("7", "tea")
    assert panel.values.tolist() == [[0, 0, 3], [1, 2.5, 0]]


def test_several_sheets_with_data_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "s.xlsx", {"2010": ROWS[:3], "2011": ROWS, "Old": ROWS}, hidden=["Old"])
    with pytest.raises(InputError, match="several sheets have data: 2010, 2011") as caught:
        read_source(Source(path))
    assert "--sheet '2010'" in str(caught.value)
    assert read_source(Source(path, sheet="2011")).frame.height == 3
    assert read_source(Source(path, sheet=" old ")).frame.height == 3
    with pytest.raises(InputError, match="no such sheet") as caught:
        read_source(Source(path, sheet="2012"))
    assert caught.value.hint == "The sheets are 2010, 2011, Old."


def test_titles_may_stand_above_the_header_and_rows_count_as_in_the_sheet(tmp_path: Path) -> None:
    rows = [[], ["Sales 2011"], [], HEADER, *ROWS[1:], [], ["tea", DAYS[2], "3 kg"]]
    path = write(tmp_path / "s.xlsx", {"S": rows})
    notes: list[str] = []
    frame, header_rows = read_source(Source(path), say=notes.append)
    assert (frame.columns, header_rows) == (HEADER, 4)
    assert notes == ["The header of the sheet S is its row 4."]
    with pytest.raises(InputError) as caught:
        Panel.from_file(path)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (str(path), 9, "qty", "3 kg")


@pytest.mark.parametrize(
    ("sheets", "what"),
    [
        ({"S": []}, "no sheet has rows of data"),
        ({"S": [HEADER]}, "no sheet has rows of data"),
        ({"S": [["item", "qty", "qty"], ["a", 1, 2]]}, "two columns have the same name"),
    ],
)
def test_sheets_that_are_no_tables(tmp_path: Path, sheets: dict[str, list[list[Any]]], what: str) -> None:
    path = write(tmp_path / "s.xlsx", sheets)
    with pytest.raises(InputError, match=what) as caught:
        read_source(Source(path))
    assert caught.value.file == str(path)


def test_one_column_and_columns_without_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "s.xlsx", {"S": [["qty"], [1], [2]]})
    assert read_source(Source(path)).frame.rows() == [(1,), (2,)]
    write(path, {"S": [["item", None, "qty"], ["a", "note", 2]]})
    assert read_source(Source(path)).frame.rows(named=True) == [{"item": "a", "qty": 2.0}]


def test_a_workbook_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.sources.packed.MODEST", 1 << 20)
    path = tmp_path / "s.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (8 << 20))
    with pytest.raises(InputError, match="more than 250 times its size"):
        read_source(Source(path))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255), cut=st.floats(0.5, 1))
def test_a_damaged_workbook_is_read_or_refused(tmp_path: Path, place: int, flip: int, cut: float) -> None:
    path = write(tmp_path / "s.xlsx", {"S": ROWS})
    whole = bytearray(path.read_bytes())
    whole[place % len(whole)] ^= flip
    path.write_bytes(whole[: int(cut * len(whole))])
    with suppress(RecurraError):
        read_source(Source(path))
