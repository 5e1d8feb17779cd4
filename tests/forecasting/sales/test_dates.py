from __future__ import annotations

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError, RecurraError, UsageError
from recurra.forecasting.sales.dates import parse_dates


def parse(texts: list[str], date_format: str | None = None) -> tuple[list[datetime.datetime], list[str]]:
    rows = pl.Series(range(2, len(texts) + 2), dtype=pl.Int64)
    parsed, notes = parse_dates(
        pl.Series(texts, dtype=pl.String), rows, date_format=date_format, file="s.csv", column="When"
    )
    return parsed.to_list(), notes


FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M"),
    *("%Y-%m-%d %I:%M %p", "%Y-%m-%d %H:%M:%S+02:00"),
)


@given(
    st.lists(st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2049, 1, 1)), min_size=1),
    st.data(),
)
def test_one_format_for_the_column(moments: list[datetime.datetime], data: st.DataObject) -> None:
    fmt = data.draw(st.sampled_from(FORMATS))
    texts = [moment.strftime(fmt) for moment in moments]
    python = fmt.replace("Z", "").replace("+02:00", "")
    expected = [
        datetime.datetime.strptime(text.replace("Z", "").replace("+02:00", ""), python).replace(microsecond=0)
        for text in texts
    ]
    assert parse(texts)[0] == expected


def test_day_first_and_month_first_are_told_apart_by_the_whole_column() -> None:
    assert parse(["01/02/2011", "13/02/2011"])[0][0] == datetime.datetime(2011, 2, 1)
    moments, notes = parse(["12/1/2009 7:45", "12/13/2009 17:05"])
    assert moments == [datetime.datetime(2009, 12, 1, 7, 45), datetime.datetime(2009, 12, 13, 17, 5)]
    assert notes == ["Dates are read as month/day/year hour:minute, such as 12/1/2009 7:45."]
    assert parse(["05/05/2011", "06/06/2011"])[0][1] == datetime.datetime(2011, 6, 6)


def test_what_can_be_both_is_asked_for() -> None:
    with pytest.raises(InputError) as caught:
        parse(["01/02/2011", "02/02/2011"])
    error = caught.value
    assert (error.file, error.column, error.value) == ("s.csv", "When", "01/02/2011")
    assert "--date-format '%d/%m/%Y' or '%m/%d/%Y'" in str(error)
    assert parse(["01/02/2011", "02/02/2011"], "%d/%m/%Y")[0][0] == datetime.datetime(2011, 2, 1)
    assert parse(["01/02/11"], "%m/%d/%y")[0] == [datetime.datetime(2011, 1, 2)]


def test_months_and_years_alone() -> None:
    assert parse(["2011-02", "2011-03"])[0] == [datetime.datetime(2011, 2, 1), datetime.datetime(2011, 3, 1)]
    assert parse(["2011", "2012"])[0] == [datetime.datetime(2011, 1, 1), datetime.datetime(2012, 1, 1)]
    assert parse(["Feb 2011"])[0] == [datetime.datetime(2011, 2, 1)]


def test_quarters_and_weeks() -> None:
    summer, autumn = datetime.datetime(2012, 7, 1), datetime.datetime(2012, 10, 1)
    for texts in (["2012-Q3", "2012-Q4"], ["Q3 2012", "q4 2012"], ["2012Q3", "2012Q4"]):
        moments, notes = parse(texts)
        assert moments == [summer, autumn]
        assert notes == [f"Dates are read as quarters, dated by their first months, such as {texts[0]}."]
    assert parse(["2020-W05", "2020-W53"])[0] == [
        datetime.datetime(2020, 1, 27),
        datetime.datetime(2020, 12, 28),
    ]
    with pytest.raises(InputError, match="no date") as caught:
        parse(["2012-Q3", "2012-Q5"])
    assert caught.value.value == "2012-Q3"


def test_dates_that_mix_orders_are_told_so() -> None:
    with pytest.raises(InputError, match="mix orders: this one fits month/day/year alone") as caught:
        parse(["01/02/2011", "13/02/2011", "14/02/2011", "02/13/2011"])
    error = caught.value
    assert (error.row, error.value) == (5, "02/13/2011")
    assert "'13/02/2011' fits day/month/year" in error.what


def test_a_time_zone_is_left_out_and_said() -> None:
    moments, notes = parse(["2011-02-01T23:30:00+02:00", "2011-02-01T23:30:00Z"])
    assert moments == [datetime.datetime(2011, 2, 1, 23, 30)] * 2
    assert notes == ["The time zone in When was left out; times of day are kept as written."]


@pytest.mark.parametrize(
    ("texts", "row", "value"),
    [
        (["2011-02-01", "2011-02-30", "2011-02-31"], 3, "2011-02-30"),
        (["31/12/2010", "01/02/2011", "2011-02-03"], 4, "2011-02-03"),
        (["1", "2", "3"], 2, "1"),
        (["01/02/11", "01/02/12"], 2, "01/02/11"),
        (["2011131", "2011132"], 2, "2011131"),
        (["yesterday"], 2, "yesterday"),
    ],
)
def test_what_is_no_date_is_shown(texts: list[str], row: int, value: str) -> None:
    with pytest.raises(InputError, match="no date") as caught:
        parse(texts)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == ("s.csv", row, "When", value)
    assert "--date-format" in str(error)


def test_a_given_format_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="day/month/year") as caught:
        parse(["2011-02-01"], "%d/%m/%Y")
    assert caught.value.row == 2
    with pytest.raises(UsageError, match="no date format"):
        parse(["2011-02-01"], "DD/MM/YYYY")


@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=5),
    st.one_of(st.none(), st.text("%YmdHMjQ-/ ", max_size=8)),
)
def test_any_text_is_parsed_or_refused(texts: list[str], date_format: str | None) -> None:
    try:
        moments, _ = parse(texts, date_format)
    except RecurraError:
        return
    assert all(1000 <= moment.year < 3000 for moment in moments)
