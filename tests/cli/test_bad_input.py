"""Whatever is wrong is said before any training: what, file, row, column, value, way out; with its exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HORIZON = ("--horizon", 5)
PLAN = (*HORIZON, "--lead-time", 2, "--review", 2)
MONTHS = "".join(f"a,0{month}/0{day}/2025,1\n" for month in (1, 2, 3) for day in (1, 2, 3))


@pytest.fixture(autouse=True)
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("recurra.forecasting.fitting.train", never)


@pytest.mark.parametrize("verb", [("forecast",), ("backtest",), ("train", "forecaster", "--out", "m")])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sale.csv", ["sale.csv: no such file. Did you mean sales.csv?"]),
        ("none/sales.csv", ["none/sales.csv: no such file: there is no folder none."]),
        (".", ["this is a folder, a file was expected"]),
    ],
)
def test_no_such_file(run: Any, shop: Path, verb: tuple[str, ...], name: str, said: list[str]) -> None:
    answer = run(*verb, name)
    assert answer.code == 1
    assert answer.out == ""
    for part in said:
        assert part in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["x.csv: the file is empty"]),
        ("item,date,quantity\n", ["x.csv: the file has no rows of data"]),
        ("item,quantity\na,1\n", ["no column looks like the date", "item, quantity", "--date NAME"]),
        ("item,date\na,2025-01-01\n", ["no column looks like the quantity", "--quantity NAME"]),
        ("SALES 31-31-2025,4", ["x.csv, row 82, column 'date'", "'31-31-2025'", "--date-format"]),
        ("SALES 2025-02-01,four", ["x.csv, row 82, column 'quantity'", "'four'", "Write numbers"]),
        ("SALES 2025-02-01,nan", ["x.csv, row 82, column 'quantity'", "'nan'", "Correct it"]),
        ("SALES 2025-02-01,inf", ["x.csv, row 82, column 'quantity'", "'inf'", "Correct it"]),
        ("SALES 2025-02-01,-inf", ["x.csv, row 82, column 'quantity'", "'-inf'"]),
        ("SALES 2025-02-01,", ["x.csv, row 82, column 'quantity': the quantity is empty"]),
        ("SALES 2025-02-01,1,2", ["x.csv, row 82: the row has 4 fields, the header 3"]),
        (f"item,date,quantity\n{MONTHS}", ["column 'date'", "'01/01/2025'", "--date-format '%d/%m/%Y'"]),
        ("item,date,quantity\na,2025-01-01,3\n", ["x.csv, column 'date': there is only one date"]),
        ("item,date,quantity,item\na,2025-01-01,3,b\n", ["two columns have the same name", "'item'"]),
        ("item,sku,date,quantity\na,a,2025-01-01,3\n", ["several columns could be the item", "--item"]),
        ("\0\1\2", ["x.csv: this is not a text file"]),
    ],
)
def test_a_file_that_cannot_be_used(
    run: Any, shop: Path, sales_text: Callable[..., str], text: str, said: list[str]
) -> None:
    if text.startswith("SALES "):
        text = f"{sales_text()}apple,{text.removeprefix('SALES ')}\n"
    (shop / "x.csv").write_text(text)
    answer = run("forecast", "x.csv", *HORIZON)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.splitlines()[-1].startswith("recurra: x.csv")
    for part in said:
        assert part in answer.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--horizon", 60), "the horizon of 60 periods is longer than the history allows, which has 40"),
        (("--horizon", 5, "--lead-time", 4, "--review", 4), "lead time + review is 8 periods"),
        ((*PLAN, "--service-level", 95), "service_level does not fit (found '95.0')"),
        ((*PLAN, "--service-level", 0), "service_level does not fit (found '0.0')"),
        ((*PLAN, "--service-level", "nan"), "service_level does not fit (found 'nan')"),
        (("--review", 4), "--review is for an order plan. Add --lead-time."),
        (("--service-level", 0.9), "--service-level is for an order plan. Add --lead-time."),
        (("--on-hand", "sales.csv"), "--on-hand is for an order plan. Add --lead-time."),
        (("--cell", "lstn"), "there is no such cell (found 'lstn')"),
        (("--frequency", "dayly"), "no such frequency (found 'dayly')"),
        (("--negative", "no"), "negative is 'returns' or 'keep' (found 'no')"),
        (("--cancellations", "no"), "cancellations is 'pair' or 'keep' (found 'no')"),
        (("--date-format", "dd.mm."), "no date format (found 'dd.mm.')"),
        (("--horizon", 0), "--horizon"),
        (("--steps", 0), "--steps"),
        (("--steps", "many"), "--steps"),
        (("--max-seconds", 0), "--max-seconds"),
        (("--seed", -1), "--seed"),
        (("--seed", 2**64), "--seed"),
        (("--bogus",), "No such option: --bogus"),
        (("again.csv",), "unexpected extra argument"),
        (("--from", "sqlite:///x.db"), "give either a file or a database"),
        (("--query", "SELECT 1"), "--query is for a database"),
        (("--sheet", "S"), "--sheet is for a workbook"),
        (("--encoding", "klingon"), "there is no such encoding (found 'klingon')"),
        (("--decimal", "x"), "the decimal mark is '.' or ',' (found 'x')"),
        (("--gaps", "no"), "gaps is 'zero' or 'missing' (found 'no')"),
    ],
)
def test_options_that_do_not_fit(run: Any, shop: Path, options: tuple[object, ...], said: str) -> None:
    answer = run("forecast", "sales.csv", *options)
    assert answer.code == 2
    assert answer.out == ""
    assert said in answer.err


def test_a_missing_file_argument_and_verb(run: Any) -> None:
    assert run("forecast").code == 2
    assert run("forecats", "sales.csv").code == 2
    assert run("train", "forecaster", "sales.csv").code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item,on_hand\naple,3\n", ["stock.csv", "'aple'", "Did you mean 'apple'?"]),
        ("item,on_hand\npear,1\napple,x\n", ["stock.csv, row 3, column 'on_hand'", "(found 'x')"]),
        ("item,on_hand\napple,inf\n", ["stock.csv, row 2, column 'on_hand'", "(found 'inf')"]),
        ("item,on_hand\napple,\n", ["stock.csv, row 2, column 'on_hand'", "Write 0"]),
        ("item,on_hand,on_order\napple,1,\n", ["stock.csv, row 2, column 'on_order'", "Write 0"]),
        ("item,on_hand,on_order\napple,1,-4\n", ["stock.csv", "on_order of item 'apple' is negative"]),
        ("item,on_hand\napple,1\n\n,2\n", ["stock.csv, row 4, column 'item': the item is empty"]),
        ("item,on_hand\napple,1\napple,2\n", ["stock.csv", "lists an item twice (found 'apple')"]),
        ("item,stock\napple,3\n", ["stock.csv", "no column on_hand", "(found 'item, stock')"]),
        ("code,on_hand\napple,3\n", ["stock.csv", "no column for the item"]),
        ("", ["stock.csv: the file is empty"]),
        (None, ["stock.csv: no such file", "Did you mean sales.csv?"]),
    ],
)
def test_a_stock_file_that_cannot_be_used(run: Any, shop: Path, text: str | None, said: list[str]) -> None:
    if text is not None:
        (shop / "stock.csv").write_text(text)
    answer = run("forecast", "sales.csv", *PLAN, "--on-hand", "stock.csv")
    assert answer.code == 1
    assert answer.out == ""
    for part in said:
        assert part in answer.err.splitlines()[-1]


def test_a_place_that_cannot_be_written_to(run: Any, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "file").write_text("mine")
    for out, said in (
        ("file", "file: this is a file, a folder was expected. Choose another folder with --out."),
        ("file/out", "file/out: the folder cannot be made: Not a directory"),
    ):
        answer = run("forecast", "sales.csv", *HORIZON, "--out", out)
        assert answer.code == 1
        assert said in answer.err
    assert (shop / "file").read_text() == "mine"
    # The tests may run as root, to whom every folder is open.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    answer = run("forecast", "sales.csv", *HORIZON, "--out", "closed")
    assert answer.code == 1
    assert "closed: there is no right to write into this folder" in answer.err


def test_every_error_is_one_document_for_a_program(run: Any, shop: Path) -> None:
    (shop / "x.csv").write_text("item,date,quantity\na,2025-01-01,1\na,2025-01-02,x\n")
    answer = run("forecast", "x.csv", "--json")
    assert (answer.code, answer.err) == (1, "")
    document = answer.document
    assert document.keys() == {"notes", "error"}
    error = document["error"]
    assert (error["kind"], error["file"], error["row"], error["column"], error["value"]) == (
        "InputError",
        "x.csv",
        3,
        "quantity",
        "x",
    )
    late = run("forecast", "sales.csv", "--horizon", 60, "--json")
    assert (late.code, late.err) == (2, "")
    assert late.document["error"]["kind"] == "UsageError"
    assert any("Frequency daily" in note for note in late.document["notes"])
    usage = run("forecast", "sales.csv", "--bogus", "--json")
    assert (usage.code, usage.out) == (2, "")
    assert "No such option" in usage.err
