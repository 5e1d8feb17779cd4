"""Options that several verbs share, and how a verb ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from recurra.console import STOPPED, Console
from recurra.errors import RecurraError

__all__ = [
    "Cancellations",
    "Cell",
    "Checkpoint",
    "Database",
    "DateColumn",
    "DateFormat",
    "Decimal",
    "Encoding",
    "Frequency",
    "Future",
    "FutureFile",
    "Gaps",
    "Holidays",
    "Horizon",
    "ItemColumn",
    "ItemsFile",
    "Json",
    "MaxSeconds",
    "Negative",
    "Past",
    "QuantityColumn",
    "Query",
    "SalesFile",
    "Seed",
    "Sheet",
    "Static",
    "Steps",
    "StockOut",
    "Unit",
    "View",
    "folder_beside",
    "given",
    "role_columns",
    "verb",
]

DATA = "The data"
BESIDE = "Beside the sales"
TRAINING = "Training"

SalesFile = Annotated[
    Path | None,
    typer.Argument(
        show_default=False,
        help="Sales: CSV, TSV, JSON Lines (packed or not), Parquet or Excel.",
        readable=False,
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="A database instead of a file: sqlite:///…, duckdb:///…, postgresql://….",
        rich_help_panel=DATA,
        show_default="none",
    ),
]
Query = Annotated[
    str | None,
    typer.Option(
        help="The SELECT to send to the database.", rich_help_panel=DATA, show_default="its only table"
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(
        help="The sheet of a workbook.", rich_help_panel=DATA, show_default="the only one with data"
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of a text file, such as cp1251.", rich_help_panel=DATA, show_default="found"),
]
Horizon = Annotated[int, typer.Option("--horizon", min=1, help="Periods to forecast.")]
ItemColumn = Annotated[
    str | None,
    typer.Option("--item", help="Column of the item.", rich_help_panel=DATA, show_default="guessed"),
]
DateColumn = Annotated[
    str | None,
    typer.Option("--date", help="Column of the date.", rich_help_panel=DATA, show_default="guessed"),
]
QuantityColumn = Annotated[
    str | None,
    typer.Option("--quantity", help="Column of the quantity.", rich_help_panel=DATA, show_default="guessed"),
]
Frequency = Annotated[
    str | None,
    typer.Option(
        help="hourly, daily, weekly, monthly, quarterly or yearly.",
        rich_help_panel=DATA,
        show_default="inferred",
    ),
]
DateFormat = Annotated[
    str | None,
    typer.Option(help="How dates are written, such as %d/%m/%Y.", rich_help_panel=DATA, show_default="found"),
]
Decimal = Annotated[
    str | None,
    typer.Option(help="Decimal mark of quantities, . or ,", rich_help_panel=DATA, show_default="found"),
]
Unit = Annotated[
    str | None,
    typer.Option(
        help="A unit or currency sign to take off quantities: kg, £.",
        rich_help_panel=DATA,
        show_default="none, they are refused",
    ),
]
Negative = Annotated[
    str,
    typer.Option(
        help="Periods with more returns than sales: 'returns' is 0, or 'keep'.", rich_help_panel=DATA
    ),
]
Cancellations = Annotated[
    str,
    typer.Option(
        help="Lines of invoices C…: 'pair' with the sales they cancel, or 'keep'.", rich_help_panel=DATA
    ),
]
Gaps = Annotated[
    str,
    typer.Option(
        help="An item's periods without a line: 'zero' sales, or 'missing' and filled.", rich_help_panel=DATA
    ),
]
Static = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="What is the same in all lines of an item, such as its category; may be given again.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
Past = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="What is known up to now, such as visitors; may be given again.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
Future = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="What is known ahead too, such as price and promotion; may be given again.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
StockOut = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What says when an item was out of stock: yes or no, 1 or 0, or the units in stock.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
Holidays = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Know the public holidays of a country or a part of it: GB, DE-BY.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
FutureFile = Annotated[
    Path | None,
    typer.Option(
        help="A table of what is known ahead: date, the --future columns and, unless it holds for all, the item.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
ItemsFile = Annotated[
    Path | None,
    typer.Option(
        help="A table of items, also of those never sold: the item and the --static columns.",
        rich_help_panel=BESIDE,
        show_default="none",
    ),
]
Cell = Annotated[str, typer.Option(help="The recurrent cell: lstm, gru, ….", rich_help_panel=TRAINING)]
View = Annotated[
    str,
    typer.Option(
        help="How sales are seen: by their 'level', by 'trend' and season, or 'auto': by how often nothing sells.",
        rich_help_panel=TRAINING,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, help="Training steps.", rich_help_panel=TRAINING, show_default="by the size of the data"
    ),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        min=0.001, help="End training after this time with the best so far.", rich_help_panel=TRAINING
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="A folder: a run that was killed goes on from there.", rich_help_panel=TRAINING),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.", rich_help_panel=TRAINING),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def role_columns(item: str | None, date: str | None, quantity: str | None) -> dict[str, str] | None:
    """The columns that were named, by role; None if none was."""
    named = {"unique_id": item, "ds": date, "y": quantity}
    return {role: name for role, name in named.items() if name is not None} or None


def given(context: typer.Context, *names: str) -> list[str]:
    """Which of the parameters `names` stand in the command line, rather than at their defaults."""
    # Typer keeps the class of a parameter's source to itself; its names are Click's.
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def folder_beside(out: Path | None, file: Path, what: str) -> Path:
    """The model folder to write: the one that was named, or reviews-classifier here for data/reviews.csv.gz."""
    return Path(f"{file.name.split('.')[0]}-{what}") if out is None else out


@contextmanager
def verb(as_json: bool) -> Iterator[Console]:
    """Give a verb its console, and turn an error into a line and an exit code."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    console = Console(as_json=as_json)
    try:
        yield console
    except RecurraError as error:
        raise typer.Exit(console.error(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder without the right to write
        what = error.strerror or str(error) or type(error).__name__
        raise typer.Exit(console.error(RecurraError(what, file=error.filename))) from error
    except KeyboardInterrupt as error:
        console.error(RecurraError("interrupted, and nothing half-written was left behind"))
        raise typer.Exit(STOPPED) from error
