"""Made tests/golden/forecaster-v1/ and what it answers. Never run it again: a golden folder is never changed.

`python tests/golden/make_forecaster_v1.py FOLDER` writes a model and its answers to a new folder, for a new version.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import polars as pl

from recurra.forecasting import Forecaster


def history(days: int) -> pl.DataFrame:
    """Three items with a weekly pattern; the last one begins late, and its sales are few."""
    start = datetime.date(2024, 1, 1)
    rows = [
        (name, start + datetime.timedelta(day), max(0, (day * step) % 7 + (day * day) % 3 - quiet))
        for name, step, quiet, first in (
            ("tea", 1, 0, 0),
            ("coffee, ground", 3, 1, 0),
            ("Kännchen", 2, 5, 30),
        )
        for day in range(first, days)
    ]
    return pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row")


def later_history() -> pl.DataFrame:
    """The same shop two weeks later, with an item that the model does not know."""
    known = history(84)
    stranger = known.filter(pl.col("unique_id") == "tea").with_columns(unique_id=pl.lit("mate"))
    return pl.concat([known, stranger])


def answers(model: Forecaster) -> pl.DataFrame:
    """The forecasts from the history that `fit` saw and from a later one, and the means of joint paths."""
    parts = []
    for asked, frame in (("fitted", None), ("later", later_history())):
        paths = model.simulate(50, frame).group_by("unique_id", "ds").agg(paths=pl.col("y").mean())
        forecast = model.predict(frame).join(paths, on=["unique_id", "ds"])
        parts.append(forecast.sort("unique_id", "ds").select(pl.lit(asked).alias("asked"), pl.all()))
    return pl.concat(parts)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if target.exists():
        sys.exit(f"{target} exists: a golden folder is never changed")
    made = Forecaster(horizon=7, hidden_size=4, embedding_size=2, layers=2, steps=40, batch_size=8, seed=1)
    made.fit(history(70)).save(target)
    answers(made).write_csv(target.with_name(f"{target.name}.expected.csv"))
