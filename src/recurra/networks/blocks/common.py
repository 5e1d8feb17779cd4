"""What blocks are made of. Legend: B rows, T steps, D units of the block's inputs and outputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, silu

from recurra.cell import Cell
from recurra.ops import ragged
from recurra.ops.convolution import causal_convolution
from recurra.ops.dense.heads import units_of_a_head
from recurra.state import State

__all__ = ["Block", "GatedMLP", "HeadNorm", "Lookback", "Run", "ShortConvolution", "dense"]

Run = Callable[[Cell, Tensor], Tensor]
"""What runs one of a block's cells: `run(cell, x)` gives the cell's outputs, for one step or for all."""


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": gelu, "silu": silu}


class Block(Cell):
    """A cell made of other cells and of layers that know no time, such as norms, matrices and gates.

    A subclass sets its cells and layers as attributes, then writes `flow`. It takes and gives `size` units; its
    state is the tuple of its cells' states, in the order in which they became attributes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = size

    @abstractmethod
    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The outputs (…, D) from the inputs (…, D), for one step (B, D) and for all steps (B, T, D) alike.

        Every cell is run once, by `run(cell, x)`; everything else acts on the last axis alone.
        """

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> tuple[State, ...]:
        """The cells' initial states."""
        return tuple(cell.initial_state(batch_size, device=device, dtype=dtype) for cell in self._cells())

    def noise(
        self, batch_size: int, steps: int, generator: torch.Generator | None
    ) -> tuple[State, ...] | None:
        """The cells' noise, () for a cell without any, or None where no cell has some."""
        drawn = [cell.noise(batch_size, steps, generator) for cell in self._cells()]
        return None if all(each is None for each in drawn) else tuple(() if n is None else n for n in drawn)

    def recur(
        self, z: Tensor, state: tuple[State, ...], noise: Any = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """One step through `flow`."""
        return self._run(z, state, noise, lambda cell, x, before, drawn: cell.step(x, before, drawn))

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        y, after = self._run(
            z, inner, noise, lambda cell, x, before, drawn: cell.sequence(x, before, lengths, drawn)
        )
        return ragged.fill(y, lengths), after

    def _run(
        self,
        x: Tensor,
        state: tuple[State, ...],
        noise: tuple[State, ...] | None,
        through: Callable[[Cell, Tensor, Any, Any], tuple[Tensor, Any]],
    ) -> tuple[Tensor, tuple[State, ...]]:
        cells = self._cells()
        before = dict(zip(cells, state, strict=True))
        drawn: dict[Cell, Any] = dict(zip(cells, noise or [()] * len(cells), strict=True))
        after: dict[Cell, State] = {}

        def run(cell: Cell, x: Tensor) -> Tensor:
            none = isinstance(drawn[cell], tuple) and not drawn[cell]
            y, after[cell] = through(cell, x, before[cell], None if none else drawn[cell])
            return y

        y = self.flow(x, run)
        return y, tuple(after[cell] for cell in cells)

    def _cells(self) -> list[Cell]:
        return [child for child in self.children() if isinstance(child, Cell)]


class Lookback(Cell):
    """A cell that keeps nothing but its last inputs: a subclass writes `mix`, which is all of it."""

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> tuple[()]:
        """Nothing beside the last inputs."""
        return ()

    def recur(self, z: Tensor, state: tuple[()], noise: Any = None) -> tuple[Tensor, tuple[()]]:
        """Nothing more: `mix` did it."""
        return z, state

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        return ragged.fill(z, lengths), inner


class ShortConvolution(Lookback):
    """A causal convolution over time, each unit by itself: y_t = b + Σ_k w_k ⊙ x_{t-k}, 0 ≤ k < kernel.

    `weight` (kernel, D), the present step's tap first; `bias` (D,). What it keeps of the past are its last
    kernel - 1 inputs.
    """

    def __init__(self, size: int, kernel: int = 4, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if kernel < 1:
            raise ValueError(f"kernel must be at least 1, not {kernel}")
        self.input_size = self.projected_size = self.output_size = size
        self.window = kernel - 1
        self.weight = nn.Parameter(torch.empty(kernel, size))
        self.bias = nn.Parameter(torch.empty(size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the taps from U(-1/√kernel, 1/√kernel); the bias is 0."""
        bound = len(self.weight) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)

    def mix(self, p: Tensor) -> Tensor:
        """The convolution."""
        return causal_convolution(p, self.weight, self.bias)


class GatedMLP(nn.Module):
    """Two matrices up, one gating the other, and one down: W (g(U x) ⊙ V x).

    Shazeer 2020 (arXiv 2002.05202), equation 6. `activation` is g: "gelu" or "silu". `up` holds U above V.
    """

    def __init__(
        self,
        size: int,
        hidden_size: int,
        *,
        activation: str = "gelu",
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be 'gelu' or 'silu', not {activation!r}")
        self.activation = activation
        self.up = dense(size, 2 * hidden_size, bias=bias, generator=generator)
        self.down = dense(hidden_size, size, bias=bias, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) -> (…, D)."""
        gate, value = self.up(x).chunk(2, -1)
        y: Tensor = self.down(_ACTIVATIONS[self.activation](gate) * value)
        return y


class HeadNorm(nn.Module):
    """Layer normalization of each head's units by themselves, then a weight (D,).

    Group normalization (Wu & He 2018, arXiv 1803.08494) of the last axis. Raises ValueError where `heads` does not
    divide D.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.units = heads, units_of_a_head(size, heads)
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) -> (…, D)."""
        parted = x.reshape(*x.shape[:-1], self.heads, self.units)
        return layer_norm(parted, (self.units,)).flatten(-2) * self.weight


def dense(
    inputs: int,
    outputs: int,
    *,
    bias: bool = True,
    deviation: float | None = None,
    generator: torch.Generator | None = None,
) -> nn.Linear:
    """A matrix with a bias of 0, its numbers drawn from N(0, deviation²), 1/√inputs unless told otherwise."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)  # type: ignore[no-untyped-call]
    deviation = inputs**-0.5 if deviation is None else deviation
    nn.init.normal_(layer.weight, std=deviation, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
