"""Databases that need no server: one SELECT, read-only, exact values, errors that show the way."""

from __future__ import annotations

import datetime
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.sources import Source
from recurra.sources.table import read_source

ROWS = [("tea", "2011-01-01", 1), ("tea", "2011-01-02", 2.5), ("007", "2011-01-03", 3)]
CREATE = "CREATE TABLE sales (item VARCHAR, day DATE, qty NUMERIC(9, 3))"


@pytest.fixture(params=["sqlite", "duckdb"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "my shop.db"
    connect = sqlite3.connect if request.param == "sqlite" else duckdb.connect
    with closing(connect(str(path))) as connection:
        connection.execute(CREATE)
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", ROWS)
        connection.commit()
    return f"{request.param}:///{path}"


def more(address: str, statement: str) -> None:
    scheme, _, path = address.partition(":///")
    with closing((sqlite3.connect if scheme == "sqlite" else duckdb.connect)(path)) as connection:
        connection.execute(statement)
        connection.commit()


def read(address: str, query: str | None = None) -> pl.DataFrame:
    return read_source(Source(address, query=query)).frame


def test_the_only_table_or_a_query(address: str) -> None:
    frame = read(address)
    assert frame["item"].to_list() == ["tea", "tea", "007"]
    assert frame["qty"].cast(pl.Float64).to_list() == [1.0, 2.5, 3.0]
    assert read(address, "SELECT item FROM sales WHERE qty > 1 ORDER BY qty;").rows() == [("tea",), ("007",)]
    assert read(address, " -- all\n(SELECT count(*) AS n FROM sales)" if "duck" in address else
                "/* all */ WITH s AS (SELECT * FROM sales) SELECT count(*) AS n FROM s").rows() == [(3,)]  # fmt: skip
    panel = Panel.from_file(address)
    assert panel.ids == ("007", "tea")
    assert panel.values.tolist() == [[0, 0, 3], [1, 2.5, 0]]


def test_several_tables_are_asked_for(address: str) -> None:
    more(address, 'CREATE TABLE "old sales" (a INTEGER)')
    with pytest.raises(InputError, match="several tables") as caught:
        read(address)
    assert caught.value.value == '"old sales", sales'
    assert "--query" in str(caught.value)
    more(address, "DROP TABLE sales")
    with pytest.raises(InputError, match="no rows"):
        read(address)
    more(address, 'DROP TABLE "old sales"')
    with pytest.raises(InputError, match="no tables"):
        read(address)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT * FROM sale", "refuses: .*sale"),
        ("SELECT price FROM sales", "refuses: .*price"),
        ("SELECT", "refuses"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT 1; DROP TABLE sales", "several statements"),
        ("SELECT * FROM sales WHERE qty > 99", "the query has no rows"),
        ("SELECT item, item FROM sales", "two columns have the same name"),
    ],
)
def test_queries_that_cannot_be_used(address: str, query: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read(address, query)
    assert caught.value.file == address
    if "refuses" in what:
        assert caught.value.hint == "The tables are sales."
    assert read(address).height == 3


@pytest.mark.parametrize(
    "query",
    ["", "  ", "DROP TABLE sales", "DELETE FROM sales", "COPY sales TO 'x.csv'", "ATTACH 'x.db'", "--"],
)
def test_only_a_select_is_sent(address: str, query: str) -> None:
    with pytest.raises(UsageError, match=r"the query is (empty|no SELECT)"):
        read(address, query)
    assert read(address).height == 3


def test_the_database_is_opened_for_reading_only(address: str) -> None:
    for query in ("WITH s AS (SELECT 1 AS a) INSERT INTO sales SELECT 'x', '2011-01-01', a FROM s",):
        with pytest.raises(InputError, match="refuses"):
            read(address, query)
    assert read(address).height == 3


def test_duckdb_reads_no_other_file_and_no_extension(tmp_path: Path) -> None:
    with closing(duckdb.connect(str(tmp_path / "s.db"))) as connection:
        connection.execute(CREATE)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for place in (tmp_path / "secret.csv", "https://example.com/x.parquet", "s3://bucket/x.parquet"):
        with pytest.raises(InputError, match="refuses"):
            read(f"duckdb:///{tmp_path}/s.db", f"SELECT * FROM '{place}'")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("sqlite:///no.db", InputError, "no such file"),
        ("duckdb:///no.db", InputError, "an absolute one has a fourth slash"),
        ("sqlite://no.db", UsageError, "Write sqlite:///sales.db"),
        ("mysql://root:secret@host/db", UsageError, "Use sqlite:///sales.db"),
        ("postgresql://me:secret%zz@host/db", UsageError, "%25 for %"),
        ("postgresql://me:se@cret/x@host/db", UsageError, "%40 for @"),
        ("postgresql://me:pw:secret@host:port/db", UsageError, "no address such as"),
        ("postgresql://me:secret@127.0.0.1:1/db?password=secret", InputError, "cannot be reached"),
    ],
)
def test_addresses_that_lead_nowhere_and_passwords_that_stay_unsaid(
    address: str, error: type[RecurraError], said: str
) -> None:
    with pytest.raises(error) as caught:
        read(address, "SELECT 1 AS a")
    assert said in str(caught.value)
    for text in (str(caught.value), repr(caught.value), str(caught.value.as_dict()), repr(Source(address))):
        assert "secret" not in text
        assert "cret" not in text
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"item,qty\n" * 999)
    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(InputError):
            read(f"{scheme}:///{tmp_path}/s.db")
    with pytest.raises(UsageError, match="--sheet is for a workbook"):
        read_source(Source("sqlite:///s.db", sheet="S"))


