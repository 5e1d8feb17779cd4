"""How far forecasts are from what was wanted where shelves were too small, told so and not.

    python benchmarks/forecasting/censored.py [--share 0.5] [--steps 700] [--seeds 2]

20 items of 4 to 40 pieces a day over 200 days (Poisson). On a share of the days a shelf holds 20 to 90% of the mean.
Printed is the mean of expected over wanted, and the mean distance from it, of forecasters that take sales for demand,
that know which days the shelf was empty, that leave these days out, and that see what was wanted.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from recurra import Forecaster
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel

ITEMS, DAYS, HORIZON = 20, 200, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=0.5, help="of the days on which a shelf is too small")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    means = np.geomspace(4, 40, ITEMS)[:, None]
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(options.seeds):
        generator = np.random.default_rng(seed)
        wanted = generator.poisson(means, (ITEMS, DAYS)).astype(np.float32)
        shelf = np.rint(means * generator.uniform(0.2, 0.9, wanted.shape))
        shelf[generator.random(wanted.shape) >= options.share] = np.inf
        sold, out = np.minimum(wanted, shelf).astype(np.float32), wanted >= shelf
        for name, values, mark in (
            ("sales for demand", sold, OBSERVED),
            ("told of empty shelves", sold, AT_LEAST),
            ("those days left out", sold, MISSING),
            ("what was wanted", wanted, OBSERVED),
        ):
            status = np.where(out, mark, OBSERVED).astype(np.uint8)
            model = Forecaster(
                HORIZON, steps=options.steps, batch_size=16, hidden_size=16, layers=1, seed=seed
            ).fit(_panel(values, status))
            expected = model.forecast().quantiles.mean().mean(1)
            found.setdefault(name, []).append(expected / means[:, 0])
    print(f"{options.share:.0%} of the days a shelf is too small, {options.seeds} seeds")
    for name, ratios in found.items():
        print(
            f"{name:24} expected / wanted {np.mean(ratios):.3f}, off by {np.abs(np.array(ratios) - 1).mean():.1%}"
        )


def _panel(values: np.ndarray, status: np.ndarray) -> Panel:
    rhythm = FREQUENCIES["daily"]
    return Panel(
        ids=tuple(f"item {n:02}" for n in range(ITEMS)),
        frequency=rhythm,
        dates=rhythm.dates(np.datetime64("2023-01-02"), DAYS),
        values=values,
        first=np.zeros(ITEMS, np.int64),
        whole=True,
        status=status,
    )


if __name__ == "__main__":
    main()
