"""Every value that cannot be used is refused with its file, row, column and value."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.lines import sales_lines
from recurra.forecasting.sales.reading import Place, Reading

GOOD = ["a,2011-01-01,1", "a,2011-01-02,2", "a,2011-01-03,3", "b,2011-01-03,4"]


def write(path: Path, rows: list[str], header: str = "sku,date,qty") -> Path:
    file = path / "sales.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


@pytest.mark.parametrize(
    ("bad", "what", "column", "value", "hint"),
    [
        (",2011-01-02,1", "the item is empty", "sku", None, "delete the row"),
        ("  ,2011-01-02,1", "the item is empty", "sku", "  ", "delete the row"),
        ("a,,1", "the date is empty", "date", None, "delete the row"),
        ("a,soon,1", "this is no date that year-month-day fits", "date", "soon", "--date-format"),
        ("a,2011-02-30,1", "this is no date that year-month-day fits", "date", "2011-02-30", "--date-format"),
        ("a,2011-01-02,", "the quantity is empty", "qty", None, "Write 0"),
        ("a,2011-01-02,few", "the quantity is not a number", "qty", "few", "digits"),
        (
            "a,2011-01-02,£5",
            "the quantity is a number with a unit or a currency sign",
            "qty",
            "£5",
            "--unit '£'",
        ),
        ("a,2011-01-02,NaN", "the quantity is not a finite number", "qty", "NaN", "delete the row"),
        ("a,2011-01-02,-inf", "the quantity is not a finite number", "qty", "-inf", "delete the row"),
        ("a,2011-01-02,1e300", "the quantity is beyond 1e+15", "qty", "1e300", "Correct it"),
    ],
)
def test_bad_values_in_a_file(
    tmp_path: Path, bad: str, what: str, column: str, value: str | None, hint: str
) -> None:
    file = write(tmp_path, [*GOOD, bad, bad])
    with pytest.raises(InputError) as caught:
        Panel.from_file(file)
    error = caught.value
    assert (error.what, error.file, error.row, error.column) == (what, str(file), 6, column)
    assert error.value == value
    assert error.hint is not None
    assert hint in error.hint


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_rows_of_a_frame_count_from_one(library) -> None:  # type: ignore[no-untyped-def]
    frame = library({"item": ["a", "b"], "ds": ["2011-01-01", "2011-01-02"], "y": [1.0, float("inf")]})
    with pytest.raises(InputError) as caught:
        Panel.from_frame(frame)
    assert (caught.value.row, caught.value.column, caught.value.value) == (2, "y", "inf")


def test_bad_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column looks like the date"):
        Panel.from_file(write(tmp_path, ["a,1"], "sku,qty"))
    with pytest.raises(InputError, match="no such file"):
        Panel.from_file(tmp_path / "sale.csv")
    with pytest.raises(InputError, match="no rows of data"):
        Panel.from_file(write(tmp_path, []))
    with pytest.raises(InputError, match="no rows of data"):
        Panel.from_file(write(tmp_path, [",,", ""]))
    with pytest.raises(InputError, match="no rows of data"):
        Panel.from_frame(pl.DataFrame({"ds": [], "y": []}))
    with pytest.raises(UsageError, match="pandas, Polars or PyArrow"):
        Panel.from_frame([1, 2])
    twice = pd.DataFrame([["2011-01-01", 1, 2]], columns=["ds", "y", "y"])
    with pytest.raises(InputError, match="two columns have the same name"):
        Panel.from_frame(twice)


TWO = ["2011-01-01", "2011-01-02"]


@pytest.mark.parametrize(
    ("columns", "what", "row", "column"),
    [
        ({"ds": [1, 2], "y": [1, 2]}, "no date in a format", 1, "ds"),
        ({"ds": [datetime.time(1)] * 2, "y": [1, 2]}, "holds Time, not dates", None, "ds"),
        ({"ds": TWO, "y": [datetime.date(2011, 1, 1)] * 2}, "holds Date, not numbers", None, "y"),
        ({"ds": TWO, "y": [[1], [2]]}, "not numbers", None, "y"),
        ({"ds": ["2011-01-01", None], "y": [1, 2]}, "the date is empty", 2, "ds"),
        ({"ds": [datetime.date(2011, 1, 1), None], "y": [1, 2]}, "the date is empty", 2, "ds"),
        ({"ds": pl.Series([0, 2**62], dtype=pl.Datetime("us")), "y": [1, 2]}, "year is not between", 2, "ds"),
        ({"ds": pl.Series([0, 2**62], dtype=pl.Datetime("ms")), "y": [1, 2]}, "year is not between", 2, "ds"),
        ({"ds": pl.Series([0, -(2**30)]).cast(pl.Date), "y": [1, 2]}, "year is not between", 2, "ds"),
        ({"ds": TWO, "y": [1, None]}, "the quantity is empty", 2, "y"),
        ({"item": ["a", None], "ds": TWO, "y": [1, 2]}, "the item is empty", 2, "item"),
        ({"item": [b"a", b"\xc7"], "ds": TWO, "y": [1, 2]}, "holds Binary, which is no text", None, None),
    ],
)
def test_bad_columns_of_frames(
    columns: dict[str, Any], what: str, row: int | None, column: str | None
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        Panel.from_frame(pl.DataFrame(columns))
    assert (caught.value.row, caught.value.column) == (row, column)


WITHOUT_PYARROW = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Without())
import pandas as pd
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.lines import sales_lines
from recurra.forecasting.sales.reading import Place, Reading
days = pd.to_datetime(["2011-01-01", "2011-01-02"])
frame = pd.DataFrame({"item": ["a", "b"], "ds": days, "y": [1, 2]})
for other in (
    frame,
    frame.assign(item=frame["item"].astype("category"), y=frame["y"].astype("Int64")),
    frame.assign(item=["a", "b"], ds=days.astype(str)),
    frame.assign(ds=days.tz_localize("Asia/Tokyo")),
):
    lines = sales_lines(other, Reading(), Place())[0]
    assert [(a, str(b), c) for _, a, b, c in lines.rows()] == [
        ("a", "2011-01-01 00:00:00", 1.0), ("b", "2011-01-02 00:00:00", 2.0)], other
try:
    sales_lines(frame.assign(item=["a", None]), Reading(), Place())
except ValueError as error:
    assert error.row == 2, error
else:
    raise AssertionError("an empty item must be refused")
"""


