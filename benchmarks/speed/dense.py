"""The training step of recurra.nn.RNN, GRU and LSTM beside torch.nn's, with the same weights, over a grid of sizes.

    python benchmarks/speed/dense.py [--threads 2] [--json FILE [--resume]] [--inference] [--quick]
                                     [--cells GRU,LSTM] [--hidden 64,128] [--batch 1,16] [--steps 200] [--budget 1.5]

H = I {64 … 1024} × B {1 … 256} × T {50, 200, 1000}, float32, points above 5 TFLOP left out; a step is forward, and
backward to the input and all weights. `--inference` is the forward pass alone, without gradients. How fast the machine
multiplies matrices is measured first; `share` is recurra's part of it. Every point goes to FILE as it comes, and
`--resume` measures only what is not there yet. Bars: geometric means of GRU × 3.3, RNN × 3.0, LSTM × 1.4, no point
below × 0.97; a share of 78 % in the mean over B ≥ 16, H ≥ 256.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import parse, parser

from recurra.bench import grid
from recurra.bench.limits import product_rate
from recurra.bench.tables import result_table, summary_table
from recurra.errors import RecurraError

TINY = grid.Sizes(tuple(grid.BLOCKS), (16,), (1, 16), (5,))


def main() -> None:
    options = _options()
    try:
        _run(options)
    except RecurraError as error:
        sys.exit(f"{error}")


def _run(options: argparse.Namespace) -> None:
    training, tiny = not options.inference, options.quick
    sizes = TINY if tiny else grid.Sizes(options.cells, options.hidden, options.batch, options.steps)
    found: list[grid.Result] = []
    if options.resume and options.json.is_file():
        found, before = grid.read(options.json)
        conditions = grid.Conditions.now(training, before.product_rate)
        if conditions != before:
            raise RecurraError(f"{options.json} was measured under other conditions, {before}")
    else:
        rate = product_rate([(64, 64, 64)], seconds=0.05) if tiny else product_rate()
        conditions = grid.Conditions.now(training, rate)
    done = {each.point for each in found}
    todo = [point for point in grid.points(sizes) if point not in done]
    minutes = grid.expected_seconds(todo, conditions) / 60
    print(
        f"torch {torch.__version__}, {conditions.threads} threads, {conditions.cpu}; matrix products reach "
        f"{conditions.product_rate:.0f} GFLOP/s; {len(todo)} points, about {minutes:.0f} minutes",
        flush=True,
    )
    began = time.monotonic()
    for number, result in enumerate(grid.measure(todo, training, 0.05 if tiny else options.budget), start=1):
        found.append(result)
        gone = (time.monotonic() - began) / 60
        line = (
            f"{result.point}: {1e3 * result.torch:.2f} → {1e3 * result.recurra:.2f} ms, × {result.ratio:.2f}"
        )
        print(f"{number}/{len(todo)}, {gone:.1f} min  {line}", file=sys.stderr, flush=True)
        if options.json:
            grid.write(options.json, found, conditions)
    for columns, rows in (result_table(found, conditions), summary_table(found, conditions)):
        print()
        for line in (columns, ["---", *["---:"] * (len(columns) - 1)], *rows):
            print(f"| {' | '.join(line)} |")


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--inference", action="store_true")
    made.add_argument("--resume", action="store_true")
    made.add_argument("--budget", type=float, default=grid.BUDGET, help="seconds for a point of short steps")
    made.add_argument("--cells", type=_some_of(grid.BLOCKS), default=grid.FULL.cells)
    for name in ("hidden", "batch", "steps"):
        made.add_argument(f"--{name}", type=_numbers, default=getattr(grid.FULL, name))
    options = parse(made)
    if options.resume and not options.json:
        made.error("--resume needs --json FILE")
    if options.json:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
    return options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _some_of(known: dict[str, int]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)} among {', '.join(known)}")
        return chosen

    return parse


if __name__ == "__main__":
    main()
