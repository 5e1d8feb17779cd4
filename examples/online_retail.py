"""Online Retail II as daily sales: what the shipped example is made from, and what benchmarks measure on.

The raw file is 1,067,371 invoice lines of a British shop, 2009-12-01 to 2011-12-09 (see README.md for its
licence). It is looked for in the folder that RECURRA_DATA names, otherwise in ../shared/data beside the
project.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from recurra.errors import InputError
from recurra.forecasting.sales.invoices import net_cancellations
from recurra.forecasting.sales.lines import sales_lines
from recurra.forecasting.sales.reading import Place, Reading
from recurra.sources.table import read_table

SOURCE = "https://doi.org/10.24432/C5CG6D"
ARTICLE = r"^\d{5}"  # what else stands among the stock codes is postage, fees, vouchers, corrections, tests


def raw_file() -> Path:
    """Return the path of the raw file.

    Raises
    ------
    InputError: it is not there; says where to get it.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("RECURRA_DATA", beside)) / "sales" / "online_retail_ii.csv.xz"
    if not path.is_file():
        hint = f"Get Online Retail II from {SOURCE}, save it as CSV and set RECURRA_DATA."
        raise InputError("the raw file is not here", file=path, hint=hint)
    return path


def article_lines(path: Path | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Return the lines of articles (unique_id, ds, y, invoice, customer), each once, and what was left out.

    The raw file joins two sheets that both hold 2010-12-01 to 2010-12-09: lines of the second whose invoice
    the first has already are left out. Stock codes are written in capitals throughout.
    """
    path = path or raw_file()
    lines, _, _ = sales_lines(read_table(path), Reading(), Place(path, 1))
    lines = lines.with_columns(pl.col("unique_id").str.to_uppercase())
    seam = lines.select((pl.col("ds").diff() < pl.duration(days=-1)).fill_null(False).arg_true())["ds"]
    once = lines
    if len(seam) == 1:
        first, second = lines[: seam[0]], lines[seam[0] :]
        once = pl.concat([first, second.join(first, on="invoice", how="anti")])
    articles = once.filter(pl.col("unique_id").str.contains(ARTICLE))
    notes = [
        f"Lines read: {lines.height:,}.",
        f"{lines.height - once.height:,} lines stand in both sheets of the raw file and count once.",
        f"{once.height - articles.height:,} lines of codes that are no articles (postage, fees, vouchers, "
        "corrections, tests) were left out.",
    ]
    return articles, notes


def daily_sales(
    path: Path | None = None, items: int | None = None, *, cancellations: str = "pair"
) -> tuple[pl.DataFrame, list[str]]:
    """Return StockCode, InvoiceDate, Quantity (whole, > 0), a row for each item and day of sales, and notes.

    Parameters
    ----------
    items: keep this many, those sold on most days over the whole period.
    cancellations: "pair" takes them out of the sales they belong to; "ignore" leaves sales gross of them.
    """
    lines, notes = article_lines(path)
    gross = lines.filter(pl.col("y") > 0)
    if cancellations == "pair":
        lines, said = net_cancellations(lines)
        notes += said
    sold = lines.filter(pl.col("y") > 0)
    units = f"{gross['y'].sum():,.0f} units were sold, {sold['y'].sum():,.0f} after cancellations."
    notes.append(units)
    frame = (
        sold.group_by(pl.col("unique_id").alias("StockCode"), pl.col("ds").dt.date().alias("InvoiceDate"))
        .agg(pl.col("y").sum().cast(pl.Int64).alias("Quantity"))
        .sort("InvoiceDate", "StockCode")
    )
    if items is not None:
        frame, note = most_sold(frame, items)
        notes.append(note)
    return frame, notes


def most_sold(frame: pl.DataFrame, items: int) -> tuple[pl.DataFrame, str]:
    """Keep the items of daily `frame` that sold on most days (ties: the larger total, then the code)."""
    days = frame.group_by("StockCode").agg(pl.len().alias("days"), pl.col("Quantity").sum().alias("units"))
    kept = days.sort(["days", "units", "StockCode"], descending=[True, True, False]).head(items)
    opened, least = frame["InvoiceDate"].n_unique(), kept["days"][-1]
    note = (
        f"{kept.height:,} of {days.height:,} items; the last of them sold on {least} of {opened} days with "
        f"any sale ({least / opened:.0%})."
    )
    return frame.join(kept, on="StockCode", how="semi", maintain_order="left"), note
