"""A whole training run of `recurra.Forecaster` on the shipped sales, on recurra's best path beside torch's kernels.

    python benchmarks/speed/forecaster.py [--threads 2] [--json FILE] [--quick] [--steps 200] [--runs 3]

200 items of real daily sales, two LSTM layers of 64 units, the same seed; RECURRA_OPS is unset for one and `torch` for
the other. Runs take turns. First both train for three steps, after which their losses must agree. Bar: × 1.5.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from common import Row, parse, parser, path, report

from recurra import Forecaster
from recurra.bench.timing import Times, check_alike
from recurra.forecasting.sales.data import Panel

SALES = Path(__file__).resolve().parents[2] / "examples" / "online_retail_200.csv.gz"
WAYS = {"torch's kernels": "torch", "recurra": None}
AGREE = 1e-3  # of a weight's magnitude after three steps of Adam, which divides by small gradients


def fit(panel: Panel, forced: str | None, steps: int) -> tuple[Forecaster, float]:
    """A trained forecaster, and the seconds that it took."""
    forecaster = Forecaster(28, steps=steps, patience=None, seed=0)
    with path(forced):
        start = time.perf_counter()
        forecaster.fit(panel)
        return forecaster, time.perf_counter() - start


def weights(forecaster: Forecaster) -> list[torch.Tensor]:
    return list(forecaster.network_.state_dict().values())


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--steps", type=int, default=200)
    made.add_argument("--runs", type=int, default=3)
    options = parse(made)
    steps, runs = (2, 1) if options.quick else (options.steps, options.runs)
    panel = Forecaster(28).read(SALES)
    difference = check_alike(
        {name: weights(fit(panel, forced, 3)[0]) for name, forced in WAYS.items()}, AGREE
    )
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(runs):
        for name, forced in WAYS.items():
            seconds[name].append(fit(panel, forced, steps)[1])
    times = {name: Times(tuple(each)) for name, each in seconds.items()}
    theirs, ours = (times[name].median for name in WAYS)
    found: Row = {"items": len(panel.ids), "steps": steps, "runs": runs}
    found |= {f"{name}, s": each.median for name, each in times.items()}
    found["× torch's kernels"] = theirs / ours
    assert math.isfinite(difference)
    report(options, [found], [f"after three steps the weights differ by {difference:.1e} of their magnitude"])


if __name__ == "__main__":
    main()
