"""Whatever a frame holds, it becomes the panel that plain Python sums up, or an error for a person."""

from __future__ import annotations

import datetime
import decimal
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from recurra.errors import RecurraError
from recurra.forecasting import Forecaster
from recurra.forecasting.sales.data import Panel

DAY = datetime.date(2011, 1, 1)
DATES = st.integers(0, 20).map(lambda n: DAY + datetime.timedelta(days=n))
COLUMNS = (
    st.integers(-5, 2**40),
    st.floats(),
    st.sampled_from([1.0, 2.5, -3.0]),
    st.text(max_size=4),
    st.sampled_from(["2011-01-01", "2011-01-02", "1/2/2011", "13/2/2011", "2011-Q1"]),
    st.sampled_from(["1", "1,5", "1.234", "£5", "1.234,5", "nan"]),
    DATES,
    st.datetimes(),
    st.datetimes(datetime.datetime(2011, 1, 1), datetime.datetime(2011, 3, 1)),
    st.booleans(),
    st.none(),
    st.decimals(-100, 100, places=3),
    st.binary(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
    st.times(),
    st.timedeltas(),
)
NAMES = ("unique_id", "ds", "y", "invoice", "customer", "price")


@st.composite
def frames(draw: st.DrawFn) -> Any:
    """A frame of any library whose columns have names of roles, and values of any one kind, or of several."""
    height = draw(st.integers(0, 6))
    columns: dict[str, list[Any]] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        kind = draw(st.sampled_from(COLUMNS))
        if draw(st.integers(0, 4)) == 0:
            kind = kind | st.none() | draw(st.sampled_from(COLUMNS))
        columns[name] = [draw(kind) for _ in range(height)]
    library = draw(st.sampled_from(["polars", "pandas", "object"]))
    try:
        if library == "polars":
            return pl.DataFrame({name: pl.Series(values, strict=False) for name, values in columns.items()})
        return pd.DataFrame(columns, dtype=object if library == "object" else None)
    except (pl.exceptions.PolarsError, ArithmeticError, TypeError, ValueError):
        reject()  # the library itself takes no such mixture


@settings(max_examples=100)
@given(frame=frames(), gaps=st.sampled_from(["zero", "missing"]), decimal=st.sampled_from([None, ".", ","]))
def test_any_frame_gives_a_panel_or_an_error_for_a_person(frame: Any, gaps: str, decimal: str | None) -> None:
    try:
        panel = Panel.from_frame(frame, gaps=gaps, decimal=decimal)
    except RecurraError:
        return
    assert panel.values.shape == (len(panel.ids), len(panel.dates))
    assert np.isfinite(panel.values).all()
    assert (panel.values >= 0).all()
    assert list(panel.ids) == sorted(set(panel.ids))
    assert ((panel.first >= 0) & (panel.first < len(panel.dates))).all()
    assert (np.diff(panel.dates) > np.timedelta64(0)).all()


@settings(max_examples=25)
@given(frame=frames())
def test_fitting_any_frame_trains_or_refuses_and_leaves_no_half_fitted_model(frame: Any) -> None:
    def trained(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # the data were good enough to begin

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("recurra.forecasting.fitting.train", trained)
        forecaster = Forecaster(2, steps=1)
        with pytest.raises((RecurraError, KeyboardInterrupt)):
            forecaster.fit(frame)
    assert not any(name.endswith("_") for name in vars(forecaster))


@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), DATES, st.integers(0, 400)), min_size=1, max_size=30),
    style=st.sampled_from(["number", "text", "comma", "decimal", "kg"]),
    dates=st.sampled_from([None, "%d.%m.%Y", "%Y%m%d", "%d %b %Y"]),
)
def test_a_readable_frame_is_summed_as_plain_python_sums_it(
    rows: list[tuple[str, datetime.date, int]], style: str, dates: str | None
) -> None:
    rows = [*rows, ("a", DAY, 1), ("a", DAY + datetime.timedelta(days=1), 5)]
    quarter = {
        "number": lambda n: n / 4,
        "text": lambda n: str(n / 4),
        "comma": lambda n: str(n / 4).replace(".", ","),
        "decimal": lambda n: decimal.Decimal(n) / 4,
        "kg": lambda n: f"{n / 4} kg",
    }[style]
    frame = pd.DataFrame({
        "sku": [item for item, _, _ in rows],
        "date": [day if dates is None else day.strftime(dates) for _, day, _ in rows],
        "qty": [quarter(n) for _, _, n in rows],
    })  # fmt: skip
    panel = Panel.from_frame(frame, unit="kg" if style == "kg" else None, frequency="daily")
    expected: dict[tuple[str, datetime.date], float] = defaultdict(float)
    for item, day, n in rows:
        expected[item, day] += n / 4
    days = panel.dates.astype(object).tolist()
    assert {(item, day): float(panel.values[i, t]) for i, item in enumerate(panel.ids) for t, day in enumerate(days)
            if panel.values[i, t]} == {key: value for key, value in expected.items() if value}  # fmt: skip
    assert math.isclose(panel.values.sum(dtype=float), sum(expected.values()))
