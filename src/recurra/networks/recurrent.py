"""A stack of recurrent layers. Legend: B rows, T steps, I inputs, O outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recurra.cell import Cell
from recurra.ops import ragged
from recurra.state import State

__all__ = ["Recurrent"]


class Recurrent(nn.Module):
    """Layers of cells one on another; a pair of cells is a bidirectional layer, whose outputs are joined.

    Parameters
    ----------
    layers: cells or pairs of cells; each layer takes what the one below gives.
    dropout: share of what enters each layer but the first that is dropped in training, 0 … 1 exclusive.
    norm: "layer" normalises what enters each layer but the first; None does not.
    residual: add what enters each layer but the first to what leaves it.

    The state is a tuple with one state for each layer, a pair of states where the layer is a pair.
    Raises ValueError for sizes that do not fit together.
    """

    def __init__(
        self,
        layers: Sequence[Cell | tuple[Cell, Cell]],
        *,
        dropout: float = 0.0,
        norm: Literal["layer"] | None = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("Recurrent needs at least one layer")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must lie in 0 … 1 exclusive, not {dropout}")
        if norm not in (None, "layer"):
            raise ValueError(f"norm must be None or 'layer', not {norm!r}")
        self.layers = nn.ModuleList(_layer(each) for each in layers)
        self.dropout, self.residual = dropout, residual
        _check_sizes(self._stack(), residual)
        self.input_size, self.output_size = self._stack()[0].input_size, self._stack()[-1].output_size
        normed = self._stack()[1:] if norm == "layer" else []
        self.norms = nn.ModuleList([nn.Identity(), *(nn.LayerNorm(layer.input_size) for layer in normed)])

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple[State, ...]:
        """The state before the first step."""
        return tuple(layer.initial_state(batch_size, device=device, dtype=dtype) for layer in self._stack())

    def step(self, x: Tensor, state: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """One step: x (B, I) gives y (B, O) and the state after; ValueError if any layer is bidirectional."""
        self._check_state(state)
        after = []
        for number, (layer, before) in enumerate(zip(self._stack(), state, strict=True)):
            if isinstance(layer, _Bidirectional):
                raise ValueError(
                    f"layer {number} is bidirectional: it needs the whole sequence, not one step"
                )
            y, new = layer.step(self._entering(number, x, None), before)
            x = self._leaving(number, x, y)
            after.append(new)
        return x, tuple(after)

    def forward(
        self,
        x: Tensor,
        state: tuple[State, ...] | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, tuple[State, ...]]:
        """All steps: x (B, T, I) gives y (B, T, O) and the state after each row's last step.

        `lengths` (B,) are in 0 … T: past its length a row's state stays and its output is zero. `generator`
        draws dropout and the cells' noise in training (None: torch's own). ValueError for misfits.
        """
        lengths = ragged.check(lengths, x)
        state = self.initial_state(x.shape[0], device=x.device, dtype=x.dtype) if state is None else state
        self._check_state(state)
        after = []
        for number, (layer, before) in enumerate(zip(self._stack(), state, strict=True)):
            noise = layer.noise(x.shape[0], x.shape[1], generator) if self.training else None
            y, new = layer.sequence(self._entering(number, x, generator), before, lengths, noise)
            x = self._leaving(number, x, y)
            after.append(new)
        return x, tuple(after)

    def _entering(self, number: int, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if number == 0:
            return x
        x = self.norms[number](x) if len(self.norms) > 1 else x
        if not self.training or self.dropout == 0.0:
            return x
        kept = torch.rand(x.shape, generator=generator, device=x.device) >= self.dropout
        return torch.where(kept, x / (1 - self.dropout), 0.0)

    def _leaving(self, number: int, x: Tensor, y: Tensor) -> Tensor:
        return x + y if self.residual and number > 0 else y

    def _stack(self) -> list[Cell | _Bidirectional]:
        return list(self.layers)  # type: ignore[arg-type]

    def _check_state(self, state: tuple[State, ...]) -> None:
        if not isinstance(state, tuple) or len(state) != len(self.layers):
            raise ValueError(
                f"the state must be a tuple with one state for each of the {len(self.layers)} layers"
            )


class _Bidirectional(nn.Module):
    """Two cells over the same sequence; the second runs from each row's own end to its start."""

    def __init__(self, ahead: Cell, back: Cell) -> None:
        super().__init__()
        if ahead.input_size != back.input_size:
            raise ValueError(f"a pair of cells takes one input, not {ahead.input_size} and {back.input_size}")
        self.ahead, self.back = ahead, back
        self.input_size, self.output_size = ahead.input_size, ahead.output_size + back.output_size

    def initial_state(self, batch_size: int, **kwargs: Any) -> tuple[State, State]:
        return self.ahead.initial_state(batch_size, **kwargs), self.back.initial_state(batch_size, **kwargs)

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> tuple[Any, Any]:
        return self.ahead.noise(batch_size, steps, generator), self.back.noise(batch_size, steps, generator)

    def sequence(
        self, x: Tensor, state: Any, lengths: Tensor | None, noise: tuple[Any, Any] | None
    ) -> tuple[Tensor, tuple[State, State]]:
        noise = noise or (None, None)
        y, ahead = self.ahead.sequence(x, state[0], lengths, noise[0])
        reversed_y, back = self.back.sequence(ragged.reverse(x, lengths), state[1], lengths, noise[1])
        return torch.cat([y, ragged.reverse(reversed_y, lengths)], -1), (ahead, back)


def _layer(cells: Cell | tuple[Cell, Cell]) -> Cell | _Bidirectional:
    if isinstance(cells, Cell):
        return cells
    if isinstance(cells, tuple) and len(cells) == 2 and all(isinstance(cell, Cell) for cell in cells):
        return _Bidirectional(*cells)
    raise TypeError(f"a layer is a cell or a pair of cells, not {cells!r}")


def _check_sizes(stack: list[Cell | _Bidirectional], residual: bool) -> None:
    for number, (below, layer) in enumerate(pairwise(stack), start=1):
        if layer.input_size != below.output_size:
            raise ValueError(
                f"layer {number} takes {layer.input_size} inputs, the one below gives {below.output_size}"
            )
        if residual and layer.output_size != layer.input_size:
            raise ValueError(
                f"layer {number} cannot be residual: {layer.input_size} go in, {layer.output_size} come out"
            )
