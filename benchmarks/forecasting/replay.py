"""Order plans of real demand, played again: the stock that each rule needs for the same fill rate.

    python benchmarks/forecasting/replay.py [--full] [--items 1000] [--origins 3] [--lead-time 7] [--review 7] [--lost]
        [--target cycle|fill]

Without --full, the 200 items of examples/online_retail_200.csv.gz; with it, the items of Online Retail II that sell
most (RECURRA_DATA names the folder that holds sales/online_retail_ii.csv.xz). The model is trained once on what came
before the last origins × 28 days and reads on from review to review; every rule may order from the same past at the
same times, and the fill rate is that of all items together, between the levels played. The plan is replayed as it is,
and calibrated on each item's own past before those days (`--calibrate`). The bars, at least 10% less average stock than
the moving average + z·σ·√L, and 3% less than the empirical quantile of past lead-time demand, are for the calibrated
one.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import online_retail

from recurra import Forecaster
from recurra.errors import RecurraError
from recurra.forecasting.backtest import backtest
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.stock_backtest import FILL_RATES, replay_stock

EXAMPLES = Path(online_retail.__file__).parent
HORIZON = 28
BARS = (0.10, 0.03)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--lead-time", type=int, default=7)
    parser.add_argument("--review", type=int, default=7)
    parser.add_argument("--target", choices=["cycle", "fill"], default="cycle")
    parser.add_argument("--lost", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-seconds", type=float)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.full:
        try:
            frame, notes = online_retail.daily_sales(items=options.items)
        except RecurraError as error:
            sys.exit(f"skipped: {error}")
        print(*notes, sep="\n")
        panel = Panel.from_frame(frame)
    else:
        panel = Panel.from_file(EXAMPLES / "online_retail_200.csv.gz")
    began = time.monotonic()
    result = backtest(
        Forecaster(HORIZON, seed=options.seed),
        panel,
        origins=options.origins,
        lead_time=options.lead_time,
        review=options.review,
        target=options.target,
        lost_sales=options.lost,
        max_seconds=options.max_seconds,
    )
    plain, model = result.replay, result.model
    assert plain is not None
    assert model is not None
    start = len(panel.dates) - options.origins * HORIZON
    calibrated = replay_stock(model, panel, start, plain.terms, calibrate=True, lost=options.lost)
    missing = "lost" if options.lost else "late"
    print(
        f"\n{len(panel.ids):,} items, {plain.periods} days, lead time {options.lead_time}, review {options.review}, "
        f"shortages {missing}, seed {options.seed}, {model.outcome_.steps} steps ended by {model.outcome_.stopped}, "
        f"{time.monotonic() - began:.0f} s"
    )
    asked = f"asked for 0.95, target {options.target}"
    print(f"{asked:30}{'fill':>8}{'cycles':>8}{'stock':>10}{'at 95%':>10}{'at 98%':>10}")
    ours, *others = plain.rows()
    for row in ({**ours, "name": f"{ours['name']}, as it is"}, calibrated.rows()[0], *others):
        at = "".join(f"{row[f'stock_at_fill_{rate:g}']:10.0f}" for rate in FILL_RATES)
        print(f"{row['name']:30}{row['fill_rate']:8.1%}{row['cycle_service']:8.1%}{row['stock']:10.0f}{at}")
    for rate in FILL_RATES:
        for place, (other, bar) in enumerate(zip(calibrated.methods[1:], BARS, strict=True)):
            against = f"at a fill rate of {rate:.0%}, against {other.name}"
            before, saved = (replay.saved(rate)[place] for replay in (plain, calibrated))
            if math.isnan(saved):
                print(f"{against}: one of the two never gets there")
                continue
            verdict = "reached" if saved >= bar else "MISSED"
            print(
                f"{against}: {saved:+.1%} stock saved (at least {bar:.0%}): {verdict}; not calibrated {before:+.1%}"
            )


if __name__ == "__main__":
    main()
