"""Which cell for what: nine cells on five tasks, in one network of one size, for the same time at most.

    python benchmarks/cells/run.py [--cells LSTM,GRU] [--tasks parity] [--seconds 60] [--seed 0,1,2] [--workers 2]
                                   [--rate 0.01] [--json FILE] [--quick]
    python benchmarks/cells/run.py --table FILE

A run is one cell on one task with one seed, in a process with one thread; it ends when the task is solved or after
`--seconds` of its core. `--quick` gives each run two, to see that all works; `--table` trains nothing and prints the
tables of a file that `--json` wrote. RECURRA_DATA names the folder that holds images/mnist.npz, without which that task
is left out.

The bar: LSTM, GRU, SLSTM and DeltaNet (β up to 2) know at least 99 % of the parities at step 256.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import results
import torch
from results import Result
from tasks import TASKS, Rows, Task
from train import BUDGET, CELLS, RATE, Training, parameters

QUICK = 2.0  # seconds
DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cells, tasks = list(CELLS), [task.name for task in TASKS]
    parser.add_argument("--cells", type=_some_of(cells), default=cells)
    parser.add_argument("--tasks", type=_some_of(tasks), default=tasks)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=lambda text: [int(seed) for seed in text.split(",")], default=[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    found = results.read(options.table) if options.table else _run(options)
    print(results.tables(found, cells, tasks), results.verdict(found), sep="\n\n")


def _some_of(known: list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)} among {', '.join(known)}")
        return chosen

    return parse


def _run(options: argparse.Namespace) -> list[Result]:
    began, tasks, found = time.monotonic(), options.tasks, []
    if Rows.name in tasks and not Rows.file(DATA).is_file():
        print(f"skipped: {Rows.name}; {Rows.file(DATA)} is not there, RECURRA_DATA names another folder")
        tasks = [name for name in tasks if name != Rows.name]
    runs = list(product(options.cells, tasks, options.seed))
    for result in _measured(runs, options.rate, QUICK if options.quick else options.seconds, options.workers):
        found.append(result)
        print(results.line(result), flush=True)
        if options.json:
            results.write(found, options.json)
    print(f"\n{len(found)} runs in {(time.monotonic() - began) / 60:.1f} minutes\n")
    return found


def _measured(
    runs: list[tuple[str, str, int]], rate: float, seconds: float, workers: int
) -> Iterator[Result]:
    """The results, as they come."""
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        jobs = [pool.submit(measure, cell, task, seed, rate, seconds) for cell, task, seed in runs]
        for job in as_completed(jobs):
            yield job.result()


def measure(cell: str, task: str, seed: int, rate: float, seconds: float) -> Result:
    """Train a network of this cell on this task, and test it."""
    training = Training(_task(task), CELLS[cell], BUDGET, rate, seed)
    training.run(seconds)
    return Result(
        cell=cell,
        task=task,
        seed=seed,
        rate=rate,
        width=training.width,
        parameters=parameters(training.network),
        steps=training.steps,
        seconds=training.seconds,
        level=training.level,
        levels=training.task.levels,
        loss=training.loss,
        solved=training.solved,
        accuracy=training.exam(),
    )


def _task(name: str) -> Task:
    if name == Rows.name:
        return Rows(DATA)
    return next(kind() for kind in TASKS if kind.name == name)


if __name__ == "__main__":
    main()
