"""Reading new sales alone gives what reading the whole history gives."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import HORIZON, frame_of, numbers, shop, tiny

from recurra import native
from recurra.errors import InputError, ModelError, UsageError
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "forecaster-v1"
CUT = 50


def day(number: int) -> pl.Expr:
    return pl.lit(np.datetime64("2023-01-02") + number)


def before(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    return frame.filter(pl.col("ds") < day(number))


def after(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    return frame.filter(pl.col("ds") >= day(number))


def same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    found, expected = found.sort("unique_id", "ds"), expected.sort("unique_id", "ds")
    assert found.select("unique_id", "ds").equals(expected.select("unique_id", "ds"))
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-4, atol=1e-4)


def changing(panel: Panel, seed: int = 0) -> pl.DataFrame:
    """The panel's sales with a price, a promotion, visitors, a category and empty shelves."""
    generator = np.random.default_rng(seed)
    frame = frame_of(panel)
    n = len(frame)
    return frame.with_columns(
        price=pl.Series(generator.gamma(9, 1, n)).round(2),
        promotion=pl.Series(generator.random(n) < 0.2),
        visitors=pl.Series(generator.integers(0, 500, n)),
        category=pl.col("unique_id").str.tail(1).cast(pl.Int64).mod(2).replace_strict({0: "even", 1: "odd"}),
        out=pl.Series(generator.random(n) < 0.1),
    )


ALONG: dict[str, Any] = {
    "static": ["category"],
    "past": ["visitors"],
    "stock_out": "out",
}


@pytest.fixture(scope="module")
def early() -> Forecaster:
    """Fitted to the first 50 of 70 days of the shop, whose sixth item begins on day 35; tests must not change it."""
    return tiny().fit(before(frame_of(shop()), CUT))


@pytest.fixture(scope="module")
def seen_by_trend() -> Forecaster:
    """As `early`, of another view of sales."""
    return tiny(view="trend").fit(before(frame_of(shop()), CUT))


@pytest.mark.parametrize("fitted", ["early", "seen_by_trend"])
@pytest.mark.parametrize("packed", [False, True])
def test_updates_are_the_whole_history(fitted: str, packed: bool, request: pytest.FixtureRequest) -> None:
    if packed and not native.available():
        pytest.skip("the extension was not built")
    whole, model = frame_of(shop()), copy.deepcopy(request.getfixturevalue(fitted))
    if packed:
        model.pack()
    expected = model.predict(whole)
    same(copy.deepcopy(model).update(after(whole, CUT)).predict(), expected)
    for number in range(CUT, 70):  # a day at a time
        model.update(after(before(whole, number + 1), number))
    same(model.predict(), expected)


@settings(max_examples=15)
@given(
    st.integers(0, 99),
    st.lists(st.integers(51, 69), max_size=3, unique=True),
    st.booleans(),
    st.sampled_from(["level", "trend"]),
)
def test_days_without_sales_and_items_that_come_are_read_as_in_the_whole(
    seed: int, cuts: list[int], missing: bool, view: str
) -> None:
    """Also where an item sells only later, or never again, and another comes."""
    generator = np.random.default_rng(seed)
    whole = frame_of(shop(seed=seed))
    whole = whole.filter(pl.Series(generator.random(len(whole)) < 0.6) | (pl.col("unique_id") == "item 00"))
    new = after(whole, int(generator.integers(CUT, 69))).with_columns(unique_id=pl.lit("a new one"))
    whole = pl.concat([whole, new])
    model = tiny(steps=1, gaps="missing" if missing else "zero", view=view).fit(before(whole, CUT))
    expected = model.predict(whole)
    ends = [CUT, *sorted(cuts), 70]
    for start, end in pairwise(ends):
        model.update(after(before(whole, end), start))
    same(model.predict(), expected)


