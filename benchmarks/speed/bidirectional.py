"""Training steps of two bidirectional layers, recurra.nn beside torch.nn with the same weights.

    python benchmarks/speed/bidirectional.py [--threads 2] [--json FILE] [--quick]

B 16, H = I = 128, T 200, float32, input (T, B, I). Bars: GRU × 4, LSTM × 1.5.
"""

from __future__ import annotations

import torch
from common import Row, Way, measured, parse, parser, report, row

import recurra.nn
from recurra.bench.timing import training_step

OURS = "recurra.nn"


def ways(kind: str, steps: int, rows: int, units: int) -> dict[str, Way]:
    theirs, ours = (
        getattr(package, kind)(units, units, num_layers=2, bidirectional=True)
        for package in (torch.nn, recurra.nn)
    )
    ours.load_state_dict(theirs.state_dict())
    x, grad = torch.randn(steps, rows, units, requires_grad=True), torch.randn(steps, rows, 2 * units)
    return {
        "torch.nn": training_step(lambda: theirs(x)[0], [x, *theirs.parameters()], grad),
        OURS: training_step(lambda: ours(x)[0], [x, *ours.parameters()], grad),
    }


def main() -> None:
    options = parse(parser(__doc__))
    size = (9, 3, 8) if options.quick else (200, 16, 128)
    rows: list[Row] = []
    for kind in ("GRU", "LSTM", "RNN"):
        what = {"layers": kind, **dict(zip(("T", "B", "H"), size, strict=True))}
        rows.append(row(what, measured(ways(kind, *size), quick=options.quick), OURS))
    report(options, rows)


if __name__ == "__main__":
    main()
