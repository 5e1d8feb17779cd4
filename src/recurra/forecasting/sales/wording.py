"""Counts, dates and spans of time in words, for reports."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.forecasting.sales.calendar import Frequency

__all__ = ["day", "period_name", "periods", "plural"]

_PERIODS = {
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
}
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def plural(count: int, noun: str) -> str:
    """Return "1 item", "1,200 items"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def period_name(frequency: Frequency) -> str:
    """Return what one period is called: "day"."""
    return _PERIODS.get(frequency.name, "period")


def periods(frequency: Frequency, count: int) -> str:
    """Return "28 days", "1 week"."""
    return plural(count, period_name(frequency))


def day(date: Any) -> str:
    """Return a datetime64 as "3 February 2026", with its time where that is not midnight."""
    moment = np.datetime64(date, "s").item()
    text = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return text if (moment.hour, moment.minute) == (0, 0) else f"{text}, {moment:%H:%M}"