@settings(max_examples=10)
@given(st.integers(0, 99), st.lists(st.integers(51, 69), max_size=2, unique=True))
def test_what_goes_along_is_read_as_in_the_whole(seed: int, cuts: list[int]) -> None:
    generator = np.random.default_rng(seed)
    whole = changing(shop(seed=seed), seed)
    whole = whole.filter(pl.Series(generator.random(len(whole)) < 0.7) | (pl.col("unique_id") == "item 00"))
    ahead = pl.DataFrame(
        {
            "ds": np.datetime64("2023-01-02") + np.arange(70, 70 + HORIZON),
            "price": generator.gamma(9, 1, HORIZON),
            "promotion": generator.random(HORIZON) < 0.5,
        }
    )
    model = tiny(steps=1, future=["price", "promotion"], **ALONG).fit(before(whole, CUT))
    expected = model.predict(whole, future=ahead)
    ends = [CUT, *sorted(cuts), 70]
    for start, end in pairwise(ends):
        model.update(after(before(whole, end), start))
    same(model.predict(future=ahead), expected)


def test_what_was_known_ahead_stays_known() -> None:
    whole = changing(shop())
    known = whole.with_columns(y=pl.when(pl.col("ds") < day(CUT)).then(pl.col("y")))
    model = tiny(steps=1, future=["price", "promotion"]).fit(known)
    # What is planned for days 50 … 69 came with the history; the update says it once more, as it was.
    first = model.predict()
    model.update(after(before(whole, 55), CUT))
    same(
        model.predict(), model.predict(known.with_columns(y=pl.when(pl.col("ds") < day(55)).then(whole["y"])))
    )
    assert first["ds"].max() < model.predict()["ds"].max()  # type: ignore[operator]


def test_a_saved_model_goes_on(early: Forecaster, tmp_path: Path) -> None:
    whole, model = frame_of(shop()), copy.deepcopy(early)
    model.update(after(before(whole, 60), CUT)).save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    same(loaded.predict(), model.predict())
    same(loaded.update(after(whole, 60)).predict(), early.predict(whole))


def test_what_was_read_already_is_refused(early: Forecaster) -> None:
    whole, model = frame_of(shop()), copy.deepcopy(early)
    with pytest.raises(InputError, match="2023-02-20 are of a period that was read already"):
        model.update(after(whole, 49))
    same(model.predict(), early.predict())  # and nothing has moved
    model.update(after(whole, CUT))
    with pytest.raises(InputError, match="knows all to 2023-03-12"):
        model.update(after(whole, CUT))


def test_a_model_without_states_says_so() -> None:
    model = Forecaster.load(GOLDEN)
    end = model.memory_.end
    rows = pl.DataFrame({"unique_id": [model.items_[0]], "ds": [str(end + 1)], "y": [1]})
    with pytest.raises(UsageError, match="kept no states"):
        model.update(rows)


def test_a_date_far_ahead_is_refused_before_memory_is_asked_for(
    early: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra.forecasting.updating.LARGEST", 1000)
    with pytest.raises(InputError, match="more numbers than recurra holds") as caught:
        early.update(pl.DataFrame({"unique_id": ["item 00"], "ds": ["2099-02-21"], "y": [1]}))
    assert str(caught.value.value) == "2099-02-21"


@pytest.mark.parametrize("wrong", ["another shape", "another name"])
def test_states_of_another_cell_are_refused(early: Forecaster, wrong: str) -> None:
    model = copy.deepcopy(early)
    state = dict(model.memory_.state or {})
    name = next(iter(state))
    kept = state.pop(name)
    state |= {name: kept[:, :-1]} if wrong == "another shape" else {"other": kept}
    model.memory_ = replace(model.memory_, state=state)
    with pytest.raises(ModelError, match="not those of its cell"):
        model.update(after(frame_of(shop()), CUT))


def test_bad_rows_are_errors_with_their_place(early: Forecaster) -> None:
    with pytest.raises(InputError) as caught:
        early.update(pl.DataFrame({"unique_id": ["item 00"], "ds": ["2023-02-21"], "y": ["many"]}))
    assert caught.value.column == "y"
