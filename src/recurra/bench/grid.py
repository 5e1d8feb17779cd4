"""The training step of recurra.nn's layers beside torch.nn's, with the same weights, over a grid of sizes.

One layer with as many inputs as units, float32, input (T, B, H) as torch has it by default; a step is forward, and
backward to the input and all weights. `training=False` is the forward pass alone, without gradients.

Legend: B rows, T steps, H units.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from recurra import __version__
from recurra.bench.limits import cpu
from recurra.bench.timing import check_alike, geometric_mean, take_turns, training_step
from recurra.console import progress
from recurra.errors import InputError, MissingExtraError
from recurra.sources.files import atomic_write

try:
    import torch
    from torch import Tensor

    import recurra.nn
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "torch":
        raise
    raise MissingExtraError.of("torch", "train") from error

__all__ = [
    "BLOCKS",
    "CUT",
    "FULL",
    "Conditions",
    "Point",
    "Result",
    "Sizes",
    "Summary",
    "as_dict",
    "collect",
    "expected_seconds",
    "measure",
    "points",
    "read",
    "summaries",
    "write",
]

BLOCKS = {"RNN": 1, "GRU": 3, "LSTM": 4}  # of H units, of which the gates consist
MOST = 5e12  # FLOP of the largest point; what is above takes minutes for a step
BUDGET = 1.5  # seconds for a point, where a step is short enough
LIMITED = (16, 256)  # rows and units from which on matrix products should be the limit
LAUNCH = 60e-6  # seconds that torch.nn spends on a step of the recurrence beside its arithmetic, about


class Point(NamedTuple):
    """One place of the grid."""

    cell: str
    hidden: int
    batch: int
    steps: int

    def flop(self, training: bool = True) -> float:
        """Floating-point operations of the matrix products: forward, and twice as many backward."""
        forward = 4.0 * BLOCKS[self.cell] * self.steps * self.batch * self.hidden**2
        return 3 * forward if training else forward

    def __str__(self) -> str:
        return f"{self.cell}, H {self.hidden}, B {self.batch}, T {self.steps}"


class Sizes(NamedTuple):
    """What a grid is made of."""

    cells: Sequence[str]
    hidden: Sequence[int]
    batch: Sequence[int]
    steps: Sequence[int]


FULL = Sizes(tuple(BLOCKS), (64, 128, 256, 512, 1024), (1, 16, 64, 256), (50, 200, 1000))
CUT = Sizes(tuple(BLOCKS), (64, 128, 256, 512), (1, 16, 64), (50,))  # about a minute


@dataclass(frozen=True)
class Result:
    """A point, measured: median seconds of both, in how many rounds, and how far their results lay apart."""

    point: Point
    torch: float
    recurra: float
    rounds: int
    difference: float
    training: bool = True

    @property
    def ratio(self) -> float:
        """How many times as fast as torch.nn."""
        return self.torch / self.recurra

    @property
    def rate(self) -> float:
        """GFLOP/s of recurra."""
        return self.point.flop(self.training) / self.recurra / 1e9


@dataclass(frozen=True)
class Conditions:
    """What must be the same for figures to stand in one table; `product_rate` is the machine's, in GFLOP/s."""

    training: bool
    threads: int
    cpu: str
    torch: str
    recurra: str
    product_rate: float

    @classmethod
    def now(cls, training: bool, product_rate: float) -> Conditions:
        """Those of this process."""
        threads = int(torch.get_num_threads())
        return cls(training, threads, cpu(), str(torch.__version__), __version__, product_rate)


class Summary(NamedTuple):
    """A cell's figures: geometric mean of the ratios, the worst, and the mean share of the product rate.

    The share is over the points of 16 rows and 256 units or more; NaN without one.
    """

    cell: str
    ratio: float
    worst: Result
    share: float


def points(sizes: Sizes) -> list[Point]:
    """The places of a grid, smallest first, without those of more than 5 TFLOP."""
    found = (Point(*each) for each in product(*sizes))
    return sorted((point for point in found if point.flop() <= MOST), key=Point.flop)


def expected_seconds(todo: Sequence[Point], conditions: Conditions) -> float:
    """About how long it takes to measure the points."""
    total, launch = 0.0, LAUNCH if conditions.training else LAUNCH / 3
    for point in todo:
        arithmetic = point.flop(conditions.training) / (0.6 * conditions.product_rate * 1e9)
        both = 2 * (arithmetic + launch * point.steps)
        total += 2 * both + max(BUDGET, 3 * both)
    return total


