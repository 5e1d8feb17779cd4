from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import InputError, UsageError
from recurra.forecasting.stock.plan import paths_needed, plan_stock
from recurra.forecasting.stock.policies import service_level_stock
from recurra.forecasting.stock.rules import protection_demand
from recurra.forecasting.stock.terms import StockTerms, item_terms

COLUMNS = [
    "unique_id",
    "rule",
    "lead_time",
    "review",
    "service_level",
    "expected_demand",
    "safety_stock",
    "order_up_to",
    "on_hand",
    "on_order",
    "order_quantity",
    "fill_rate",
    "stock_out_probability",
    "stock_out_after_order",
]


def poisson_paths(seed: int = 0, items: int = 3, samples: int = 500, horizon: int = 14) -> np.ndarray:
    rates = np.linspace(0.2, 9, items)[:, None, None]
    return np.random.default_rng(seed).poisson(rates, (items, samples, horizon)).astype(np.float32)


def ids(count: int) -> list[str]:
    return [f"item {i}" for i in range(count)]


def test_a_plan_of_a_worked_example() -> None:
    # Demand over 1 + 1 periods is 1, 2, …, 100: the least stock that covers 90 of the 100 futures is 90.
    paths = np.zeros((1, 100, 3))
    paths[0, :, 0] = np.arange(1, 101) - 1
    paths[0, :, 1] = 1
    paths[0, :, 2] = 1000
    plan = plan_stock(paths, ["a"], lead_time=1, review=1, service_level=0.9, on_hand=20, on_order={"a": 5})
    assert plan.frame.columns == COLUMNS
    row = plan.frame.row(0, named=True)
    assert row["expected_demand"] == pytest.approx(50.5)
    assert row["order_up_to"] == 90
    assert row["safety_stock"] == pytest.approx(39.5)
    assert row["order_quantity"] == 65
    assert row["stock_out_probability"] == pytest.approx(0.75)
    assert (row["on_hand"], row["on_order"]) == (20, 5)
    assert plan.rule == (
        "Order every 1 period; an order arrives 1 period later, so what is in stock or on order must last "
        "for 2 periods. Order up to the level that covers the demand of 2 periods in 0.9 of the simulated "
        "futures, less what is on hand and on order."
    )


def test_enough_stock_orders_nothing() -> None:
    plan = plan_stock(poisson_paths(), ids(3), lead_time=7, review=7, service_level=0.95, on_hand=10_000)
    assert plan.frame["order_quantity"].to_list() == [0, 0, 0]
    assert plan.frame["stock_out_probability"].to_list() == [0, 0, 0]


def test_backorders_are_ordered_on_top() -> None:
    arguments = {"lead_time": 3, "review": 4, "service_level": 0.9}
    none = plan_stock(poisson_paths(), ids(3), **arguments).frame["order_quantity"]  # type: ignore[arg-type]
    owed = plan_stock(poisson_paths(), ids(3), on_hand=-6, **arguments)  # type: ignore[arg-type]
    assert (owed.frame["order_quantity"] - none).to_list() == [6, 6, 6]
    assert any("negative" in note for note in owed.notes)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.floats(0.01, 0.98),
    whole=st.booleans(),
    samples=st.integers(1, 300),
)
def test_the_level_covers_its_share_of_the_paths_and_is_the_least_that_does(
    seed: int, level: float, whole: bool, samples: int
) -> None:
    generator = np.random.default_rng(seed)
    demand = generator.poisson(5, (4, samples)) if whole else generator.gamma(2, 3, (4, samples))
    stock = service_level_stock(demand, level, whole=whole)
    assert ((demand <= stock[:, None]).mean(axis=1) >= level - 1e-9).all()
    assert ((demand < stock[:, None]).mean(axis=1) < level + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(st.floats(0.05, 0.98), min_size=2, max_size=5).map(sorted),
    hand=st.integers(-5, 60),
)
def test_more_service_never_orders_less(seed: int, levels: list[float], hand: int) -> None:
    paths = poisson_paths(seed, items=4, samples=300)
    orders = [
        plan_stock(paths, ids(4), lead_time=2, review=3, service_level=level, on_hand=hand).frame[
            "order_quantity"
        ]
        for level in levels
    ]
    for less, more in pairwise(orders):
        assert (more >= less).all()


def test_independent_normal_demand_gives_the_textbook_level() -> None:
    mu, sigma, interval = 100.0, 20.0, 9
    paths = np.random.default_rng(1).normal(mu, sigma, (1, 40_000, interval))
    demand = protection_demand(paths, 6, 3)
    for level in (0.5, 0.9, 0.95, 0.99):
        z = NormalDist().inv_cdf(level)
        textbook = mu * interval + z * sigma * np.sqrt(interval)
        assert service_level_stock(demand, level, whole=False)[0] == pytest.approx(textbook, abs=2.5)


def test_the_sum_of_quantiles_is_not_the_quantile_of_the_sum() -> None:
    generator = np.random.default_rng(2)
    alone = generator.gamma(2, 5, (1, 20_000, 8))
    together = np.repeat(alone[:, :, :1], 8, axis=2)
    for paths, ratio in ((alone, (1.3, 2.0)), (together, (0.999, 1.001))):
        sum_of_quantiles = np.quantile(paths, 0.95, axis=1).sum()
        level = service_level_stock(protection_demand(paths, 4, 4), 0.95, whole=False)[0]
        # Independent periods even out; wholly dependent ones do not, and only there the sums agree.
        assert ratio[0] < sum_of_quantiles / level < ratio[1]


