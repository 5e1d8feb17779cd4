from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.sales.calendar import (
    FREQUENCIES,
    anchored,
    calendar_features,
    frequency_named,
    infer_frequency,
)


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[s]")


def every(start: str, count: int, step: int, unit: str) -> np.ndarray:
    return (np.datetime64(start, unit) + step * np.arange(count)).astype("datetime64[s]")


@pytest.mark.parametrize(
    ("dates", "name", "reason"),
    [
        (every("2011-01-01T00", 100, 1, "h"), "hourly", "whole hours"),
        (days("2011-01-01T09:13", "2011-01-01T09:14", "2011-01-02T10:00"), "daily", "irregular"),
        (days("2011-01-01T09:00", "2011-01-01T17:00", "2011-01-02T09:00"), "daily", "irregular"),
        (every("2011-01-01", 30, 1, "D"), "daily", "1 day apart"),
        (days("2011-01-03", "2011-01-04", "2011-01-07", "2011-01-10"), "daily", "days apart"),
        (every("2011-01-02T23", 30, 24, "h"), "daily", "1 day apart"),
        (every("2011-01-02", 30, 7, "D"), "weekly", "every date is a Sunday"),
        (days("2011-01-02", "2011-01-16", "2011-02-06"), "weekly", "Sunday"),
        (every("2011-01", 12, 1, "M"), "monthly", "day 1 of a month"),
        (every("2011-02", 12, 1, "M") - np.timedelta64(86400, "s"), "monthly", "the last day of a month"),
        (days("2011-01-15", "2011-02-15", "2011-05-15"), "monthly", "day 15 of a month"),
        (every("2011-02", 12, 3, "M"), "quarterly", "quarters apart"),
        (every("2000-04", 12, 12, "M"), "yearly", "years apart"),
    ],
)
def test_frequency_is_inferred(dates: np.ndarray, name: str, reason: str) -> None:
    shuffled = np.random.default_rng(0).permutation(np.concatenate([dates, dates[:1]]))
    frequency, sentence = infer_frequency(shuffled)
    assert frequency.name == name
    assert sentence.startswith(f"Frequency {name}: ")
    assert reason in sentence


@pytest.mark.parametrize(
    "dates",
    [
        every("2011-01-01T00", 50, 1, "h"),
        every("2011-01-01", 30, 1, "D"),
        every("2011-01-02", 30, 7, "D"),
        every("2011-01", 40, 1, "M"),
        every("2011-02", 40, 1, "M") - np.timedelta64(86400, "s"),
        days("2011-01-30", "2011-02-28", "2011-03-30", "2011-04-30"),
        every("2011-02", 12, 3, "M"),
        every("1960-04", 12, 12, "M"),
    ],
)
def test_regular_dates_come_back_as_written(dates: np.ndarray) -> None:
    frequency, _ = infer_frequency(dates)
    back = frequency.dates(dates[0], len(dates))
    np.testing.assert_array_equal(back.astype("datetime64[s]"), dates)
    assert np.datetime_data(back.dtype)[0] == ("s" if frequency.name == "hourly" else "D")


def test_one_date_is_too_few() -> None:
    with pytest.raises(InputError, match="only one date"):
        infer_frequency(days("2011-01-01", "2011-01-01"))
    with pytest.raises(InputError, match="one day"):
        infer_frequency(days("2011-01-01T08:03", "2011-01-01T09:14"))


def test_frequencies_have_names_and_first_letters() -> None:
    assert [frequency_named(letter).season for letter in "hdwmqy"] == [24, 7, 52, 12, 4, 1]
    assert frequency_named("Weekly").interval == "1w"
    with pytest.raises(UsageError, match="hourly, daily, weekly"):
        frequency_named("fortnightly")


def test_given_frequencies_begin_on_mondays_and_firsts() -> None:
    daily = every("2011-01-01", 60, 1, "D")
    week = anchored(FREQUENCIES["weekly"], daily).dates(daily[0], 1)[0]
    assert str(week) == "2010-12-27"
    assert week.astype(datetime.date).weekday() == 0
    quarter = anchored(FREQUENCIES["quarterly"], daily).dates(np.datetime64("2011-05-17"), 2)
    assert [str(date) for date in quarter] == ["2011-04-01", "2011-07-01"]
    assert str(FREQUENCIES["yearly"].dates(np.datetime64("1969-05-17"), 1)[0]) == "1969-01-01"


MOMENTS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))


@given(st.sampled_from(sorted(FREQUENCIES)), MOMENTS)
def test_a_period_holds_the_moments_from_its_date_to_the_next(name: str, moment: datetime.datetime) -> None:
    frequency = FREQUENCIES[name]
    here = np.array([moment], dtype="datetime64[s]")
    begin, after = frequency.dates(here[0], 2).astype("datetime64[s]")
    assert begin <= here[0] < after
    assert frequency.index(np.array([begin]))[0] + 1 == frequency.index(np.array([after]))[0]


@given(st.sampled_from(sorted(FREQUENCIES)), MOMENTS, st.integers(1, 400))
def test_features_are_bounded_and_belong_to_the_date(
    name: str, moment: datetime.datetime, count: int
) -> None:
    frequency = FREQUENCIES[name]
    dates = frequency.dates(np.datetime64(moment, "s"), count)
    features = calendar_features(dates, frequency)
    assert features.shape[0] == count
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max(initial=0) <= 1
    np.testing.assert_array_equal(calendar_features(dates[-1:], frequency), features[-1:])


def test_daily_features_tell_weekday_month_end_and_christmas() -> None:
    daily = FREQUENCIES["daily"]
    dates = daily.dates(np.datetime64("2011-01-01"), 730)
    features = calendar_features(dates, daily)
    assert features.shape == (730, 18)
    weekdays = [date.weekday() for date in dates.astype(object)]
    np.testing.assert_array_equal(features[:, :7].argmax(axis=1), weekdays)
    np.testing.assert_array_equal(features[:, :7].sum(axis=1), 1)
    at = {str(date): row for date, row in zip(dates, features, strict=True)}
    assert at["2011-01-31"][9] == 1
    assert at["2011-01-20"][9] == 0
    before, after = -2, -1
    assert at["2011-12-25"][before] == at["2011-12-25"][after] == 1
    assert at["2011-11-19"][before] == 0 < at["2011-11-27"][before] < at["2011-12-20"][before]
    assert at["2011-12-26"][before] == 0
    assert at["2012-01-10"][after] == 0 < at["2012-01-02"][after] < at["2011-12-27"][after]
    sizes = [
        calendar_features(FREQUENCIES[name].dates(dates[0], 3), FREQUENCIES[name]).shape[1]
        for name in FREQUENCIES
    ]
    assert sizes == [15, 18, 10, 12, 4, 0]


def test_time_of_year_has_no_jump() -> None:
    daily = FREQUENCIES["daily"]
    waves = calendar_features(daily.dates(np.datetime64("2011-12-01"), 62), daily)[:, 10:16]
    assert np.abs(np.diff(waves, axis=0)).max() < 0.06