def test_pandas_is_read_where_pyarrow_is_not_installed() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PYARROW], check=True)


def test_types_that_are_welcome() -> None:
    expected = [(1, "5", datetime.datetime(2011, 1, 1), 1.0), (2, "7", datetime.datetime(2011, 1, 2), 2.0)]
    dates = [datetime.date(2011, 1, 1), datetime.date(2011, 1, 2)]
    for frame in (
        pl.DataFrame({"item": [5, 7], "ds": dates, "y": [1, 2]}),
        pl.DataFrame({"item": [5.0, 7.0], "ds": [20110101, 20110102], "y": [" 1", "2.0 "]}),
        pl.DataFrame({"item": [" 5", "7 "], "ds": dates, "y": [decimal.Decimal("1.0"), decimal.Decimal(2)]}),
        pl.DataFrame(
            {"item": ["5", "7"], "ds": dates, "y": [1, 2]}, schema_overrides={"item": pl.Categorical}
        ),
        pl.DataFrame({"item": ["5", "7"], "ds": dates, "y": [1, 2]}).lazy(),
        pd.DataFrame({"item": [5, "7"], "ds": dates, "y": [1, decimal.Decimal(2)]}, dtype=object),
        pd.DataFrame({"item": ["5", "7"], "ds": pd.to_datetime(dates), "y": [1, 2]}, dtype=None).set_index(
            "ds"
        ),
        pd.DataFrame({"item": pd.Categorical(["5", "7"]), "ds": pd.to_datetime(dates), "y": [1, 2]}),
        pa.table({"item": pa.array(["5", "7"]).dictionary_encode(), "ds": dates, "y": [1, 2]}),
    ):
        lines, _, _ = sales_lines(frame, Reading(), Place())
        assert lines.rows() == expected, frame


def test_time_zones_give_local_times() -> None:
    utc = pd.to_datetime(["2011-01-01 23:30", "2011-01-02 23:30"], utc=True)
    frame = pd.DataFrame({"ds": utc.tz_convert("Europe/Berlin"), "y": [1, 2]})
    lines, _, notes = sales_lines(frame, Reading(), Place())
    assert lines["ds"].to_list() == [
        datetime.datetime(2011, 1, 2, 0, 30),
        datetime.datetime(2011, 1, 3, 0, 30),
    ]
    assert "Times in ds are taken as the local ones of Europe/Berlin." in notes


def test_blank_rows_are_left_out_and_still_counted() -> None:
    frame = pl.DataFrame({"item": ["a", None], "ds": ["2011-01-01", None], "y": ["1", None]})
    frame = pl.concat([frame, frame[:1]])
    lines, _, notes = sales_lines(frame, Reading(), Place("s.csv", 1))
    assert lines["row"].to_list() == [2, 4]
    assert notes[-1] == "Empty rows: 1, left out."


VALUES = st.sampled_from(
    ["a", "b", "2011-01-01", "2011-01-09", "1", "-2", "nan", "", " ", "1,5", "C17", "3/4/2011", '"', "é"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=6),
    binary=st.binary(max_size=20),
)
def test_any_file_gives_a_panel_or_an_error_for_a_person(
    tmp_path: Path, rows: list[list[str]], binary: bytes
) -> None:
    file = tmp_path / "sales.csv"
    text = "\n".join(["item,date,qty,invoice", *(",".join(row) for row in rows)])
    file.write_bytes(text.encode() + binary)
    with suppress(RecurraError):
        panel = Panel.from_file(file)
        assert panel.values.shape == (len(panel.ids), len(panel.dates))
