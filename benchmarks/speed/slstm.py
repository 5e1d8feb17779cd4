"""Training steps of an sLSTM: recurra's cell beside the same equations in a plain torch loop.

    python benchmarks/speed/slstm.py [--threads 2] [--json FILE] [--quick]

4 heads, H = I = 256, B 16, T 200, float32. The loop projects all inputs at once and walks over `unbind`, for indexing
[:, t] has a backward that grows with the square of T. Bar: × 8.
"""

from __future__ import annotations

import torch
from common import Way, measured, parse, parser, report, row
from torch import Tensor

from recurra.bench.timing import training_step
from recurra.cells import SLSTM
from recurra.ops.dense.slstm import slstm_step

OURS = "recurra"


def ways(steps: int, rows: int, units: int) -> dict[str, Way]:
    cell = SLSTM(units, units, heads=4)
    state = cell.initial_state(rows)
    x, grad = torch.randn(rows, steps, units, requires_grad=True), torch.randn(rows, steps, units)
    wanted = [x, *cell.parameters()]

    def plain() -> Tensor:
        now, outputs = tuple(state), []
        for z in cell.project(x).unbind(1):
            now = slstm_step(z, *now, cell.weight_hh)
            outputs.append(now[0])
        return torch.stack(outputs, 1)

    return {
        "plain loop": training_step(plain, wanted, grad),
        OURS: training_step(lambda: cell.sequence(x, state)[0], wanted, grad),
    }


def main() -> None:
    options = parse(parser(__doc__))
    size = (7, 3, 16) if options.quick else (200, 16, 256)
    what = {"cell": "sLSTM, 4 heads", **dict(zip(("T", "B", "H"), size, strict=True))}
    report(options, [row(what, measured(ways(*size), quick=options.quick), OURS)])


if __name__ == "__main__":
    main()
