"""Sales from a database, from the command line to the report."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import recurra.sources.database
from recurra.sources import Source

QUICK = ("--horizon", 5, "--steps", 3, "--no-backtest", "--out", "out")
PASSWORD = "s3cr3t"


def test_a_query_is_forecast(run: Any, shop: Path) -> None:
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        connection.execute("CREATE TABLE sales (sku, day, qty)")
        rows = [line.split(",") for line in (shop / "sales.csv").read_text().splitlines()[1:]]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
        connection.commit()
    query = "SELECT sku AS item, day AS date, qty AS quantity FROM sales"
    answer = run("forecast", "--from", "sqlite:///shop.db", "--query", query, *QUICK)
    assert answer.code == 0
    of_database = (shop / "out/forecast.csv").read_bytes()
    assert run("forecast", "sales.csv", *QUICK).code == 0
    assert (shop / "out/forecast.csv").read_bytes() == of_database
    wrong = run("forecast", "--from", "sqlite:///shop.db", "--query", "SELECT * FROM sale", *QUICK, "--json")
    assert wrong.code == 1
    assert wrong.document["error"]["file"] == "sqlite:///shop.db"
    assert wrong.document["error"]["hint"] == "The tables are sales."


@pytest.mark.parametrize("joined", [True, False])
def test_a_password_is_in_no_file_and_no_word(
    run: Any, shop: Path, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    """The server is another test's affair (tests/sources/test_postgresql.py): here its place is taken by SQLite."""
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        connection.execute("CREATE TABLE sales (item, date, quantity)")
        rows = [line.split(",") for line in (shop / "sales.csv").read_text().splitlines()[1:]]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", rows)
        connection.commit()
    local = recurra.sources.database._sqlite(Source("sqlite:///shop.db"))
    monkeypatch.setattr(recurra.sources.database, "_postgresql", lambda source: local)
    address = f"postgresql://reader:{PASSWORD}@db/shop?sslpassword={PASSWORD}"
    words = [f"--from={address}"] if joined else ["--from", address]
    monkeypatch.setattr(sys, "argv", ["recurra", "forecast", *words, *map(str, QUICK)])
    answer = run("forecast", *words, *QUICK)
    assert answer.code == 0
    assert PASSWORD not in answer.out + answer.err
    assert "postgresql://reader@db/shop" in (shop / "out/report.html").read_text()
    for file in (shop / "out").iterdir():
        assert PASSWORD.encode() not in file.read_bytes()
