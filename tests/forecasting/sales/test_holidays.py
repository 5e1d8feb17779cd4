from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_shop import frame_of, numbers, panel_of, sales, tiny

from recurra import native
from recurra.errors import MissingExtraError, UsageError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.holidays import columns, holiday_features, holiday_names


def days(start: str, count: int) -> np.ndarray:
    return np.datetime64(start) + np.arange(count)


def test_names_are_those_of_the_place() -> None:
    names = holiday_names(days("2010-01-01", 365), "DE-BY")
    assert {"Epiphany", "Easter Monday", "Christmas Day"} <= set(names)
    assert "Epiphany" not in holiday_names(days("2010-01-01", 365), "DE")
    assert list(names) == sorted(names)


def test_days_of_the_year() -> None:
    dates = days("2010-12-20", 14)
    names = holiday_names(dates, "GB")
    found = holiday_features(dates, FREQUENCIES["daily"], "GB", names)
    assert found.shape == (14, columns(names))
    christmas = names.index("Christmas Day")
    assert dates[found[:, christmas] == 1].tolist() == [np.datetime64("2010-12-25").item()]
    before = {str(day) for day in dates[found[:, -2] == 1]}
    assert {"2010-12-24", "2010-12-31"} <= before
    after = {str(day) for day in dates[found[:, -1] == 1]}
    assert {"2010-12-26", "2011-01-02"} <= after
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_period_has_the_holidays_that_fall_into_it() -> None:
    weekly = FREQUENCIES["weekly"]
    dates = weekly.dates(np.datetime64("2010-12-13"), 4)
    names = holiday_names(dates, "GB")
    found = holiday_features(dates, weekly, "GB", names)
    assert found[:, names.index("Christmas Day")].tolist() == [0, 1, 0, 0]
    assert found[:, -2].tolist() == [0, 0.5, 0.75, 0.25]  # two; two observed and New Year; its observance
    monthly = FREQUENCIES["monthly"]
    months = monthly.dates(np.datetime64("2011-01-01"), 12)
    easter = holiday_features(months, monthly, "GB", names)[:, names.index("Good Friday")]
    assert months[easter == 1].tolist() == [np.datetime64("2011-04-01").item()]


def test_another_year_s_names_have_no_column() -> None:
    """The wedding of 2011 is a holiday that 2009 did not know."""
    names = holiday_names(days("2008-01-01", 365), "GB")
    found = holiday_features(days("2011-04-28", 3), FREQUENCIES["daily"], "GB", names)
    assert found[1, :-2].tolist() == [0] * len(names)
    assert found[[0, 2], [-2, -1]].tolist() == [1, 1]


def test_an_unknown_place_is_refused() -> None:
    for place in ("XX", "DE-ZZ"):
        with pytest.raises(UsageError, match="no public holidays") as caught:
            holiday_names(days("2010-01-01", 3), place)
        assert caught.value.value == place


def test_without_the_library_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtraError, match=r"recurra\[holidays\]"):
        holiday_names(days("2010-01-01", 3), "GB")


def test_a_forecaster_knows_them(tmp_path: Path) -> None:
    panel = panel_of(sales(4, 80), start="2010-11-01")
    model = tiny(holidays="GB").fit(frame_of(panel))
    assert model.inputs_.holiday_names
    if native.available():
        model.pack()
    model.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    np.testing.assert_allclose(numbers(loaded.predict()), numbers(model.predict()), rtol=1e-6)
    day = pl.DataFrame({"unique_id": ["item 00"], "ds": [str(panel.dates[-1] + 1)], "y": [1]})
    assert loaded.update(day).predict().height == 4 * model.horizon