def test_columns_of_sqlite_hold_what_each_row_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.sources.database.ROWS", 2)
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE s (item, ds, y)")
        rows = [
            (5, "2011-01-01", 1),
            ("x", "2011-01-02", 1.234567890123),
            (7, "2011-01-03", None),
            (8, None, "2 kg"),
        ]
        connection.executemany("INSERT INTO s VALUES (?, ?, ?)", rows)
        connection.commit()
    frame = read(f"sqlite:///{path}")
    assert frame.rows() == [
        ("5", "2011-01-01", "1.0"), ("x", "2011-01-02", "1.234567890123"), ("7", "2011-01-03", None),
        ("8", None, "2 kg"),
    ]  # fmt: skip
    with pytest.raises(InputError) as caught:
        Panel.from_file(f"sqlite:///{path}")
    assert (caught.value.row, caught.value.column) == (4, "ds")


def test_dates_of_duckdb_are_dates(tmp_path: Path) -> None:
    with closing(duckdb.connect(str(tmp_path / "s.db"))) as connection:
        connection.execute(
            "CREATE TABLE s AS SELECT DATE '2011-01-01' AS ds, 'a' AS item, 1.250::DECIMAL(9, 3) AS y"
        )
    address = f"duckdb:///{tmp_path}/s.db"
    assert read(address)["ds"].to_list() == [datetime.date(2011, 1, 1)]
    with pytest.raises(InputError, match="a type that cannot be read") as caught:
        read(address, "SELECT ds, INTERVAL 1 DAY AS b FROM s")
    assert "Cast it" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "package"), [("duckdb:///s.db", "duckdb"), ("postgresql://h/d", "adbc_driver_manager")]
)
def test_a_missing_driver_is_named_with_its_extra(tmp_path: Path, address: str, package: str) -> None:
    (tmp_path / "s.db").write_text("")
    program = f"""
import sys
sys.modules[{package!r}] = None
from recurra.sources import Source
from recurra.sources.table import read_source
try:
    read_source(Source({address!r}))
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip install 'recurra[sql]'" in done.stdout


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.one_of(
        st.text(max_size=20),
        st.text(max_size=20).map(lambda tail: f"SELECT {tail}"),
        st.lists(
            st.sampled_from(["SELECT", "*", "FROM", "sales", ";", "item", "DROP", "(", ")", "--", "'", "1"])
        ).map(lambda words: " ".join(["SELECT", *words])),
    )
)
def test_any_query_is_answered_or_refused(address: str, query: str) -> None:
    with suppress(RecurraError):
        assert read(address, query).height > 0
    assert read(address).height == 3
