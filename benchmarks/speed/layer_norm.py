"""Training steps of an LSTM with layer norm: recurra.nn beside the same cell in plain torch, and that compiled.

    python benchmarks/speed/layer_norm.py [--threads 2] [--json FILE] [--quick]

B 16, T 200, H = I 128 and 256, float32. The plain cell is recurra's reference, a loop over steps. torch.compile gets
its step, which the loop calls, as is usual: to compile 200 steps as one program takes more than five minutes. Compiling
is left out of the times. Bars: × 10 and × 4 plain, × 1.8 compiled.
"""

from __future__ import annotations

import torch
from common import Row, Way, measured, parse, parser, path, report, row
from torch import Tensor

import recurra.nn
from recurra.bench.timing import training_step
from recurra.nn.weights import lstm_weights
from recurra.ops.dense import reference

OURS = "recurra.nn"


def ways(steps: int, rows: int, units: int) -> dict[str, Way]:
    layer = recurra.nn.LSTM(units, units, batch_first=True, layer_norm=True)
    parameters = dict(layer.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            if name.startswith("norm"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        # With gains of 1 the network is chaotic: rounding grows until no two ways agree after 200 steps.
        parameters["norm_hh_l0"].mul_(0.3)
    x, grad = torch.randn(rows, steps, units, requires_grad=True), torch.randn(rows, steps, units)
    zeros = torch.zeros(rows, units)

    def weights() -> reference.LSTMWeights:
        matrices = [parameters[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        norms = reference.LayerNorms(*(parameters[f"norm_{n}_l0"] for n in ("ih", "hh", "c", "c_bias")))
        return lstm_weights(*matrices, None, norms)

    def forced() -> Tensor:
        with path("reference"):
            return layer(x)[0]

    step = torch.compile(reference.lstm_step, dynamic=False)

    def looped() -> Tensor:
        w, h, c, outputs = weights(), zeros, zeros, []
        for z in reference.enter(x, w).unbind(1):
            h, c = step(z, h, c, w)
            outputs.append(h)
        return torch.stack(outputs, 1)

    wanted = [x, *parameters.values()]
    return {
        "plain": training_step(forced, wanted, grad),
        "compiled": training_step(looped, wanted, grad),
        OURS: training_step(lambda: layer(x)[0], wanted, grad),
    }


def main() -> None:
    options = parse(parser(__doc__))
    rows: list[Row] = []
    for size in [(5, 3, 8)] if options.quick else [(200, 16, 128), (200, 16, 256)]:
        torch.compiler.reset()
        what = dict(zip(("T", "B", "H"), size, strict=True))
        rows.append(row(what, measured(ways(*size), quick=options.quick), OURS))
    report(options, rows)


if __name__ == "__main__":
    main()