def measure(todo: Sequence[Point], training: bool = True, budget: float = BUDGET) -> Iterator[Result]:
    """Measure the points, one after another. Raises RecurraError where recurra and torch.nn do not agree."""
    for point in todo:
        ways = _ways(point, training)
        difference = check_alike({name: way() for name, way in ways.items()})
        times = take_turns(ways, budget=budget, rounds=(2 if _long(point, training) else 3, 31))
        theirs, ours = (times[name] for name in ("torch.nn", "recurra.nn"))
        yield Result(point, theirs.median, ours.median, len(ours.seconds), difference, training)


def collect(todo: Sequence[Point], training: bool = True) -> tuple[list[Result], bool]:
    """As `measure`, with a progress bar; and whether Ctrl-C ended it, which is let through before the first result."""
    found: list[Result] = []
    try:
        with progress("measuring", len(todo), "sizes") as bar:
            for result in measure(todo, training):
                found.append(result)
                bar.update(len(found), f"{result.point} × {result.ratio:.2f}")
    except KeyboardInterrupt:
        if not found:
            raise
        return found, True
    return found, False


def summaries(found: Sequence[Result], product_rate: float) -> list[Summary]:
    """Each cell's figures, in the grid's order."""
    made = []
    for cell in BLOCKS:
        results = [each for each in found if each.point.cell == cell]
        if results:
            rows, units = LIMITED
            large = [each for each in results if each.point.batch >= rows and each.point.hidden >= units]
            share = sum(each.rate for each in large) / len(large) / product_rate if large else math.nan
            mean = geometric_mean(each.ratio for each in results)
            made.append(Summary(cell, mean, min(results, key=lambda each: each.ratio), share))
    return made


def as_dict(found: Sequence[Result], conditions: Conditions) -> dict[str, Any]:
    """The figures as plain values, for `--json` and for `read`."""
    rows = [
        each.point._asdict()
        | {
            "torch_ms": 1e3 * each.torch,
            "recurra_ms": 1e3 * each.recurra,
            "ratio": each.ratio,
            "gflops": each.rate,
            "share": each.rate / conditions.product_rate,
            "rounds": each.rounds,
            "difference": each.difference,
        }
        for each in found
    ]
    summary = [
        {
            "cell": each.cell,
            "ratio": each.ratio,
            "worst_ratio": each.worst.ratio,
            "worst_point": each.worst.point._asdict(),
            "share": each.share if math.isfinite(each.share) else None,
        }
        for each in summaries(found, conditions.product_rate)
    ]
    return {"conditions": asdict(conditions), "points": rows, "summary": summary}


def write(file: Path, found: Sequence[Result], conditions: Conditions) -> None:
    """Write the figures as JSON, whole or not at all. Raises InputError where that cannot be done."""
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(as_dict(found, conditions), indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> tuple[list[Result], Conditions]:
    """What `write` wrote. Raises InputError where the file is something else."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        conditions = Conditions(**document["conditions"])
        return [_result(row, conditions.training) for row in document["points"]], conditions
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"no figures of a grid can be read here: {error}", file=file) from error


def _result(row: Mapping[str, Any], training: bool) -> Result:
    point = Point(row["cell"], row["hidden"], row["batch"], row["steps"])
    times = row["torch_ms"] / 1e3, row["recurra_ms"] / 1e3
    return Result(point, *times, row["rounds"], row["difference"], training)


def _long(point: Point, training: bool) -> bool:
    return point.flop(training) > 2e11


def _ways(point: Point, training: bool) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    cell, hidden, batch, steps = point
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        theirs = getattr(torch.nn, cell)(hidden, hidden)
        ours = getattr(recurra.nn, cell)(hidden, hidden)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, batch, hidden, generator=generator, requires_grad=training)
    grad = torch.randn(steps, batch, hidden, generator=generator)

    def way(layer: torch.nn.Module) -> Callable[[], tuple[Tensor, ...]]:
        if training:
            return training_step(lambda: layer(x)[0], [x, *layer.parameters()], grad)
        return torch.no_grad()(lambda: (layer(x)[0],))

    return {"torch.nn": way(theirs), "recurra.nn": way(ours)}
