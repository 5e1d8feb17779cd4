"""Training steps over rows of unlike lengths: recurra.nn with `lengths=` beside torch.nn packed, and padded.

    python benchmarks/speed/ragged.py [--threads 2] [--json FILE] [--quick]

One layer with as many inputs as units, float32, lengths T/2 … T evenly spread, longest first, so that packing need not
sort. Padded, torch.nn runs over the padding too, whose outputs the loss leaves out. Bars: × 10 packed, × 1.4 padded.
"""

from __future__ import annotations

import torch
from common import Row, Way, measured, parse, parser, report, row
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn
from recurra.bench.timing import training_step

SIZES = [(100, 16, 128), (200, 16, 128), (200, 64, 256)]  # steps, rows, units
OURS = "recurra.nn"


def ways(kind: str, steps: int, rows: int, units: int) -> tuple[dict[str, Way], Tensor]:
    """What is timed, and which outputs are valid (T, B, 1)."""
    theirs, ours = getattr(nn, kind)(units, units), getattr(recurra.nn, kind)(units, units)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, rows, units, requires_grad=True)
    lengths = torch.linspace(steps // 2, steps, rows).long().flip(0)
    valid = (torch.arange(steps).unsqueeze(1) < lengths).unsqueeze(-1)
    grad = torch.where(valid, torch.randn(steps, rows, units), 0.0)

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x, lengths))
        return pad_packed_sequence(y)[0]

    found: dict[str, Way] = {
        "packed": training_step(packed, [x, *theirs.parameters()], grad),
        "padded": training_step(lambda: theirs(x)[0], [x, *theirs.parameters()], grad),
        OURS: training_step(lambda: ours(x, lengths=lengths)[0], [x, *ours.parameters()], grad),
    }
    return found, valid


def main() -> None:
    options = parse(parser(__doc__))
    rows: list[Row] = []
    for kind in ("LSTM", "GRU"):
        for size in [(12, 4, 8)] if options.quick else SIZES:
            timed, valid = ways(kind, *size)
            # What torch.nn gives in the padding is nobody's.
            times = measured(
                timed, quick=options.quick, seen=lambda result, valid=valid: [result[0] * valid, *result[1:]]
            )
            what = {"layer": kind, **dict(zip(("T", "B", "H"), size, strict=True))}
            rows.append(row(what, times, OURS))
    report(options, rows)


if __name__ == "__main__":
    main()
