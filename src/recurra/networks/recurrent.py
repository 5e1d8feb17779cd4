"""A stack of recurrent layers. Legend: B rows, T steps, I inputs, O outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from recurra.cell import Cell
from recurra.networks.bidirectional import Bidirectional
from recurra.networks.dropout import dropout, dropped_weights, weights_called
from recurra.ops import ragged
from recurra.state import State

__all__ = ["Recurrent"]


class Recurrent(nn.Module):
    """Layers of cells one on another; a pair of cells is a bidirectional layer, whose outputs are joined.

    Parameters
    ----------
    layers: cells or pairs of cells; each layer takes what the one below gives.
    dropout: share of what enters each layer but the first that is dropped in training, 0 … 1 exclusive.
    variational: drop the same units of a row at all its steps, instead of others at each.
    norm: "layer" or "rms" (root mean square) normalizes at each layer; None does not.
    norm_first: normalize what enters each layer but the first; else what leaves each layer, the residual added.
    residual: add what enters each layer but the first to what leaves it.
    weight_drop: share of the numbers of recurrent matrices that is dropped in training, once for a whole forward
        call, 0 … 1 exclusive.
    weight_drop_names: which parameters those are: the ones that are called so, in whatever cell.

    The state is a tuple with one state for each layer, a pair of states where the layer is a pair.
    Raises ValueError for sizes that do not fit together, and for weights to drop that are not there.
    """

    def __init__(
        self,
        layers: Sequence[Cell | tuple[Cell, Cell]],
        *,
        dropout: float = 0.0,
        variational: bool = False,
        norm: Literal["layer", "rms"] | None = None,
        norm_first: bool = True,
        residual: bool = False,
        weight_drop: float = 0.0,
        weight_drop_names: Sequence[str] = ("weight_hh",),
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("Recurrent needs at least one layer")
        for name, rate in (("dropout", dropout), ("weight_drop", weight_drop)):
            if not 0.0 <= rate < 1.0:
                raise ValueError(f"{name} must lie in 0 … 1 exclusive, not {rate}")
        self.layers = nn.ModuleList(_layer(each) for each in layers)
        self.dropout, self.variational, self.residual = dropout, variational, residual
        self.weight_drop, self.weight_drop_names = weight_drop, tuple(weight_drop_names)
        _check_sizes(self._stack(), residual)
        self.input_size, self.output_size = self._stack()[0].input_size, self._stack()[-1].output_size
        self.norm_first = norm_first
        self.norms = nn.ModuleList(_norms(self._stack(), norm, norm_first))
        if weight_drop and not weights_called(self.weight_drop_names, self.layers):
            raise ValueError(f"no layer has a parameter called {' or '.join(self.weight_drop_names)} to drop")

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple[State, ...]:
        """The state before the first step."""
        return tuple(layer.initial_state(batch_size, device=device, dtype=dtype) for layer in self._stack())

    def step(
        self, x: Tensor, state: tuple[State, ...], generator: torch.Generator | None = None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """One step: x (B, I) gives y (B, O) and the state after; ValueError if any layer is bidirectional.

        In training it is a sequence of one step: `generator` draws all masks, at each step anew.
        """
        self._check_state(state)
        cells = self._one_way()
        if self.training:
            y, after = self(x.unsqueeze(1), state, generator=generator)
            return y.squeeze(1), after
        states = []
        for number, (cell, before) in enumerate(zip(cells, state, strict=True)):
            y, new = cell.step(self._entering(number, x, None), before)
            x = self._leaving(number, x, y, None)
            states.append(new)
        return x, tuple(states)

    def forward(
        self,
        x: Tensor,
        state: tuple[State, ...] | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, tuple[State, ...]]:
        """All steps: x (B, T, I) gives y (B, T, O) and the state after each row's last step.

        `lengths` (B,) are in 0 … T: past its length a row's state stays and its output is zero. `generator`, on the
        CPU, draws all masks in training (None: torch's own). ValueError for misfits.
        """
        lengths = ragged.check(lengths, x)
        state = self.initial_state(x.shape[0], device=x.device, dtype=x.dtype) if state is None else state
        self._check_state(state)
        states = []
        for number, (layer, before) in enumerate(zip(self._stack(), state, strict=True)):
            noise, weights = None, {}
            if self.training:
                noise = layer.noise(x.shape[0], x.shape[1], generator)
                if self.weight_drop:
                    weights = dropped_weights(layer, self.weight_drop, self.weight_drop_names, generator)
            entering = self._entering(number, x, generator)
            inputs = entering, before, lengths, noise
            y, after = functional_call(layer, weights, inputs) if weights else layer(*inputs)
            x = self._leaving(number, x, y, lengths)
            states.append(after)
        return x, tuple(states)

    def _entering(self, number: int, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if number == 0:
            return x
        x = self.norms[number](x) if self.norm_first else x
        if not self.training or self.dropout == 0.0:
            return x
        return dropout(x, self.dropout, generator, variational=self.variational)

    def _leaving(self, number: int, x: Tensor, y: Tensor, lengths: Tensor | None) -> Tensor:
        y = x + y if self.residual and number > 0 else y
        # A norm of the padding's zeros is not zero where it has a bias.
        return y if self.norm_first else ragged.fill(self.norms[number](y), lengths)

    def _stack(self) -> list[Cell | Bidirectional]:
        return list(self.layers)  # type: ignore[arg-type]

    def _one_way(self) -> list[Cell]:
        cells = []
        for number, layer in enumerate(self._stack()):
            if isinstance(layer, Bidirectional):
                raise ValueError(
                    f"layer {number} is bidirectional: it needs the whole sequence, not one step"
                )
            cells.append(layer)
        return cells

    def _check_state(self, state: tuple[State, ...]) -> None:
        if not isinstance(state, tuple) or len(state) != len(self.layers):
            raise ValueError(
                f"the state must be a tuple with one state for each of the {len(self.layers)} layers"
            )


def _layer(cells: Cell | tuple[Cell, Cell]) -> Cell | Bidirectional:
    if isinstance(cells, Cell):
        return cells
    if isinstance(cells, tuple) and len(cells) == 2 and all(isinstance(cell, Cell) for cell in cells):
        return Bidirectional(*cells)
    raise TypeError(f"a layer is a cell or a pair of cells, not {cells!r}")


def _norms(stack: list[Cell | Bidirectional], norm: str | None, norm_first: bool) -> list[nn.Module]:
    """One for each layer; what enters the first are inputs, which a norm over one feature would erase."""
    if norm not in (None, "layer", "rms"):
        raise ValueError(f"norm must be None, 'layer' or 'rms', not {norm!r}")
    sizes = [layer.input_size if norm_first else layer.output_size for layer in stack]
    made: list[nn.Module] = []
    for number, size in enumerate(sizes):
        if norm is None or (norm_first and number == 0):
            made.append(nn.Identity())
        else:
            made.append(nn.LayerNorm(size) if norm == "layer" else nn.RMSNorm(size, eps=1e-6))
    return made


def _check_sizes(stack: list[Cell | Bidirectional], residual: bool) -> None:
    for number, (below, layer) in enumerate(pairwise(stack), start=1):
        if layer.input_size != below.output_size:
            raise ValueError(
                f"layer {number} takes {layer.input_size} inputs, the one below gives {below.output_size}"
            )
        if residual and layer.output_size != layer.input_size:
            raise ValueError(
                f"layer {number} cannot be residual: {layer.input_size} go in, {layer.output_size} come out"
            )
