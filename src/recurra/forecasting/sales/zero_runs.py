"""Runs of zeros so long that chance does not explain them: stock-outs that nobody marked, or items given up."""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.sales.calendar import Dates

__all__ = ["implausible_zeros", "say_implausible_zeros"]

CHANCE = 1e-6  # that an item has so long a run anywhere
MANY = 10  # items from which on a period in which none sold anything counts as closed


def implausible_zeros(
    values: NDArray[np.float32], first: NDArray[np.int64], told: NDArray[np.bool_] | None = None
) -> list[tuple[int, int, int]]:
    """Find items with a run of zeros that is implausible under their own rate: (item, begin, end), least likely first.

    Of the n periods of an item that count, its longest run of zeros has L, and k of the other m = n - L have sales. If
    all periods sell with one probability, any of which is as likely beforehand, L periods without sales have the
    probability B(k + 1, m - k + L + 1) / B(k + 1, m - k + 1) (beta-binomial). n times that is the most that
    the chance of such a run anywhere can be; below 1e-6 it is implausible. Periods that count are those from `first`
    (N,) on that are not `told` (N, T) to be out of stock or missing, and in which, where there are ten items or more,
    any item sold.

    Parameters
    ----------
    values: (N, T); end is the period behind the run.
    """
    series, length = values.shape
    open_ = (values > 0).any(0) if series >= MANY else np.ones(length, dtype=bool)
    run, begin = np.zeros(series, dtype=np.int64), np.zeros(series, dtype=np.int64)
    longest, start, end = np.zeros((3, series), dtype=np.int64)
    counted, sold = np.zeros((2, series), dtype=np.int64)
    for t in np.flatnonzero(open_):
        counts = first <= t
        if told is not None:
            counts &= ~told[:, t]
        something = counts & (values[:, t] != 0)
        zero = counts & ~something
        counted += counts
        sold += something
        begin = np.where(zero & (run == 0), t, begin)
        run = np.where(something, 0, run + zero)
        longer = zero & (run > longest)
        longest, start, end = (
            np.where(longer, new, old) for new, old in ((run, longest), (begin, start), (t + 1, end))
        )
    found = []
    for item in np.flatnonzero((longest > 1) & (sold > 0)):
        k, m, zeros = int(sold[item]), int(counted[item] - longest[item]), int(longest[item])
        chance = _log_beta(k + 1, m - k + zeros + 1) - _log_beta(k + 1, m - k + 1) + np.log(counted[item])
        if chance < np.log(CHANCE):
            found.append((float(chance), int(item), int(start[item]), int(end[item])))
    return [(item, begins, ends) for _, item, begins, ends in sorted(found)]


def _log_beta(a: int, b: int) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def say_implausible_zeros(found: list[tuple[int, int, int]], ids: Sequence[str], dates: Dates) -> list[str]:
    """Say of `implausible_zeros` which items may have been out of stock, and which are perhaps no longer sold."""
    within = [run for run in found if run[2] < len(dates)]
    notes = []
    for runs, where, so in (
        (
            within,
            "",
            "They may have been out of stock (or out of season): say when with --stock-out COLUMN (stock_out=).",
        ),
        (
            [run for run in found if run[2] == len(dates)],
            " up to the end",
            "They are out of stock, or no longer sold.",
        ),
    ):
        if runs:
            named = "; ".join(f"{ids[item]} from {dates[a]} to {dates[b - 1]}" for item, a, b in runs[:3])
            notes.append(
                f"Items with so many periods without sales{where} as, by how often else they sold, fewer than one in a "
                f"million has: {len(runs):,} ({named}). {so}"
            )
    return notes
