"""PostgreSQL, against a real server in a temporary folder; skipped where initdb is missing."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from adbc_driver_postgresql import dbapi

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.data import Panel
from recurra.sources import Source
from recurra.sources.table import read_source

PASSWORD = "p@ss/wörd%1"


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian keeps them off the path."""
    places = [shutil.which(name), *sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    found = next((str(place) for place in places if place), None)
    if found is None and os.environ.get("RECURRA_NEEDS_POSTGRESQL"):
        pytest.fail(f"{name} is not installed, and RECURRA_NEEDS_POSTGRESQL is set")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install postgresql)")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a new server without its path; it belongs to nobody with rights, as PostgreSQL demands."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="recurra-") as name, socket.socket() as probe:
        folder = Path(name)
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            owner = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)

        def run(*command: object) -> None:
            done = subprocess.run(
                [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **user,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr

        data = ("-D", folder / "data")
        run(initdb, *data, "-A", "scram-sha-256", "-U", "tester", f"--pwfile={folder}/password", "--no-sync")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(pg_ctl, *data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        finally:
            run(pg_ctl, *data, "-m", "immediate", "stop")


@pytest.fixture
def address(server: str) -> str:
    with dbapi.connect(f"{server}/postgres", autocommit=True) as connection, connection.cursor() as cursor:
        for statement in (
            "DROP TABLE IF EXISTS sales, others",
            "CREATE TABLE sales (item varchar(9), day date, qty numeric(9, 3), tags jsonb)",
            "INSERT INTO sales VALUES ('tea', '2011-01-01', 1.250, '{}'), ('tea', '2011-01-02', 2, NULL), "
            "('007', '2011-01-03', 3, NULL)",
        ):
            cursor.execute(statement)
    return f"{server}/postgres"


def test_the_only_table_becomes_a_panel(address: str) -> None:
    panel = Panel.from_file(address)
    assert panel.ids == ("007", "tea")
    assert panel.values.tolist() == [[0, 0, 3], [1.25, 2, 0]]


def test_a_query(address: str) -> None:
    query = "SELECT day, sum(qty) AS qty, count(*) AS n FROM sales GROUP BY day ORDER BY day"
    frame, header_rows = read_source(Source(address, query=query))
    assert frame["n"].to_list() == [1, 1, 1]
    assert header_rows == 0
    assert Panel.from_file(Source(address, query=query), columns={"y": "n"}).values.tolist() == [[1, 1, 1]]
    with pytest.raises(InputError) as caught:
        Panel.from_file(Source(address, query="SELECT day, 'many' AS qty FROM sales"))
    assert (caught.value.row, caught.value.column, caught.value.value) == (1, "qty", "many")
    assert "wörd" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "error", "what"),
    [
        ("SELECT * FROM sale", InputError, 'refuses: .*"sale" does not exist'),
        ("SELECT price FROM sales", InputError, 'refuses: .*"price" does not exist'),
        ("SELECT 1; DROP TABLE sales", InputError, "several statements"),
        ("SELECT * FROM sales WHERE false", InputError, "no rows"),
        ("SELECT item, item FROM sales", InputError, "two columns have the same name"),
        (
            "WITH gone AS (DELETE FROM sales RETURNING *) SELECT * FROM gone",
            InputError,
            "refuses: .*read-only",
        ),
        ("DROP TABLE sales", UsageError, "no SELECT"),
        ("COMMIT", UsageError, "no SELECT"),
    ],
)
def test_queries_that_cannot_be_used(address: str, query: str, error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        read_source(Source(address, query=query))
    assert read_source(Source(address)).frame.height == 3


def test_several_tables_are_asked_for(address: str) -> None:
    with dbapi.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE others (a int)")
    with pytest.raises(InputError, match="several tables") as caught:
        read_source(Source(address))
    assert caught.value.value == "others, sales"


def test_no_password_is_ever_said(address: str, server: str) -> None:
    wrong = "postgresql://tester:s3cr3t@" + server.rpartition("@")[2] + "/postgres"
    for place in (wrong, f"{server}/nowhere", f"{wrong}?options=s3cr3t", f"{server}/postgres?bogus=s3cr3t"):
        with pytest.raises(InputError, match="lets nobody in") as caught:
            read_source(Source(place))
        said = f"{caught.value!s}{caught.value.as_dict()}{caught.value.__cause__}"
        for secret in ("s3cr3t", PASSWORD, quote(PASSWORD, safe="")):
            assert secret not in said
        assert "tester@127.0.0.1" in said


def test_all_types_that_a_table_may_have(address: str) -> None:
    query = """SELECT 1::smallint AS a, 2::bigint AS b, 1.5::real AS c, 'NaN'::numeric AS d, true AS e,
        '2011-01-01 10:00+02'::timestamptz AS f, '2011-01-01'::timestamp AS g, '{}'::jsonb AS h, 'x'::bytea AS i,
        NULL AS j, ARRAY[1, 2] AS k, gen_random_uuid() AS m, 12345678901234567890.5 AS n"""
    frame = read_source(Source(address, query=query)).frame
    assert frame.height == 1
    assert frame["n"].dtype == pl.String
    assert not any(hasattr(dtype, "ext_storage") for dtype in frame.dtypes)
