"""Forecasts of 1,000 retail items, 28 days from three origins, beside those of other people's packages.

    python benchmarks/forecasting/peers.py [--items 1000] [--methods recurra,LSTM,…] [--out results.json] [--quick]

Online Retail II, as in retail.py: RECURRA_DATA names the folder with sales/online_retail_ii.csv.xz. The peers need
benchmarks/requirements.txt (`make peers`, then .venv-peers/bin/python); those that are not installed are left out.
Each method runs in a process of its own, one after another. It is trained once on what came before the first origin
and reads on from origin to origin; AutoETS and the weekdays' quantiles are fitted anew at each, for they can't.
`peer_methods.py` says how each is set up. Forecasts below 0 count as 0. Scores are over all origins: weighted quantile
loss at 0.1 … 0.9, RMSSE, the share of days in the 80 % band (randomised PIT), bias; seconds for training and
forecasting, without imports, and those of processors that its process took (which a busy machine does not
stretch); gigabytes of the process at its peak. As a method's mean that of its nine quantiles, its median
or its own counts, whichever has the least RMSSE: the table says which.

With --out, figures of methods that are there already are not run again but printed: a busy machine runs one at a time.

The bars: a weighted quantile loss of at most 0.98 × the best peer's, an RMSSE of at most the best peer's, at most the
seconds and half of the memory of neuralforecast's LSTM.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import ROOT, Kept, apart, verdict
from numpy.typing import NDArray

sys.path.insert(0, str(ROOT / "examples"))

import online_retail
from peer_methods import METHODS, PACKAGES

from recurra.errors import RecurraError
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.forecast import QUANTILES
from recurra.forecasting.metrics import bias, pit_coverage, pit_histogram, rmsse, weighted_quantile_loss
from recurra.forecasting.sales.data import Panel

Array = NDArray[Any]

HORIZON, ORIGINS = 28, 3
LOSS, ERROR, SECONDS, MEMORY = 0.98, 1.00, 1.0, 0.5
TIMED = "LSTM"  # whose time and memory are the measure
MEANS = {
    "mean": "own",
    "mean of its own": "own",
    "mean of the quantiles": "quantiles'",
    "mean is the median": "median",
}
SCORES = {"loss": "WQL", "rmsse": "RMSSE", "coverage": "in 80 %", "bias": "bias"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--methods", default=",".join(METHODS), help="which, joined by commas (default: all)")
    parser.add_argument("--steps", type=int, default=500, help="of training, of the peers that take steps")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="Forecaster arguments"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the figures there, and print those kept"
    )
    parser.add_argument("--log", type=Path, metavar="FOLDER", help="keep what each method prints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="the shipped sales, few items and steps")
    options = parser.parse_args()
    if options.log is not None:
        options.log.mkdir(parents=True, exist_ok=True)
    names = options.methods.split(",")
    if unknown := [name for name in names if name not in METHODS]:
        sys.exit(f"no such method: {unknown[0]}; there are {', '.join(METHODS)}")
    panel, kept = sales(options), Kept(options.out)
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "NIXTLA_ID_AS_COL": "1"}
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            if name in kept:
                continue
            if importlib.util.find_spec(PACKAGES.get(name, "recurra")) is None:
                print(f"{name} is left out: {PACKAGES[name]} is not installed (make peers)")
                continue
            print(f"running {name} …", file=sys.stderr, flush=True)
            kept.add(name, measure(name, panel, Path(place), options))
    print(
        f"\n{len(panel.ids):,} items, {len(panel.dates)} days, {ORIGINS} × {HORIZON} days\n{kept.sources()}\n"
    )
    print(*table(kept.figures), sep="\n")
    print()
    print(*summary(kept.figures), sep="\n")


def sales(options: argparse.Namespace) -> Panel:
    """The sales of all items that had begun at the first origin."""
    if options.quick:
        panel = Panel.from_file(ROOT / "examples" / "online_retail_200.csv.gz")
        panel = panel.select(panel.ids[:20])
    else:
        try:
            frame, notes = online_retail.daily_sales(items=options.items)
        except RecurraError as error:
            sys.exit(f"skipped: {error}")
        print(*notes, sep="\n")
        panel = Panel.from_frame(frame)
    begun = panel.first < len(panel.dates) - ORIGINS * HORIZON
    if not begun.all():
        print(f"{(~begun).sum()} items began after the first origin and are left out.")
    return panel.select([name for name, there in zip(panel.ids, begun, strict=True) if there])


def measure(name: str, panel: Panel, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run a method in a process of its own and score what it forecast."""
    given, found = place / "sales.parquet", place / f"{name}.npz"
    long(panel).write_parquet(given)
    settings = [each for pair in options.set for each in ("--set", pair)] if name == "recurra" else []
    steps = 20 if options.quick else options.steps
    script = Path(__file__).with_name("peer_methods.py")
    command = [sys.executable, script, name, given, found, "--steps", str(steps), *settings]
    if options.quick:
        command += ["--quick"]
    log = None if options.log is None else options.log / f"{name}.log"
    processor, gigabytes = apart(command, log=log)
    with np.load(found, allow_pickle=False) as arrays:
        result = dict(arrays)
    return score(panel, result) | {
        "seconds": float(result["seconds"]),
        "processor": processor,
        "gigabytes": gigabytes,
    }


