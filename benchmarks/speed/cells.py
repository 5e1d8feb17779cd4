"""Training steps of layers with a linear recurrence, beside the parallel forms in which they are usual in plain torch.

    python benchmarks/speed/cells.py [--threads 2] [--json FILE] [--quick]

B 16, T 1024, H = I = 256, float32, forward and backward to the input and all weights. What comes before and after the
recurrence is the same on both sides:

MinGRU  the log-space scan of the paper's code (Feng et al. 2024, arXiv 2410.01201, appendix B): a cumulative sum and a
        `logcumsumexp`. It takes positive candidates only, so the bias makes them so; the paper's own g(·), which would
        see to it, is left out and costs the peer nothing. In float32 its gradients are off by percents, for which
        recurra's are held to its float64, and only outputs to its float32.
LRU     an associative scan of complex64 by odd and even steps, as `jax.lax.associative_scan` does it and the ports of
        LRU and S5 to torch.
others  recurra's reference path, a loop over steps.

Bars: × 5 for MinGRU and LRU.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from common import Row, Way, measured, parse, parser, path, report, row
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from recurra.bench.timing import TOLERANCE, check_alike, training_step
from recurra.cell import Cell
from recurra.cells import LRU, QRNN, RGLRU, S5, SRU, MinGRU, MinLSTM

OURS = "recurra"
POSITIVE = 4.0  # seven standard deviations of a candidate
LOG_SPACE = 1e-3  # logarithms reach T = 1024, of which float32 keeps 6e-5


def min_gru(cell: MinGRU, x: Tensor) -> Tensor:
    gate, candidate = cell.project(x).chunk(2, -1)
    log_kept, log_in = logsigmoid(-gate), logsigmoid(gate) + candidate.log()
    total = log_kept.cumsum(1)
    return (total + torch.logcumsumexp(log_in - total, 1)).exp()


def lru(cell: LRU, x: Tensor) -> Tensor:
    z = cell.project(x)
    a, b = torch.broadcast_tensors(*cell.coefficients(z))
    a, b = (torch.view_as_complex(each.contiguous()) for each in (a, b))
    return cell.readout(z, torch.view_as_real(associative(a, b)[1]))


def associative(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The products of all a up to each step, and the states h = a h + b from h = 0; both (B, T, D)."""
    if a.shape[1] == 1:
        return a, b
    even_a, odd_a = a[:, ::2], a[:, 1::2]
    even_b, odd_b = b[:, ::2], b[:, 1::2]
    pairs = odd_a.shape[1]
    odd = associative(odd_a * even_a[:, :pairs], odd_a * even_b[:, :pairs] + odd_b)
    before_a, before_b = (each[:, : even_a.shape[1] - 1] for each in odd)
    even = (
        torch.cat([a[:, :1], even_a[:, 1:] * before_a], 1),
        torch.cat([b[:, :1], even_a[:, 1:] * before_b + even_b[:, 1:]], 1),
    )
    first, second = (interleaved(*each) for each in zip(even, odd, strict=True))
    return first, second


def interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Steps 0, 2, … and 1, 3, … in their order again."""
    missing = even.shape[1] - odd.shape[1]
    both = torch.stack([even, pad(odd, (0, 0, 0, missing))], 2).flatten(1, 2)
    return both[:, : even.shape[1] + odd.shape[1]]


def ways(cell: Cell, x: Tensor, grad: Tensor) -> dict[str, Way]:
    rows, x = len(x), x.detach().requires_grad_()
    state, wanted = cell.initial_state(rows), [x, *cell.parameters()]

    def loop() -> Tensor:
        with path("reference"):
            return cell.sequence(x, state)[0]

    parallel = {MinGRU: min_gru, LRU: lru}.get(type(cell))  # type: ignore[call-overload]
    peer = loop if parallel is None else lambda: parallel(cell, x)
    return {
        "loop" if parallel is None else "parallel": training_step(peer, wanted, grad),
        OURS: training_step(lambda: cell.sequence(x, state)[0], wanted, grad),
    }


def main() -> None:
    options = parse(parser(__doc__))
    rows, steps, units = (2, 11, 8) if options.quick else (16, 1024, 256)
    found: list[Row] = []
    for kind in (MinGRU, LRU, MinLSTM, SRU, QRNN, RGLRU, S5):
        cell = kind(units, units)
        if kind is MinGRU:
            with torch.no_grad():
                cell.bias[units:] = POSITIVE
        x, grad = torch.randn(2, rows, steps, units)
        timed, exact = ways(cell, x, grad), kind is not MinGRU
        if not exact:
            peer, _ = ways(deepcopy(cell).double(), x.double(), grad.double()).values()
            check_alike({"parallel, float64": [each.float() for each in peer()], OURS: timed[OURS]()})
        times = measured(
            timed,
            quick=options.quick,
            tolerance=TOLERANCE if exact else LOG_SPACE,
            seen=lambda result, exact=exact: result if exact else result[:1],
        )
        found.append(row({"layer": kind.__name__, "B": rows, "T": steps, "H": units}, times, OURS))
    report(options, found)


if __name__ == "__main__":
    main()
