"""Training steps on a machine that is not at leisure: with one thread, and with one core kept busy by another process.

    python benchmarks/speed/busy.py [--threads 2] [--json FILE] [--quick]

A cut of the grid of dense.py. The other process spins on one core, to which it is bound where the system can; torch and
recurra have all `--threads`. Bar: never slower than half of torch.nn there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from common import Row, parse, parser, report

from recurra.bench import grid
from recurra.bench.limits import threads

CUT = grid.Sizes(("RNN", "GRU", "LSTM"), (64, 256), (1, 16, 64), (200,))
TINY = grid.Sizes(("RNN", "GRU", "LSTM"), (8,), (2,), (5,))
# It ends with the process that started it, however that ends.
SPIN = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
parent = os.getppid()
print("spinning", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep a core busy while the block runs."""
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield
        finally:
            child.kill()


def main() -> None:
    options = parse(parser(__doc__))
    points = grid.points(TINY if options.quick else CUT)
    budget = 0.05 if options.quick else 4.0
    rows: list[Row] = []
    for what, count, busy in (
        ("one thread", 1, nullcontext()),
        (f"{options.threads} threads, a core is busy", options.threads, busy_core()),
    ):
        with threads(count), busy:
            for found in grid.measure(points, budget=budget):
                milliseconds = {"torch.nn, ms": 1e3 * found.torch, "recurra.nn, ms": 1e3 * found.recurra}
                rows.append(
                    {"machine": what, **found.point._asdict(), **milliseconds, "× torch.nn": found.ratio}
                )
    worst = min(rows, key=lambda each: each["× torch.nn"])
    note = f"worst: × {worst['× torch.nn']:.2f}, {worst['machine']}, " + ", ".join(
        f"{name} {worst[name]}" for name in grid.Point._fields
    )
    report(options, rows, [note, f"{os.cpu_count()} cores"])


if __name__ == "__main__":
    main()
