"""Cancellations in invoice lines: which earlier sale a cancelled line takes back.

The convention is that of many till systems, Online Retail's among them: an invoice number that starts with C
is a credit note, its lines have negative quantities, and it does not say which invoice it cancels.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl

__all__ = ["CREDIT", "has_cancellations", "net_cancellations"]

CREDIT = r"^\s*[Cc]\s*-?\d"


def has_cancellations(frame: pl.DataFrame) -> bool:
    """Tell whether `frame` has invoice numbers that start with C on lines of negative quantity."""
    if "invoice" not in frame.columns:
        return False
    return bool(frame.select((pl.col("invoice").str.contains(CREDIT) & (pl.col("y") < 0)).any()).item())


def net_cancellations(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Take cancelled units out of the sales they belong to, so that a day's quantity is what customers kept.

    A cancellation of q units takes back sales of the same customer and item that are not later than it: the
    latest one of exactly q units, otherwise the latest ones, until q is used up. Lines without a customer
    (and all lines, where the table has no customers) count as one customer. What finds no sale (sold before
    the file began) is dropped: it is no demand. So are negative lines without a C (write-offs, corrections of
    stock) and positive lines with one.

    Parameters
    ----------
    frame: columns unique_id (text), ds (Datetime), y (Float64), invoice (text), optionally customer (text),
        others.

    Returns
    -------
    The sale lines in their order, `y` reduced, those cancelled in full left out; and what was done, in
    sentences.
    """
    lines = frame.with_row_index("_line").with_columns(
        _credit=pl.col("invoice").str.contains(CREDIT).fill_null(False),
        _customer=pl.col("customer").fill_null("") if "customer" in frame.columns else pl.lit(""),
    )
    sales = lines.filter(~pl.col("_credit") & (pl.col("y") >= 0))
    credits = lines.filter(pl.col("_credit") & (pl.col("y") < 0))
    dropped = frame.height - sales.height - credits.height

    key = ["_customer", "unique_id"]
    events = (
        pl.concat([sales.join(credits.select(key).unique(), on=key, how="semi"), credits])
        .sort("ds", "_credit", "_line")
        .select(*key, "_line", "y")
        .group_by(key, maintain_order=True)
        .agg("_line", "y")
    )
    quantity = np.zeros(frame.height)
    quantity[sales["_line"].to_numpy()] = sales["y"].to_numpy()  # what is left of each sale
    unpaired, pieces = 0.0, 0
    for numbers, amounts in zip(events["_line"].to_list(), events["y"].to_list(), strict=True):
        missing, lines_missing = _take_back(numbers, amounts, quantity)
        unpaired, pieces = unpaired + missing, pieces + lines_missing
    remaining = pl.Series("y", quantity[sales["_line"].to_numpy()], dtype=pl.Float64)
    left = sales.with_columns(remaining).filter((remaining > 0) | (sales["y"] == 0))

    units = -float(credits["y"].sum())
    same = "customer and item" if "customer" in frame.columns else "item"
    notes = [
        f"Cancelled lines (invoices C…): {credits.height:,} over {units:,.0f} units, taken out of earlier "
        f"sales of the same {same}. Dropped, as they found no earlier sale: {unpaired:,.0f} units of "
        f"{pieces:,} of them."
    ]
    if dropped:
        notes.append(
            f"Negative lines outside invoices C… (corrections of stock), positive ones on them: {dropped:,}, "
            "dropped, for they are no demand."
        )
    return left.select(frame.columns), notes


def _take_back(
    numbers: list[int], amounts: list[float], quantity: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, int]:
    """Go through one customer's lines of one item in time, lowering `quantity` of the sales cancelled.

    Returns the units that found no sale, and the number of cancellations they belong to.
    """
    stack: list[int] = []  # sale lines, the latest last; used-up ones are skipped when met
    by_amount: dict[float, list[int]] = defaultdict(
        list
    )  # what is left of a line -> such lines, the latest last
    missing, lines_missing = 0.0, 0
    for number, amount in zip(numbers, amounts, strict=True):
        if amount >= 0:
            stack.append(number)
            by_amount[amount].append(number)
            continue
        wanted = -amount
        same = by_amount[wanted]
        while same and quantity[same[-1]] != wanted:
            same.pop()
        if same:
            quantity[same.pop()] = 0.0
            continue
        while wanted > 0 and stack:
            latest = stack[-1]
            used = min(wanted, float(quantity[latest]))
            quantity[latest] -= used
            wanted -= used
            if quantity[latest] == 0:
                stack.pop()
            else:
                by_amount[float(quantity[latest])].append(latest)
        if wanted > 0:
            missing, lines_missing = missing + wanted, lines_missing + 1
    return missing, lines_missing
