"""What the machine can do: the rate of matrix products, and how fast each level of its memory is read.

Measured with torch where it is installed, else with NumPy. They are what torch or NumPy reach, not what the data sheet
says: a kernel written for one purpose can read the inner caches faster.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "PRODUCTS",
    "Limits",
    "caches",
    "cores",
    "cpu",
    "limits",
    "product_rate",
    "read_rate",
    "threads",
    "torch_or_none",
]

ROWS = 3200  # of a batch of 16 over 200 steps
LARGEST = 256 << 20  # bytes of the array that stands for memory
CACHES = {"L1": 32 << 10, "L2": 512 << 10, "L3": 8 << 20}  # where the system does not say


def _products(units: int) -> list[tuple[int, int, int]]:
    """The products (M, K) · (K, N) of a layer's training step outside the recurrence: gates, and both gradients."""
    gates = 4 * units
    return [(ROWS, units, gates), (ROWS, gates, units), (gates, ROWS, units)]


PRODUCTS = [shape for units in (256, 512, 1024) for shape in _products(units)]


class Limits(NamedTuple):
    """Rates with one thread and with all: products in GFLOP/s, reading a memory level in GB/s; None: not measured."""

    by: str  # "torch" or "numpy"
    matrix_product: dict[str, float | None]
    read: dict[str, dict[str, float | None]]


def limits(all_threads: int) -> Limits:
    """Measure the machine, in a few seconds. Without torch the number of threads is NumPy's own, for products."""
    torch_there = torch_or_none() is not None
    one: dict[str, float | None] = {"one_thread": None, "all_threads": None}
    product, read = dict(one), {level: dict(one) for level in (*CACHES, "memory")}
    counts = {"one_thread": 1, "all_threads": all_threads} if torch_there else {"all_threads": 1}
    for name, count in counts.items():
        with threads(count) if torch_there else nullcontext():
            product[name] = product_rate(_products(256), seconds=0.1)
            for level, size in _levels().items():
                # NumPy reads with one thread.
                read[level][name if torch_there else "one_thread"] = read_rate(size)
    return Limits("torch" if torch_there else "numpy", product, read)


def product_rate(shapes: Sequence[tuple[int, int, int]] = PRODUCTS, *, seconds: float = 0.3) -> float:
    """GFLOP/s of float32 matrix products (M, K) · (K, N): the median over the shapes, each for about `seconds`."""
    return statistics.median(_product(*shape, seconds) for shape in shapes)


def read_rate(size: int, *, seconds: float = 0.1) -> float:
    """GB/s of reading `size` bytes again and again."""
    values = size // 4
    times = max(1, (32 << 20) // size)
    if (torch := torch_or_none()) is not None:
        # The same numbers as every row, so that a call reads much even where the array is small.
        x = torch.ones(values)
        rows = x.expand(times, values)
        read: Callable[[], Any] = (lambda: rows.sum(1)) if times > 1 else x.sum
    else:
        table = np.broadcast_to(np.ones(values, np.float32), (times, values))
        read = lambda: table.max(1)  # noqa: E731 - NumPy's sum is not vectorised
    return times * values * 4 / _fastest(read, seconds) / 1e9


def torch_or_none() -> Any:
    """torch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def cores() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def cpu() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def caches() -> dict[str, int]:
    """Bytes of the first core's caches of data; ordinary sizes where the system does not say."""
    found = dict(CACHES)
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and f"L{level}" in found and size.endswith("K") and size[:-1].isdigit():
            found[f"L{level}"] = int(size[:-1]) << 10
    return found


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Have torch use `count` threads while the block runs; None leaves their number as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _levels() -> dict[str, int]:
    """Bytes that fit into each level and not into the one below."""
    size = caches()
    middle = min(size["L3"] // 2, 8 * size["L2"])
    return {
        "L1": size["L1"] // 2,
        "L2": size["L2"] // 2,
        "L3": middle,
        "memory": max(LARGEST, 4 * size["L3"]),
    }


def _product(rows: int, inner: int, columns: int, seconds: float) -> float:
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(shape, np.float32) for shape in ((rows, inner), (inner, columns)))
    out = np.empty((rows, columns), np.float32)
    if (torch := torch_or_none()) is not None:
        left, right, result = map(torch.from_numpy, (a, b, out))
        median = _median(lambda: torch.mm(left, right, out=result), seconds)
    else:
        median = _median(lambda: np.matmul(a, b, out=out), seconds)
    return 2 * rows * inner * columns / median / 1e9


def _timed(function: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds of each call, after one that warms up: for about `seconds`, and three times at least."""
    function()
    found: list[float] = []
    while len(found) < 3 or sum(found) < seconds:
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return found


def _median(function: Callable[[], Any], seconds: float) -> float:
    return statistics.median(_timed(function, seconds))


def _fastest(function: Callable[[], Any], seconds: float) -> float:
    return min(_timed(function, seconds))
