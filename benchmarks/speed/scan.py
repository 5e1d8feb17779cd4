"""The linear scan h = a ⊙ h + b through autograd, forward and backward: recurra.ops beside a loop over `unbind`.

    python benchmarks/speed/scan.py [--threads 2] [--json FILE] [--quick]

float32, and complex numbers, which the loop has as complex64. `share` is that of the rate at which the machine reads
its memory, measured before, for arrays above 32 MB: what must move is counted, a and b read and h written forward, a, h
and h's gradient read and those of a and b written backward. Bars: × 7 each, × 15 in the mean; a share of 75 %.
"""

from __future__ import annotations

import torch
from common import Row, Way, measured, parse, parser, report, row
from torch import Tensor

from recurra import ops
from recurra.bench.limits import LARGEST, read_rate
from recurra.bench.timing import training_step

SIZES = [(1, 1000, 256), (8, 1024, 512), (64, 512, 512), (16, 2048, 1024)]
LARGE = 32 << 20  # bytes of an array
MOVED = 8  # arrays
OURS = "recurra"


def real_ways(rows: int, steps: int, units: int) -> dict[str, Way]:
    a = torch.rand(rows, steps, units).requires_grad_()
    b, grad = torch.randn(rows, steps, units, requires_grad=True), torch.randn(rows, steps, units)
    h0 = torch.zeros(rows, units)
    return {
        "loop": training_step(lambda: loop(a, b, h0), [a, b], grad),
        OURS: training_step(lambda: ops.linear_scan(a, b, h0), [a, b], grad),
    }


def complex_ways(rows: int, steps: int, units: int) -> dict[str, Way]:
    shape = rows, steps, units
    a = torch.view_as_real(torch.polar(torch.rand(shape), 6.0 * torch.rand(shape))).requires_grad_()
    b, grad = torch.randn(*shape, 2, requires_grad=True), torch.randn(*shape, 2)
    h0 = torch.zeros(rows, units, 2)

    def complex_loop() -> Tensor:
        return torch.view_as_real(loop(*map(torch.view_as_complex, (a, b, h0))))

    return {
        "loop": training_step(complex_loop, [a, b], grad),
        OURS: training_step(lambda: ops.complex_scan(a, b, h0), [a, b], grad),
    }


def loop(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """What a user of torch writes: one step after another."""
    steps = []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        steps.append(h)
    return torch.stack(steps, 1)


def main() -> None:
    options = parse(parser(__doc__))
    bandwidth = read_rate(LARGEST, seconds=0.1 if options.quick else 1.0)
    rows: list[Row] = []
    for kind, ways, width in (("real", real_ways, 4), ("complex", complex_ways, 8)):
        for size in [(2, 9, 8)] if options.quick else SIZES:
            times = measured(ways(*size), quick=options.quick)
            found = row({"scan": kind, **dict(zip(("B", "T", "D"), size, strict=True))}, times, OURS)
            moved = MOVED * width * size[0] * size[1] * size[2]
            if moved > MOVED * LARGE:
                found["share"] = moved / times[OURS].median / 1e9 / bandwidth
            rows.append(found)
    report(options, rows, [f"memory is read at {bandwidth:.1f} GB/s"])


if __name__ == "__main__":
    main()
