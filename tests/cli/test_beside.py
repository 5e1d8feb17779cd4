"""What is known beside the sales, on the command line."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

QUICK = ("--horizon", 5, "--steps", 3)
COLUMNS = (
    "--static",
    "kind",
    "--past",
    "visitors",
    "--future",
    "price",
    "--future",
    "promo",
    "--stock-out",
    "out",
)
START = datetime.date(2025, 1, 1)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sales.csv, and in tables of their own with what is known ahead and of items."""
    sales, ahead = ["item,date,quantity,kind,visitors,price,promo,out"], ["item,date,price,promo"]
    for number, (item, kind) in enumerate([("apple", "fruit"), ("pear", "fruit"), ("leek", "green")]):
        for t in range(45):
            day = START + datetime.timedelta(t)
            price, promo = 2 + number - (t % 9 == 0), "half" if t % 9 == 0 else ""
            if t < 40:
                out = "yes" if t % 13 == 5 else "no"
                sold = 0 if out == "yes" else (7 * t + 3 * number) % 9
                sales.append(f"{item},{day},{sold},{kind},{100 + t % 7},{price},{promo},{out}")
            else:
                ahead.append(f"{item},{day},{price},{promo}")
    (tmp_path / "sales.csv").write_text("\n".join(sales) + "\n")
    (tmp_path / "ahead.csv").write_text("\n".join(ahead) + "\n")
    new = ["kiwi," + row.partition(",")[2] for row in ahead[1:6]]
    (tmp_path / "ahead-too.csv").write_text("\n".join([*ahead, *new]) + "\n")
    (tmp_path / "items.csv").write_text("item,kind\napple,fruit\npear,fruit\nleek,green\nkiwi,fruit\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_forecast_with_all_of_it(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *COLUMNS, "--no-backtest", "--future-file", "ahead.csv")
    assert answer.code == 0, answer.err
    for said in (
        "kind (of each item): 2 texts.",
        "visitors (known): numbers",
        "price (known ahead): numbers",
        "promo (known ahead): 1 text, a yes or no for each (half)",
        "Periods of an item out of stock: 9",
        "Known ahead, to 2025-02-14: price, promo.",
    ):
        assert said in answer.out + answer.err, said


def test_items_that_were_never_sold(run: Any, shop: Path) -> None:
    tables = ("--items-file", "items.csv", "--future-file", "ahead-too.csv")
    answer = run("forecast", "sales.csv", *QUICK, *COLUMNS, "--no-backtest", *tables, "--json")
    assert answer.code == 0, answer.err
    assert "Items that were never sold, from the table of items: 1 (kiwi)." in answer.document["notes"]


def test_what_ends_early_is_said_before_the_training(run: Any, shop: Path) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *COLUMNS)
    assert answer.code == 1
    assert (
        "the column price of item apple ends on 2025-02-09, the forecast needs it to 2025-02-14" in answer.err
    )
    assert "--future-file" in answer.err
    tables = ("--items-file", "items.csv", "--future-file", "ahead.csv")
    answer = run("forecast", "sales.csv", *QUICK, *COLUMNS, *tables)
    assert answer.code == 1
    assert "the column price of item kiwi ends on 2025-02-09" in answer.err


def test_backtest_and_train(run: Any, shop: Path) -> None:
    answer = run("backtest", "sales.csv", *QUICK, *COLUMNS, "--origins", 1, "--items-file", "items.csv")
    assert answer.code == 0, answer.err
    answer = run("train", "forecaster", "sales.csv", *QUICK, *COLUMNS, "--out", "model")
    assert answer.code == 0, answer.err
    answer = run("forecast", "sales.csv", "--model", "model", "--future-file", "ahead.csv")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--static", "kid"), 1, "column 'kid': no such column for --static kid. Did you mean kind?"),
        (("--future", "price", "--past", "price"), 2, "one column cannot be past and future at once"),
        (("--future-file", "ahead.csv"), 2, "none is named. Name them with --future COLUMN"),
        (("--items-file", "items.csv"), 2, "none is named. Name them with --static COLUMN"),
        (
            ("--future", "price", "--future-file", "ahead-too.csv"),
            1,
            "no such item in the sales (found 'kiwi')",
        ),
        (("--future", "price", "--future-file", "none.csv"), 1, "none.csv"),
    ],
)
def test_what_does_not_fit(run: Any, shop: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = run("forecast", "sales.csv", *QUICK, *arguments)
    assert answer.code == code
    assert said in answer.err


def test_what_a_trained_model_does_not_know_is_said(run: Any, shop: Path) -> None:
    assert run("train", "forecaster", "sales.csv", *QUICK, "--static", "kind", "--out", "model").code == 0
    table = (shop / "sales.csv").read_text().replace("green", "root")
    (shop / "later.csv").write_text(table)
    answer = run("forecast", "later.csv", "--model", "model")
    assert answer.code == 0, answer.err
    assert "Values of kind never seen in training: root; forecast as of no known kind." in answer.err
