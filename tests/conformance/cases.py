"""Which cells and blocks go through the conformance suite, and with which options.

Every cell of `recurra.cells.CELLS` and every block of `recurra.networks.blocks.BLOCKS` goes through it with its
defaults; `OPTIONS` adds sets of options of a cell or a block.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra import state
from recurra.cell import Cell
from recurra.cells import (
    CELLS,
    GRU,
    LRU,
    LSTM,
    MLSTM,
    QRNN,
    RGLRU,
    RWKV7,
    S5,
    SLSTM,
    DeltaNet,
    Elman,
    GatedDeltaNet,
    LinearAttention,
    Mamba2,
)
from recurra.networks.blocks import (
    BLOCKS,
    GatedDeltaNetBlock,
    GriffinBlock,
    MLSTMBlock,
    RWKV7Block,
    SLSTMBlock,
)

VARIED = {"layer_norm": True, "recurrent_dropout": 0.3}

OPTIONS: dict[type[Cell], list[dict[str, Any]]] = {
    Elman: [{"nonlinearity": "relu"}, {**VARIED, "zoneout": 0.2}],
    GRU: [{"reset_after": False}, {**VARIED, "zoneout": 0.2}, {**VARIED, "reset_after": False}],
    LSTM: [
        {"projection_size": 3},
        {"peephole": True},
        {"peephole": True, "coupled": True, "projection_size": 3},
        {**VARIED, "zoneout": (0.2, 0.1)},
        {"mogrifier": 3, "projection_size": 3},
    ],
    SLSTM: [{"heads": 2}],
    QRNN: [{"kernel": 3, "zoneout": 0.3}, {"kernel": 1}],
    RGLRU: [{"heads": 2}],
    LRU: [{"state_size": 2, "r_min": 0.4, "r_max": 0.9}],
    S5: [{"state_size": 4}],
    LinearAttention: [{"heads": 2}, {"heads": 2, "decay": "retention"}],
    DeltaNet: [{"heads": 2, "beta_max": 2.0, "convolution": 2}],
    GatedDeltaNet: [{"heads": 2, "beta_max": 2.0, "key_size": 1, "convolution": 0}],
    Mamba2: [{"heads": 2, "state_size": 3, "convolution": 0}],
    MLSTM: [{"heads": 2}],
    RWKV7: [{"heads": 2, "ranks": (1, 2, 1)}],
    GatedDeltaNetBlock: [{"heads": 2, "width": 4, "beta_max": 2.0, "kernel": 0, "expansion": 1.0}],
    MLSTMBlock: [{"heads": 2, "width": 4, "kernel": 1, "block": 2}],
    RWKV7Block: [{"heads": 2, "layers": 2, "expansion": 1.0, "ranks": (1, 1, 1, 1), "entry_norm": True}],
    GriffinBlock: [{"heads": 2, "width": 8, "kernel": 1}],
    SLSTMBlock: [{"heads": 2, "kernel": 2, "expansion": 2.0}, {"heads": 1, "kernel": 0}],
}


B, T, I, H = 4, 6, 3, 6  # noqa: E741 - the legend of the whole project


class Inner(NamedTuple):
    h: Tensor
    counts: tuple[Tensor]


class Everything(Cell):
    """A cell that uses the whole interface: window, noise at every step, a nested state of unlike shapes."""

    window = 2

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.projected_size, self.output_size = input_size, hidden_size, hidden_size
        self.weight = nn.Parameter(torch.rand(hidden_size, input_size, generator=generator) - 0.5)
        self.recurrent = nn.Parameter(torch.rand(hidden_size, hidden_size, generator=generator) - 0.5)
        self.taps = nn.Parameter(torch.rand(3, hidden_size, generator=generator))

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> Inner:
        zeros = torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)
        return Inner(zeros, (torch.zeros(batch_size, 2, 2, device=device, dtype=dtype),))

    def project(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + 0.1

    def mix(self, p: Tensor) -> Tensor:
        return p[:, 2:] * self.taps[0] + p[:, 1:-1] * self.taps[1] + p[:, :-2] * self.taps[2]

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Tensor:
        like = self.weight
        keep = torch.rand(batch_size, steps, self.output_size, generator=generator, dtype=like.dtype)
        return (keep < 0.7).to(like.dtype)

    def recur(self, z: Tensor, before: Inner, noise: Tensor | None = None) -> tuple[Tensor, Inner]:
        h = torch.tanh(z + before.h @ self.recurrent.T)
        h = h if noise is None else torch.lerp(before.h, h, noise)
        counts = before.counts[0] * 0.5 + h[:, :4].reshape(-1, 2, 2)
        return h + counts.sum((1, 2)).unsqueeze(1), Inner(h, (counts,))


class Case(NamedTuple):
    """A cell with some options, or a block, whose outputs are as many as its inputs."""

    kind: Any
    options: dict[str, Any]
    block: bool = False

    def make(self, inputs: int, units: int, seed: int = 1) -> Cell:
        """The cell with I inputs and H units; a block takes and gives H."""
        generator = torch.Generator().manual_seed(seed)
        sizes = (units,) if self.block else (inputs, units)
        cell: Cell = self.kind(*sizes, **self.options, generator=generator)
        return cell

    @property
    def name(self) -> str:
        words = [self.kind.__name__, *(f"{name}={value}" for name, value in self.options.items())]
        return "-".join(words)


def documented() -> Case:
    """The cell that docs/extending.md writes as its example."""
    page = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
    source = page.partition("```python\n")[2].partition("```")[0]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "example.py"
        file.write_text(source, encoding="utf-8")
        return Case(runpy.run_path(str(file))["MGU"], {})


def cases() -> list[Case]:
    """All of them."""
    kinds = [(kind, False) for kind in CELLS] + [(kind, True) for kind in BLOCKS]
    return [
        documented(),
        Case(Everything, {}),
        *(Case(kind, options, block) for kind, block in kinds for options in ({}, *OPTIONS.get(kind, ()))),
    ]


def random_state(cell: Cell, rows: int) -> Any:
    return state.transform(lambda leaf: torch.randn_like(leaf) / 2, cell.initial_state(rows))