def test_quantities_by_weight_are_not_rounded() -> None:
    paths = np.random.default_rng(3).gamma(2, 1, (2, 400, 4))
    frame = plan_stock(
        paths, ids(2), lead_time=2, review=1, service_level=0.9, on_hand=0.25, whole=False
    ).frame
    np.testing.assert_allclose(frame["order_quantity"], frame["order_up_to"] - 0.25, atol=1e-6)
    assert frame["order_up_to"][0] % 1 != 0


def test_part_of_a_unit_in_stock_is_rounded_up_but_binary_dust_is_not() -> None:
    paths = np.full((2, 100, 2), 5.0)
    frame = plan_stock(
        paths, ["a", "b"], lead_time=1, review=1, service_level=0.9, on_hand={"a": 2.5, "b": 3 - 1e-9}
    ).frame
    assert frame["order_quantity"].to_list() == [8, 7]


def test_the_answer_comes_in_the_library_asked_for() -> None:
    plan = plan_stock(poisson_paths(), ids(3), lead_time=1, review=1, service_level=0.9, backend="pandas")
    assert isinstance(plan.frame, pd.DataFrame)
    assert list(plan.frame.columns) == COLUMNS


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_a_plan_is_written_whole(tmp_path: Path, suffix: str, backend: str) -> None:
    plan = plan_stock(poisson_paths(), ids(3), lead_time=1, review=1, service_level=0.9, backend=backend)
    path = tmp_path / f"plan{suffix}"
    plan.write(path)
    back = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert back.columns == COLUMNS
    assert back["order_quantity"].to_list() == list(plan.frame["order_quantity"])
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_plan_with_another_ending_is_refused(tmp_path: Path) -> None:
    plan = plan_stock(poisson_paths(), ids(3), lead_time=1, review=1, service_level=0.9)
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        plan.write(tmp_path / "plan.xlsx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lead_time": -1}, "lead_time does not fit"),
        ({"lead_time": 1.5}, "lead_time does not fit"),
        ({"lead_time": True}, "lead_time does not fit"),
        ({"review": 0}, "review does not fit"),
        ({"service_level": 0}, "service_level does not fit"),
        ({"service_level": 1}, "service_level does not fit"),
        ({"service_level": 95}, "between 0 and 1, such as 0.95"),
        ({"service_level": float("nan")}, "service_level does not fit"),
        ({"service_level": "high"}, "service_level does not fit"),
        ({"lead_time": 14}, r"15 periods.*only 14.*horizon=15"),
        ({"service_level": 0.995}, r"500 sample paths are too few.*at least 1000; 5000"),
    ],
)
def test_arguments_that_do_not_fit_name_the_way_out(change: dict[str, object], message: str) -> None:
    arguments = {"lead_time": 1, "review": 1, "service_level": 0.9} | change
    with pytest.raises(UsageError, match=message):
        plan_stock(poisson_paths(), ids(3), **arguments)  # type: ignore[arg-type]


def test_numpy_integers_are_whole_numbers() -> None:
    plan = plan_stock(poisson_paths(), ids(3), lead_time=np.int64(2), review=np.int32(1), service_level=0.9)
    assert plan.frame["lead_time"].to_list() == [2, 2, 2]


def test_paths_needed_suffice() -> None:
    for level in (0.5, 0.9, 0.95, 0.99, 0.999):
        terms = StockTerms(lead_time=1, service_level=level)
        needed = paths_needed(item_terms(terms, ["a"], review=1, whole=True), terms)
        assert level > 0.95 or needed == 500
        paths = np.ones((1, needed, 2), dtype=np.float32)
        plan = plan_stock(paths, ["a"], lead_time=1, review=1, service_level=level)
        assert plan.frame["order_up_to"].to_list() == [2]


def test_broken_paths_do_not_become_orders() -> None:
    paths = poisson_paths()
    paths[1, 3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        plan_stock(paths, ids(3), lead_time=1, review=1, service_level=0.9)


def test_a_calibrated_plan_takes_each_item_as_wide_as_it_was() -> None:
    paths = np.random.default_rng(3).poisson(5, (3, 2000, 10)).astype(float)
    asked: dict[str, Any] = {"lead_time": 3, "review": 2}
    plain = plan_stock(paths, ("a", "b", "c"), **asked)
    same = plan_stock(paths, ("a", "b", "c"), spreads=np.ones(3), **asked)
    assert same.frame.equals(plain.frame)
    wide = plan_stock(paths, ("a", "b", "c"), spreads=np.array([1.0, 0.5, 2.0]), **asked)
    assert wide.frame["spread"].to_list() == [1, 0.5, 2]
    assert wide.frame["rule"].to_list() == [
        "(R, S), cycle service level",
        "(R, S), cycle service level; own spread",
        "(R, S), cycle service level; own spread",
    ]
    np.testing.assert_allclose(wide.frame["expected_demand"], plain.frame["expected_demand"], rtol=0.01)
    ratio = wide.frame["safety_stock"] / plain.frame["safety_stock"]
    np.testing.assert_allclose(ratio, [1, 0.5, 2], atol=0.15)
    reached = wide.frame["stock_out_after_order"].to_numpy()
    assert ((reached > 0.02) & (reached <= 0.05)).all()
    for changes in ({"target": "fill"}, {"target": "costs", "holding_cost": 1, "shortage_cost": 40}):
        levels = [
            plan_stock(paths, ("a", "b", "c"), spreads=s, **asked, **changes).frame["order_up_to"].to_numpy()
            for s in (None, np.array([1.0, 0.5, 2.0]))
        ]
        assert (np.sign(levels[1] - levels[0]) == [0, -1, 1]).all()
