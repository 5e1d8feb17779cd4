"""Training steps of recurra.nn's layers over rows of unlike lengths, beside torch.nn's packed and padded.

    .venv/bin/python benchmarks/nn/ragged.py

A step is forward, and backward to all weights and the input; one layer, float32, lengths drawn from T/2 … T. The ways
take turns. × is the ratio to torch.nn packed, and for `whole`, rows of equal length, to torch.nn's layer there.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn

SIZES = [(16, 128, 200, 41), (64, 256, 200, 9)]  # rows, units and inputs, steps; how often


def ways(kind: str, rows: int, units: int, steps: int) -> dict[str, Callable[[], Tensor]]:
    """What is timed, by name; each gives the loss of one step, over valid outputs only."""
    theirs = getattr(nn, kind)(units, units, batch_first=True)
    ours = getattr(recurra.nn, kind)(units, units, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(rows, steps, units, requires_grad=True)
    lengths = torch.randint(steps // 2, steps + 1, (rows,))
    mask = (torch.arange(steps) < lengths.unsqueeze(1)).unsqueeze(-1)

    def packed() -> Tensor:
        y, _ = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return pad_packed_sequence(y, batch_first=True, total_length=steps)[0].square().sum()

    return {
        "torch.nn, packed": packed,
        "torch.nn, padded and masked": lambda: torch.where(mask, theirs(x)[0], 0.0).square().sum(),
        "recurra.nn, lengths=": lambda: ours(x, lengths=lengths)[0].square().sum(),
        "torch.nn, whole": lambda: theirs(x)[0].square().sum(),
        "recurra.nn, whole": lambda: ours(x)[0].square().sum(),
    }


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}; median, fastest, × of the medians")
    for kind in ("LSTM", "GRU"):
        for rows, units, steps, rounds in SIZES:
            torch.manual_seed(0)
            timed = ways(kind, rows, units, steps)
            seconds: dict[str, list[float]] = {name: [] for name in timed}
            for turn in range(rounds + 1):
                for name, step in timed.items():
                    start = time.perf_counter()
                    step().backward()
                    if turn >= 1:  # the first warms up
                        seconds[name].append(time.perf_counter() - start)
            print(f"\n{kind}, B = {rows}, H = I = {units}, T = {steps}")
            medians = {name: statistics.median(each) for name, each in seconds.items()}
            for name, median in medians.items():
                peer = medians["torch.nn, whole" if name.endswith("whole") else "torch.nn, packed"]
                fastest = min(seconds[name])
                print(
                    f"  {name:28} {1000 * median:8.1f} ms {1000 * fastest:8.1f} ms {median / peer:6.2f} ×",
                    flush=True,
                )


if __name__ == "__main__":
    main()
