"""Forecasts of 100,000 daily series over two years, from Parquet to Parquet: memory, and series a second.

    python benchmarks/forecasting/large.py [--series 100000] [--sample 200] [--train] [--paths 0] [--out FILE] [--quick]

The sales are made up (seeded): levels over three orders of magnitude, weekdays, a yearly swing, negative binomial
counts, a third of the series younger than the others. They are written in batches first. A small network is trained on
300 of the series; then `recurra forecast --model --out` reads all of them and writes what it always writes (Parquet,
CSV, the report), in a process of its own, packed and by torch, from its start to its end; --paths has it write joint
paths, too. Beside it: statsforecast's AutoETS (season 7, quantiles, one process) on a sample. Series a second are those
of one processor, for a busy machine stretches other seconds. --train times training on all of them, too.

The bars: 4 GB at the peak; 50 × AutoETS's series a second with the model given, 10 × with training. AutoETS needs
benchmarks/requirements.txt (`make peers`).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from measuring import Kept, apart, verdict

from recurra.forecasting.sales.data import Panel
from recurra.sources.table import write_frames

DAYS, HORIZON, SEASON = 730, 28, 7
BATCH = 5_000  # series that are made at once
GIGABYTES, GIVEN, TRAINED = 4.0, 50.0, 10.0
RECURRA = [sys.executable, "-c", "from recurra.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=200, help="series that AutoETS forecasts")
    parser.add_argument("--paths", type=int, default=0, help="joint paths of each series to write")
    parser.add_argument("--train", action="store_true", help="train on all series, too")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the figures there, and print those kept"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="60 series: to see that all works")
    options = parser.parse_args()
    if options.quick:
        options.series, options.sample = 60, 2
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    kept = Kept(options.out)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        begun = time.monotonic()
        size = write_sales(place / "sales.parquet", options.series)
        print(
            f"{options.series:,} series × {DAYS} days, {size:,} rows written in {time.monotonic() - begun:.0f} s"
        )
        pl.scan_parquet(place / "sales.parquet").filter(
            pl.col("unique_id").is_in([name(n) for n in range(min(300, options.series))])
        ).collect().write_parquet(place / "some.parquet")
        steps = "20" if options.quick else "200"
        train = ["train", "forecaster", place / "some.parquet", "--steps", steps, "--out", place / "torch"]
        apart([*RECURRA, *train])
        shutil.copytree(place / "torch", place / "packed")
        apart([*RECURRA, "pack", place / "packed"])
        for which in ("packed", "torch"):
            if which not in kept:
                seconds, processor, gigabytes = forecast(place, place / which, options.paths)
                kept.add(which, figures(options.series, seconds, processor, gigabytes))
        if options.train and "with training" not in kept:
            begun = time.monotonic()
            processor, gigabytes = apart(
                [*RECURRA, "train", "forecaster", place / "sales.parquet", "--out", place / "all"]
            )
            seconds = time.monotonic() - begun
            more = forecast(place, place / "all", options.paths)
            kept.add(
                "with training",
                figures(options.series, seconds + more[0], processor + more[1], max(gigabytes, more[2])),
            )
        if "AutoETS" not in kept and importlib.util.find_spec("statsforecast") is not None:
            kept.add("AutoETS", ets(place / "sales.parquet", options.sample))
    print(f"{kept.sources()}\n\n| method | series | seconds | of processors | series a second | GB |")
    print("| --- " * 6 + "|")
    for key, each in kept.figures.items():
        row = [f"{each['series']:,}", f"{each['seconds']:.1f}", f"{each['processor']:.1f}"]
        gigabytes = f"{each['gigabytes']:.2f}" if "gigabytes" in each else ""
        print(f"| {' | '.join([key, *row, f'{rate(each):.1f}', gigabytes])} |")
    print()
    for which, bar in (("packed", GIVEN), ("torch", GIVEN), ("with training", TRAINED)):
        if which in kept.figures:
            print(verdict(f"{which}: peak memory", kept[which]["gigabytes"], GIGABYTES, "GB"))
            if "AutoETS" in kept:
                times = rate(kept[which]) / rate(kept["AutoETS"])
                reached = "reached" if times >= bar else "MISSED"
                print(f"{which}: {times:.0f} × AutoETS's series a second (at least {bar:.0f}): {reached}")


def name(number: int) -> str:
    return f"item{number:07}"


def figures(series: int, seconds: float, processor: float, gigabytes: float) -> dict[str, float]:
    return {"series": series, "seconds": seconds, "processor": processor, "gigabytes": gigabytes}


def rate(found: dict[str, float]) -> float:
    """Series a second of one processor: the seconds that a method's process waits for others are not its own."""
    return found["series"] / found["processor"]


def forecast(place: Path, model: Path, paths: int) -> tuple[float, float, float]:
    """Seconds, those of processors, and gigabytes of `recurra forecast --model` from Parquet to Parquet."""
    command = [*RECURRA, "forecast", place / "sales.parquet", "--model", model, "--out", place / "out"]
    command += ["--paths", str(paths)] if paths else []
    begun = time.monotonic()
    processor, gigabytes = apart(command, log=place / "log.txt")
    return time.monotonic() - begun, processor, gigabytes


def ets(file: Path, sample: int) -> dict[str, float]:
    """AutoETS on the first `sample` series of the file, one after another."""
    from statsforecast.models import AutoETS

    wanted = [name(number) for number in range(sample)]
    frame = pl.scan_parquet(file).filter(pl.col("unique_id").is_in(wanted)).collect()
    panel = Panel.from_frame(frame)
    begun, processor = time.monotonic(), time.process_time()
    for row, first in zip(panel.values, panel.first, strict=True):
        AutoETS(season_length=SEASON).forecast(
            row[first:].astype(np.float64), HORIZON, level=[20, 40, 60, 80]
        )
    return {
        "series": len(panel.ids),
        "seconds": time.monotonic() - begun,
        "processor": time.process_time() - processor,
    }


def write_sales(file: Path, series: int) -> int:
    """Write the sales in batches; returns how many rows there are."""
    starts = range(0, series, BATCH)
    write_frames((sales(start, min(BATCH, series - start)) for start in starts), file)
    return int(pl.scan_parquet(file).select(pl.len()).collect().item())


def sales(start: int, series: int) -> pl.DataFrame:
    """Sales of the series from number `start` on: unique_id, ds, y."""
    draw = np.random.default_rng([1, start])
    day = np.arange(DAYS)
    level = 10 ** draw.uniform(-0.7, 2.3, (series, 1))
    weekday = np.exp(draw.normal(0, 0.3, (series, SEASON)))[:, day % SEASON]
    year = 1 + draw.uniform(0, 0.5, (series, 1)) * np.sin(
        2 * np.pi * (day / 365.25 + draw.random((series, 1)))
    )
    mean = level * weekday * year
    y = draw.poisson(mean * draw.gamma(2, 0.5, mean.shape)).astype(np.int32)
    first = np.where(draw.random(series) < 1 / 3, draw.integers(0, DAYS - 100, series), 0)
    begun = day >= first[:, None]
    dates = (np.datetime64("2023-01-01") + day).astype("datetime64[D]")
    ids = pl.Series("unique_id", [name(start + n) for n in range(series)])
    return pl.DataFrame(
        [
            ids.gather(np.repeat(np.arange(series), begun.sum(1))),
            pl.Series("ds", np.broadcast_to(dates, begun.shape)[begun]),
            pl.Series("y", y[begun]),
        ]
    )


if __name__ == "__main__":
    main()
