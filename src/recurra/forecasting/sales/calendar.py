"""The calendar of a panel: how far apart periods are, their dates, and what a network may know of a date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError

__all__ = ["FREQUENCIES", "Dates", "Frequency", "calendar_features", "infer_frequency"]

Dates: TypeAlias = NDArray[np.datetime64]
Unit: TypeAlias = Literal["h", "D", "M"]
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Frequency:
    """The length of a period and where it begins; periods are numbered, so that dates are plain integers.

    Period number n covers the units `anchor + n * step` to `anchor + (n + 1) * step - 1`, units counted from
    1970-01-01 (hours, days or months). It is written as the date of its first unit; in units of months, as
    day `day` of its first month (31: the last day of that month, whatever it is).

    Attributes
    ----------
    name: hourly, daily, weekly, monthly, quarterly or yearly.
    season: periods in the season that matters most (24, 7, 52, 12, 4, 1).
    interval: the period in Polars' language ("1h", "1d", "1w", "1mo", "1q", "1y").
    """

    name: str
    season: int
    interval: str
    unit: Unit
    step: int = 1
    anchor: int = 0
    day: int = 1

    @property
    def longer(self) -> int:
        """Periods in a second season: 168 hours; 0 where there is none."""
        return 7 * self.season if self.unit == "h" else 0

    def index(self, dates: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of the period that each of `dates` falls into."""
        units = dates.astype(f"datetime64[{self.unit}]").astype(np.int64)
        return np.asarray((units - self.anchor) // self.step, dtype=np.int64)

    def dates_of(self, index: NDArray[np.int64]) -> Dates:
        """Return the date each period is written by: datetime64[s] if hourly, otherwise datetime64[D]."""
        starts = (np.asarray(index) * self.step + self.anchor).astype(f"datetime64[{self.unit}]")
        if self.unit == "h":
            return starts.astype("datetime64[s]")
        days = starts.astype("datetime64[D]")
        if self.unit == "M":
            last = (starts + 1).astype("datetime64[D]") - 1
            days = np.minimum(days + (self.day - 1), last)
        return days

    def dates(self, start: np.datetime64, periods: int) -> Dates:
        """Return the dates of `periods` periods, the first of them the one that holds `start`."""
        return self.dates_of(self.index(np.asarray([start])) + np.arange(periods))


FREQUENCIES: Final = {
    frequency.name: frequency
    for frequency in (
        Frequency("hourly", 24, "1h", "h"),
        Frequency("daily", 7, "1d", "D"),
        Frequency("weekly", 52, "1w", "D", step=7, anchor=4),  # 1970-01-05 was a Monday
        Frequency("monthly", 12, "1mo", "M"),
        Frequency("quarterly", 4, "1q", "M", step=3),
        Frequency("yearly", 1, "1y", "M", step=12),
    )
}
_SHORT: Final = {"h": "hourly", "d": "daily", "w": "weekly", "m": "monthly", "q": "quarterly", "y": "yearly"}


def frequency_named(name: str) -> Frequency:
    """Return the frequency called `name` (or by its first letter: h, d, w, m, q, y).

    Raises
    ------
    UsageError: there is none of that name.
    """
    full = _SHORT.get(name.lower(), name.lower())
    if full not in FREQUENCIES:
        raise UsageError("no such frequency", value=name, hint=f"Use one of {', '.join(FREQUENCIES)}.")
    return FREQUENCIES[full]


def anchored(frequency: Frequency, dates: Dates) -> Frequency:
    """Return `frequency`, its periods written as `dates` are: same weekday, day of the month, month."""
    days = np.unique(dates.astype("datetime64[D]"))
    if frequency.name == "weekly":
        weekdays = np.unique(_weekday(days))
        return replace(frequency, anchor=4 + int(weekdays[0])) if len(weekdays) == 1 else frequency
    if frequency.unit == "M":
        months = days.astype("datetime64[M]").astype(np.int64)
        phases = np.unique(months % frequency.step)
        anchor = int(phases[0]) if len(phases) == 1 else 0
        return replace(frequency, anchor=anchor, day=_common_day(days) or 1)
    return frequency


def infer_frequency(dates: Dates) -> tuple[Frequency, str]:
    """Tell the frequency of a table from its dates (any order, repeats allowed), and why, in one sentence.

    - Times of day: hourly when they are whole hours, most of them one hour apart; otherwise summed by day.
    - The same day of every month, or month ends: monthly; quarterly or yearly when all gaps are multiples of
    that.
    - One weekday only, at least three dates: weekly. Otherwise daily.

    Raises
    ------
    InputError: fewer than two distinct dates.
    """
    moments = np.unique(dates.astype("datetime64[s]"))
    if len(moments) < 2:
        raise InputError(
            "there is only one date, at least two are needed",
            value=str(moments[0]) if len(moments) else None,
            hint="Give a longer history.",
        )
    seconds = moments.astype(np.int64) % 86400
    days = np.unique(moments.astype("datetime64[D]"))
    timed = len(np.unique(seconds)) > 1
    if timed:
        hour_apart = np.diff(moments).astype(np.int64) == 3600
        if not np.any(seconds % 3600) and np.mean(hour_apart) > 0.5:
            return FREQUENCIES["hourly"], "Frequency hourly: times are whole hours, mostly one hour apart."
        if len(days) < 2:
            raise InputError("all rows are of one day, at least two days are needed", value=str(days[0]))
        return FREQUENCIES[
            "daily"
        ], "Frequency daily: the times of day are irregular, so sales are summed by day."
    gaps = np.diff(days).astype(np.int64)
    if int(gaps.min()) >= 28 and _common_day(days):
        months = np.diff(np.unique(days.astype("datetime64[M]"))).astype(np.int64)
        name = "yearly" if not np.any(months % 12) else "quarterly" if not np.any(months % 3) else "monthly"
        return anchored(FREQUENCIES[name], days), f"Frequency {name}: {_day_reason(days, name)}."
    if len(days) >= 3 and not np.any(gaps % 7):
        weekday = WEEKDAYS[int(_weekday(days[:1])[0])]
        return anchored(FREQUENCIES["weekly"], days), f"Frequency weekly: every date is a {weekday}."
    usual = int(np.median(gaps))
    return FREQUENCIES[
        "daily"
    ], f"Frequency daily: dates are mostly {usual} day{'s' if usual > 1 else ''} apart."


def _weekday(days: Dates) -> NDArray[np.int64]:
    return (days.astype("datetime64[D]").astype(np.int64) - 4) % 7


def _common_day(days: Dates) -> int:
    """The day of the month that all `days` share, 31 for the last one; 0 if there is none."""
    months = days.astype("datetime64[M]")
    numbers = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    last = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    if np.all(numbers == last) and last.max() >= 30:
        return 31
    wanted = int(numbers.max())
    return wanted if np.all(numbers == np.minimum(wanted, last)) else 0


def _day_reason(days: Dates, name: str) -> str:
    day = _common_day(days)
    which = "the last day of a month" if day == 31 else f"day {day} of a month"
    between = {"monthly": "", "quarterly": ", quarters apart", "yearly": ", years apart"}[name]
    return f"every date is {which}{between}"


def calendar_features(dates: Dates, frequency: Frequency) -> NDArray[np.float32]:
    """Return what a network may know of each date, (T, F) float32, every value in [-1, 1].

    - hourly: hour of the day (sin, cos of 2 harmonics), weekday (7, one of them 1), time of year (2
      harmonics).
    - daily: weekday (7), day of the month (sin, cos; distance to its end), time of year (3 harmonics),
      Christmas (2).
    - weekly: day of the month (sin, cos), time of year (3 harmonics), Christmas (2).
    - monthly: month (12). quarterly: quarter of the period's first month (4). yearly: none, F = 0.

    Christmas is a ramp that climbs from 0 to 1 over the 35 days before December 25, and one that falls from 1
    to 0 over the 14 days after it.
    """
    moments = dates.astype("datetime64[s]")
    days = moments.astype("datetime64[D]")
    parts: list[NDArray[np.float64]] = []
    if frequency.name == "hourly":
        hours = (moments.astype(np.int64) % 86400) / 86400
        parts = [_waves(hours, 2), _one_hot(_weekday(days), 7), _waves(_year_phase(days), 2)]
    elif frequency.name == "daily":
        parts = [
            _one_hot(_weekday(days), 7),
            _month_phase(days),
            _waves(_year_phase(days), 3),
            _christmas(days),
        ]
    elif frequency.name == "weekly":
        parts = [_month_phase(days)[:, :2], _waves(_year_phase(days), 3), _christmas(days)]
    elif frequency.name == "monthly":
        parts = [_one_hot(days.astype("datetime64[M]").astype(np.int64) % 12, 12)]
    elif frequency.name == "quarterly":
        parts = [_one_hot(days.astype("datetime64[M]").astype(np.int64) % 12 // 3, 4)]
    empty = np.zeros((len(dates), 0))
    return np.concatenate([empty, *parts], axis=1).astype(np.float32)


def _waves(phase: NDArray[np.float64], harmonics: int) -> NDArray[np.float64]:
    angles = 2 * np.pi * phase[:, None] * np.arange(1, harmonics + 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _one_hot(index: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    return np.eye(size)[index]


def _year_phase(days: Dates) -> NDArray[np.float64]:
    start = days.astype("datetime64[Y]")
    length = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(np.int64)
    return np.asarray((days - start.astype("datetime64[D]")).astype(np.int64) / length)


def _month_phase(days: Dates) -> NDArray[np.float64]:
    start = days.astype("datetime64[M]")
    length = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(np.int64)
    number = (days - start.astype("datetime64[D]")).astype(np.int64)
    near_end = np.clip(1 - (length - 1 - number) / 5, 0, 1)
    return np.concatenate([_waves(number / length, 1), near_end[:, None]], axis=1)


def _christmas(days: Dates) -> NDArray[np.float64]:
    def ramp(width: int, sign: int, year_shift: int) -> NDArray[np.float64]:
        day = (days.astype("datetime64[Y]") + year_shift).astype("datetime64[M]") + 11
        distance = (day.astype("datetime64[D]") + 24 - days).astype(np.int64) * sign
        return np.where(distance >= 0, np.clip(1 - distance / width, 0, 1), 0.0)

    before = ramp(35, 1, 0)
    after = np.maximum(ramp(14, -1, 0), ramp(14, -1, -1))
    return np.stack([before, after], axis=1)