def long(panel: Panel) -> pl.DataFrame:
    """The panel as rows unique_id, ds, y, each series from its first day on, its zeros included."""
    lengths = len(panel.dates) - panel.first
    begun = np.arange(len(panel.dates)) >= panel.first[:, None]
    return pl.DataFrame(
        {
            "unique_id": np.repeat(np.array(panel.ids), lengths),
            "ds": np.broadcast_to(panel.dates, begun.shape)[begun],
            "y": panel.values[begun],
        }
    )


def score(panel: Panel, result: dict[str, Array]) -> dict[str, Any]:
    """The scores of what peer_methods.py gave for K origins; of several means, of the best.

    Coverage is read off all quantiles that there are (`fan`, at `levels`).
    """
    quantiles, means = result["quantiles"], {k: v for k, v in result.items() if k.startswith("mean")}
    fan = Quantiles(result.get("levels", np.array(QUANTILES)), result.get("fan", quantiles), 0.0)
    start = len(panel.dates) - ORIGINS * HORIZON
    ends = [start + k * HORIZON for k in range(ORIGINS)]
    actual = np.stack([panel.values[:, end : end + HORIZON] for end in ends])

    def error(mean: Array) -> float:
        each = (
            rmsse(y, m, panel.values[:, :end], panel.first)
            for y, m, end in zip(actual, mean, ends, strict=True)
        )
        return float(np.mean([one.value for one in each]))

    errors = {name: error(mean) for name, mean in means.items()}
    best = min(errors, key=errors.__getitem__)
    joined, flat = np.concatenate(actual), np.concatenate(quantiles)
    return {
        "loss": weighted_quantile_loss(joined, flat, QUANTILES),
        "rmsse": errors[best],
        "mean": best,
        "coverage": pit_coverage(pit_histogram(actual, fan, whole=panel.whole)),
        "bias": bias(joined, np.concatenate(means[best])),
    }


def table(figures: dict[str, dict[str, Any]]) -> list[str]:
    """The figures as a Markdown table, recurra first, the others by their loss."""
    order = sorted(figures, key=lambda name: (name != "recurra", figures[name]["loss"]))
    head = ["method", *SCORES.values(), "its mean", "seconds", "of processors", "GB"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name in order:
        f = figures[name]
        row = [name, f"{f['loss']:.4f}", f"{f['rmsse']:.4f}", f"{f['coverage']:.1%}", f"{f['bias']:+.1%}"]
        row += [
            MEANS.get(f["mean"], f["mean"]),
            f"{f['seconds']:.0f}",
            f"{f['processor']:.0f}",
            f"{f['gigabytes']:.2f}",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def summary(figures: dict[str, dict[str, Any]]) -> list[str]:
    """What the bars say."""
    ours, peers = figures.get("recurra"), {k: v for k, v in figures.items() if k != "recurra"}
    if ours is None or not peers:
        return ["nothing to compare"]
    lines = []
    for score, bar in (("loss", LOSS), ("rmsse", ERROR)):
        best = min(peers, key=lambda name: peers[name][score])
        lines.append(verdict(f"{SCORES[score]} against {best}'s", ours[score] / peers[best][score], bar))
    for score, bar in (("seconds", SECONDS), ("processor", SECONDS), ("gigabytes", MEMORY)):
        measure = peers.get(TIMED, {}).get(score, np.nan)
        what = "seconds of processors" if score == "processor" else score
        lines.append(verdict(f"{what} against {TIMED}'s", ours[score] / measure, bar))
    good = 0.77 <= ours["coverage"] <= 0.83
    lines.append(f"in the 80 % band {ours['coverage']:.1%} (77 % to 83 %): {'reached' if good else 'MISSED'}")
    return lines


if __name__ == "__main__":
    main()
