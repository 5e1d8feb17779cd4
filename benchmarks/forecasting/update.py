"""Milliseconds in which the states of 1,000 series move on by a day, beside reading their history again.

    python benchmarks/forecasting/update.py [--series 1000] [--days 400] [--rounds 5]

Sales are drawn (Poisson); the model is hardly trained, which changes no speed. By torch and packed, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch

from recurra import Forecaster
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.data import Panel

START = np.datetime64("2023-01-01")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("series", 1000), ("days", 400), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    series, days = options.series, options.days
    rates = np.geomspace(0.3, 40, series)[:, None]
    sold = np.random.default_rng(0).poisson(rates, (series, days + 4 * options.rounds)).astype(np.float32)
    ids, rhythm = tuple(f"item {n:06}" for n in range(series)), FREQUENCIES["daily"]

    def panel(first: int, last: int) -> Panel:
        dates = rhythm.dates(START + first, last - first)
        return Panel(ids, rhythm, dates, sold[:, first:last], np.zeros(series, np.int64), whole=True)

    def frame(day: int) -> pl.DataFrame:
        return pl.DataFrame({"unique_id": ids, "ds": np.full(series, START + day), "y": sold[:, day]})

    model = Forecaster(28, steps=2).fit(panel(0, days))
    for packed in (False, True):
        if packed:
            model.pack()
        day = days + packed * 2 * options.rounds
        times: dict[str, list[float]] = {"frame": [], "panel": [], "forecast": []}
        for _ in range(options.rounds):
            times["frame"].append(_seconds(model.update, frame(day)))
            times["panel"].append(_seconds(model.update, panel(day + 1, day + 2)))
            times["forecast"].append(_seconds(model.forecast))
            day += 2
        again = _seconds(model.forecast, panel(0, day))
        found = {name: 1e3 * float(np.median(each)) for name, each in times.items()}
        print(
            f"{'packed' if packed else 'torch':7} {series:,} series: a day from a frame {found['frame']:.1f} ms, "
            f"from a panel {found['panel']:.1f} ms; forecast {found['forecast']:.1f} ms, "
            f"from the whole history of {day} days {1e3 * again:.0f} ms"
        )


def _seconds(work: Callable[..., object], *data: object) -> float:
    began = time.perf_counter()
    work(*data)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
