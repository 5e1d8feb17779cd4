"""The Python examples of docs/forecasting.md run, one after another, on a small frame."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import polars as pl

PAGE = Path(__file__).parents[2] / "docs/forecasting.md"


def small_frame(days: int) -> pl.DataFrame:
    dates = [datetime.date(2025, 1, 6) + datetime.timedelta(day) for day in range(days)]
    parts = [
        pl.DataFrame(
            {"item": [name] * days, "date": dates, "quantity": [(day * step) % 7 for day in range(days)]}
        )
        for name, step in (("tea", 1), ("coffee", 3))
    ]
    return pl.concat(parts)


def test_the_examples_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 9
    start = datetime.date(2025, 1, 6)
    promotion = (pl.col("date") - start).dt.total_days() % 5 == 0
    category = pl.col("item").replace_strict({"tea": "leaves", "coffee": "beans"})
    names: dict[str, Any] = {
        "frame": small_frame(40),
        "newer_frame": small_frame(43),
        "newer_rows": small_frame(43).filter(pl.col("date") >= start + datetime.timedelta(40)),
        "history": small_frame(40).with_columns(promotion=promotion, category=category, sold_out=~promotion),
        "planned": pl.DataFrame(
            {"date": [start + datetime.timedelta(40 + day) for day in range(7)], "promotion": [True] * 7}
        ),
        "new": pl.DataFrame({"item": ["tea", "coffee", "cocoa"], "category": ["leaves", "beans", "beans"]}),
        "folder": tmp_path / "shop",
        "pl": pl,
    }
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert names["forecast"].columns == ["unique_id", "ds", "mean", *(f"q0.{n}" for n in range(1, 10))]
    week = names["week"].sort("unique_id")
    summed = names["forecast"].group_by("unique_id").agg(pl.col("q0.9").sum()).sort("unique_id")
    assert week.columns == ["unique_id", "low", "high"]
    assert (week["high"] < summed["q0.9"]).all()
    assert len(names["scores"]) == len(names["found"].costs) == 3
    assert names["orders"].filter(pl.col("unique_id") == "tea")["on_hand"].to_list() == [12]
    assert names["tomorrow"]["ds"].min() == datetime.date(2025, 1, 6) + datetime.timedelta(43)
