"""Forecasts of 1,000 retail items, 28 days, beside the baselines: the loss, the time, the memory, the plan.

    python benchmarks/forecasting/retail.py [--items 1000] [--origins 1] [--cancellations pair|ignore] [--seed 0]

Online Retail II (see examples/README.md) is not shipped; RECURRA_DATA names the folder that holds
sales/online_retail_ii.csv.xz. The last 28 days are forecast from all that came before. The bar is 0.94 of the weighted
quantile loss of the empirical quantiles of the last 8 same weekdays, 5 minutes and 3 GB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import online_retail

from recurra import Forecaster
from recurra.errors import RecurraError
from recurra.forecasting.backtest import backtest
from recurra.forecasting.distribution import Copula
from recurra.forecasting.sales.data import Panel

HORIZON = 28
BAR, MINUTES, GIGABYTES = 0.94, 5.0, 3.0
LEAD_TIME, REVIEW, SERVICE_LEVELS = 7, 7, (0.9, 0.95, 0.98)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--origins", type=int, default=1)
    parser.add_argument("--cancellations", choices=["pair", "ignore"], default="pair")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="Forecaster arguments"
    )
    options = parser.parse_args()
    try:
        frame, notes = online_retail.daily_sales(items=options.items, cancellations=options.cancellations)
    except RecurraError as error:
        sys.exit(f"skipped: {error}")
    print(*notes, sep="\n")
    settings = dict(pair.split("=", 1) for pair in options.set)
    numbers = {name: float(v) if "." in v else int(v) if v.isdigit() else v for name, v in settings.items()}
    panel = Panel.from_frame(frame)
    began = time.monotonic()
    result = backtest(Forecaster(HORIZON, seed=options.seed, **numbers), panel, origins=options.origins)
    minutes = (time.monotonic() - began) / 60
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{len(panel.ids):,} items, {len(panel.dates)} days, {options.origins} × 28 days, seed {options.seed}"
    )
    print(f"{'method':24}{'WQL':>8}{'RMSSE':>8}{'MASE':>8}{'in 80%':>8}{'bias':>8}{'seconds':>9}")
    for s in result.scores:
        figures = f"{s.weighted_quantile_loss:8.4f}{s.rmsse:8.3f}{s.mase:8.3f}{s.coverage:8.1%}{s.bias:+8.1%}"
        print(f"{s.name:24}{figures}{s.seconds:9.1f}")
    ratio = result.scores[0].weighted_quantile_loss / result.scores[1].weighted_quantile_loss
    for what, found, bar, unit in (
        ("loss against the last 8 same weekdays", ratio, BAR, "×"),
        ("training and forecasting", minutes, MINUTES, "minutes"),
        ("peak memory", gigabytes, GIGABYTES, "GB"),
    ):
        print(f"{what}: {found:.3f} {unit} (at most {bar}): {'reached' if found <= bar else 'MISSED'}")
    _plan(result.model, panel, options.origins)


def _plan(model: Forecaster, panel: Panel, origins: int) -> None:
    """Print how often the order-up-to level would have lasted, from the first origin on, and what it would hold.

    Beside it: levels from the sum of the quantiles of the days, which is no quantile of the sum; and those from paths
    whose days do not hang together.
    """
    start, days = len(panel.dates) - origins * HORIZON, LEAD_TIME + REVIEW
    forecast = model.forecast()
    places = [panel.ids.index(name) for name in forecast.ids]
    sold = panel.values[places, start : start + days].sum(1)
    loose = replace(forecast, copula=Copula.independent(HORIZON))
    print(f"\nstock for {days} days, first origin; share of items whose stock lasted, and stock over sales")
    print(f"{'service level':>14}{'joint paths':>18}{'independent days':>20}{'summed quantiles':>20}")
    for level in SERVICE_LEVELS:
        plans = [
            f.plan(lead_time=LEAD_TIME, review=REVIEW, service_level=level).frame for f in (forecast, loose)
        ]
        stocks = [plan["order_up_to"].to_numpy() for plan in plans]
        stocks.append(forecast.at((level,))[:, :days, 0].sum(1))
        cells = [f"{(sold <= stock).mean():.1%} {stock.sum() / sold.sum():.2f}" for stock in stocks]
        print(f"{level:14.0%}{cells[0]:>18}{cells[1]:>20}{cells[2]:>20}")


if __name__ == "__main__":
    main()
