"""Public holidays as what a network may know of a date; from the library `holidays` (extra `holidays`).

Legend: T periods, K names of holidays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError, UsageError
from recurra.forecasting.sales.calendar import Dates, Frequency

if TYPE_CHECKING:
    from holidays import HolidayBase

__all__ = ["columns", "holiday_features", "holiday_names"]

MANY = 4.0  # holidays in one period, which counts as 1


def holiday_names(dates: Dates, place: str) -> tuple[str, ...]:
    """The names of the public holidays of a country ("GB") or a part of it ("DE-BY") in the years of `dates`.

    Raises UsageError for a place that is not known, MissingExtraError where the library is not installed.
    """
    return tuple(sorted(set(_calendar(place, *_years(dates)).values())))


def columns(names: Sequence[str]) -> int:
    """How many columns `holiday_features` has."""
    return len(names) + 2


def holiday_features(
    dates: Dates, frequency: Frequency, place: str, names: Sequence[str]
) -> NDArray[np.float32]:
    """What is known of the holidays of each period, (T, K + 2), in [0, 1].

    For each name whether it falls into the period; behind them, of days and hours, whether the day before and the day
    after is a holiday, and of longer periods a quarter of how many there are, and 0. A holiday of another name, such
    as a wedding in a later year, counts in the last two alone.
    """
    length = len(dates)
    following = frequency.dates(dates[-1], 2)[-1:]
    edges = np.append(dates, following).astype("datetime64[D]")
    first, last = _years(edges)
    known = {np.datetime64(day): name for day, name in _calendar(place, first, last).items()}
    days = np.array(sorted(known), dtype="datetime64[D]")
    found = np.zeros((length, columns(names)), np.float32)
    if frequency.unit == "h" or frequency.name == "daily":
        here = edges[:-1]
        for place_, name in enumerate(names):
            found[:, place_] = np.isin(here, [day for day in days if known[day] == name])
        found[:, -2], found[:, -1] = np.isin(here + 1, days), np.isin(here - 1, days)
        return found
    period = np.searchsorted(edges, days, side="right") - 1
    for day, at in zip(days, period, strict=True):
        if 0 <= at < length:
            found[at, -2] = min(1.0, found[at, -2] + 1 / MANY)
            if known[day] in names:
                found[at, names.index(known[day])] = 1
    return found


def _years(dates: Dates) -> tuple[int, int]:
    """The first and the last year, with what the days beside them need."""
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    return int(years.min()), int(years.max()) + 1


def _calendar(place: str, first: int, last: int) -> HolidayBase:
    try:
        import holidays
    except ImportError as error:
        raise MissingExtraError.of("holidays", "holidays") from error
    country, _, part = place.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None, years=range(first - 1, last + 1))
    except NotImplementedError as error:
        raise UsageError(
            f"no public holidays are known of this place: {error}",
            value=place,
            hint="Give a country's two letters, such as GB, or with a part of it, such as DE-BY.",
        ) from error
