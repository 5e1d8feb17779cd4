"""Zeros that chance does not explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from small_shop import frame_of, panel_of

from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.zero_runs import implausible_zeros

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "online_retail_200.csv.gz"


def found(
    values: np.ndarray, first: list[int] | None = None, told: np.ndarray | None = None
) -> list[tuple[int, ...]]:
    array = np.asarray(values, dtype=np.float32)
    return implausible_zeros(array, np.array(first or [0] * len(array)), told)


def test_a_run_that_does_not_fit_its_item() -> None:
    often, seldom = np.ones(200), np.arange(200) % 20 == 0
    gone = often.copy()
    gone[100:125] = 0
    assert found(np.stack([often, seldom, gone])) == [(2, 100, 125)]
    ended = often.copy()
    ended[150:] = 0
    assert found(np.stack([gone, seldom, ended])) == [(2, 150, 200), (0, 100, 125)]  # the least likely first


def test_little_that_is_known_proves_little() -> None:
    few = np.zeros(100)
    few[:3] = 5
    assert found(np.stack([few])) == []
    never = np.zeros((1, 300))
    assert found(never) == []
    before = np.concatenate([np.zeros(100), np.ones(50)])
    assert found(np.stack([before]), [100]) == []


def test_chance_makes_few_of_them() -> None:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.02, 0.9, 3000)[:, None]
    assert found(rng.random((3000, 400)) < rates) == []


def test_closed_days_and_what_was_told_do_not_count() -> None:
    open_ = np.ones((12, 200))
    open_[:, 80:120] = 0
    assert found(open_) == []
    assert len(found(open_[:9])) == 9  # of so few, all may be out of stock
    gone = np.ones((2, 200))
    gone[0, 50:90] = 0
    assert found(gone) == [(0, 50, 90)]
    told = np.zeros((2, 200), dtype=bool)
    told[0, 50:88] = True
    assert found(gone, told=told) == []


def test_it_is_said() -> None:
    values = np.ones((3, 120), dtype=np.float32)
    values[1, 40:90] = 0
    values[2, 80:] = 0
    frame = frame_of(panel_of(values))
    within, ended = [note for note in Panel.from_frame(frame).notes if "one in a million" in note]
    assert "has: 1 (item 01 from 2023-02-11 to 2023-04-01)." in within
    assert "--stock-out" in within
    assert "up to the end" in ended
    assert "has: 1 (item 02 from 2023-03-23 to 2023-05-01)." in ended
    marked = frame.with_columns(out=(pl.col("y") == 0))
    assert not any("a million" in note for note in Panel.from_frame(marked, stock_out="out").notes)
    kept = frame.with_columns(y=pl.when(pl.int_range(pl.len()) == 0).then(-1).otherwise("y"))
    assert not any("a million" in note for note in Panel.from_frame(kept, negative="keep").notes)


def test_in_a_real_shop_some_are_found() -> None:
    panel = Panel.from_file(EXAMPLE)
    items = implausible_zeros(panel.values, panel.first)
    assert 1 <= len(items) < 60
    for item, start, end in items:
        assert not panel.values[item, start:end].any()
