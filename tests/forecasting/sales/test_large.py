"""What is read in batches is what is read at once: the same panel, or the same error."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import RecurraError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.sources import Source

ITEMS = st.sampled_from(["a", " b", "b ", "ü", "007", "7", "", "x,y"])
DATES = st.sampled_from([f"2011-01-{day:02}" for day in range(1, 15)] + ["2011-01-31 10:00", "", "soon"])
NUMBERS = st.sampled_from(["1", "2", "3.5", "-4", "0", "7", "12", "100", "1,5", "1.234", "", "nan", "5 kg"])
INVOICES = st.sampled_from(["1", "2", "C3", ""])
GOOD = st.tuples(
    st.sampled_from(["a", " b", "ü", "x,y"]), st.sampled_from([f"2011-01-{d:02}" for d in range(1, 15)]),
    st.sampled_from(["1", "2", "3.5", "-4", "0", "12"]), st.sampled_from(["1", "2", "9"]),
)  # fmt: skip
ANY = st.tuples(ITEMS, DATES, NUMBERS, INVOICES)
HEADER = ("item", "date", "qty", "invoice")


def content(rows: list[tuple[str, ...]]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows, schema=HEADER, orient="row").write_csv(file)
    return file.getvalue()


def panel_or_error(source: Any, **reading: Any) -> Panel | tuple[object, ...]:
    try:
        return Panel.from_file(source, **reading)
    except RecurraError as error:
        return (type(error), error.what, error.file, error.row, error.column, error.value)


def both(monkeypatch: pytest.MonkeyPatch, source: Any, **reading: Any) -> tuple[Any, Any]:
    """What comes of reading it at once, and of reading it in batches of three lines."""
    at_once = panel_or_error(source, **reading)
    with monkeypatch.context() as patched:
        patched.setattr("recurra.sources.table.SMALL", 0)
        patched.setattr("recurra.sources.table.LARGE", 0)
        patched.setattr("recurra.forecasting.sales.large.BATCH", 3)
        return at_once, panel_or_error(source, **reading)


def assert_same(pair: tuple[Any, Any]) -> None:
    at_once, in_batches = pair
    if not isinstance(at_once, Panel):
        assert in_batches == at_once
        return
    assert isinstance(in_batches, Panel), in_batches
    np.testing.assert_allclose(in_batches.values, at_once.values, rtol=1e-6, atol=1e-6)
    for name in ("dates", "first"):
        np.testing.assert_array_equal(getattr(in_batches, name), getattr(at_once, name))
    for name in ("ids", "frequency", "whole", "nonnegative", "notes"):
        assert getattr(in_batches, name) == getattr(at_once, name), name
    if at_once.status is None:
        assert in_batches.status is None
    else:
        np.testing.assert_array_equal(in_batches.status, at_once.status)
    known, other = at_once.covariates, in_batches.covariates
    assert other.attributes == known.attributes
    for role in ("measures", "past", "future"):
        arrays = getattr(known, role)
        assert getattr(other, role).keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(getattr(other, role)[name], array)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.one_of(st.lists(GOOD, min_size=2, max_size=20), st.lists(ANY, min_size=1, max_size=8)),
    bad=st.lists(ANY, max_size=1),
    kind=st.sampled_from([".csv", ".csv.gz", ".parquet"]),
    gaps=st.sampled_from(["zero", "missing"]),
    negative=st.sampled_from(["returns", "keep"]),
)
def test_batches_give_what_reading_at_once_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[Any],
    bad: list[Any],
    kind: str,
    gaps: str,
    negative: str,
) -> None:
    path = tmp_path / f"s{kind}"
    text = content([*rows, *bad, *rows[:2]])
    if kind == ".parquet":
        pl.read_csv(text, infer_schema=False).write_parquet(path)
    else:
        path.write_bytes(gzip.compress(text) if kind == ".csv.gz" else text)
    assert_same(both(monkeypatch, path, gaps=gaps, negative=negative))


BESIDE = st.tuples(
    st.sampled_from(["a", " b", "ü"]),
    st.sampled_from([f"2011-01-{d:02}" for d in range(1, 15)]),
    st.sampled_from(["1", "3.5", "-2", "", ""]),
    st.sampled_from(["1", "C3"]),
    st.sampled_from(["1.5", "2", "", "x"]),
    st.sampled_from(["half", "", "no"]),
    st.sampled_from(["food", ""]),
    st.sampled_from(["yes", "no", ""]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(BESIDE, min_size=2, max_size=12),
    roles=st.sets(st.sampled_from(["static", "past", "future", "stock_out"]), min_size=1),
    kind=st.sampled_from([".csv", ".parquet"]),
)
def test_batches_give_what_goes_along_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Any], roles: set[str], kind: str
) -> None:
    columns = {"static": ["category"], "past": ["promo"], "future": ["price"], "stock_out": "out"}
    names = (*HEADER, "price", "promo", "category", "out")
    first = [
        ("a", "2011-01-01", "1", "1", "1.5", "half", "food", "no"),
        ("a", "2011-01-02", "1", "1", "", "", "", ""),
    ]
    table = pl.DataFrame([*first, *rows], schema=names, orient="row")
    path = tmp_path / f"s{kind}"
    table.write_csv(path) if kind == ".csv" else table.write_parquet(path)
    assert_same(both(monkeypatch, path, **{role: columns[role] for role in roles}))


def test_typed_columns_and_frequencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({
        "sku": rng.integers(0, 5, 200), "day": pl.Series(rng.integers(15000, 15100, 200)).cast(pl.Int32).cast(pl.Date),
        "qty": rng.integers(0, 9, 200), "store": ["s"] * 200,
    })  # fmt: skip
    path = tmp_path / "s.parquet"
    for table in (frame, frame.with_columns(pl.col("sku").cast(pl.String).cast(pl.Categorical)), frame.drop("sku"),
                  frame.with_columns(pl.col("qty") / 2)):  # fmt: skip
        table.write_parquet(path)
        for frequency in (None, "weekly", "monthly"):
            assert_same(both(monkeypatch, path, frequency=frequency))
    frame.with_columns(qty=None).write_parquet(path)
    assert_same(both(monkeypatch, path))


@pytest.mark.parametrize(
    "text",
    [
        "item,date,qty\na,2011-01-01,1\nb,2011-01-02,1,2\nc,2011-01-03,1\n",
        "item,date,qty\na,2011-01-01,1\n\nb,2011-01-02,1\n,,\n",
        "item;date;qty\nä;01.02.2011;1,5\nb;13.02.2011;2\n",
        "item,date,qty,qty\na,2011-01-01,1,2\n",
        "item,qty\na,1\nb,2\n",
        "item,date,qty\n" + "a,2011-01-01,1\n" * 9,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
def test_texts_in_every_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str, packed: str
) -> None:
    data = text.encode(encoding)
    if packed == ".zip":
        with zipfile.ZipFile(tmp_path / "s.csv.zip", "w") as archive:
            archive.writestr("s.csv", data)
    else:
        (tmp_path / f"s.csv{packed}").write_bytes(gzip.compress(data) if packed else data)
    assert_same(both(monkeypatch, tmp_path / f"s.csv{packed}"))


def test_encodings_that_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes("товар,date,qty\nчай,2011-01-01,1\nчай,2011-01-02,1\n".encode("cp1251"))
    assert_same(both(monkeypatch, Source(path, encoding="cp1251"), columns={"item": "товар"}))
    assert_same(both(monkeypatch, Source(path, encoding="utf-8")))
    at_once, in_batches = both(monkeypatch, Source(path, encoding="klingon"))
    assert at_once == in_batches
    assert in_batches[0] is UsageError


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = tmp_path / "s.csv.gz"
    for rows in ([("a", "2011-01-01", "1", "1"), ("a", "2011-01-02", "1", "1")], [("a", "x", "y", "z")]):
        path.write_bytes(gzip.compress(content(rows)))
        assert_same(both(monkeypatch, path))
    assert list(folder.iterdir()) == []
