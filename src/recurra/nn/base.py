"""What RNN, LSTM and GRU share: torch.nn's parameters and shapes outside, one layer and direction after another inside.

Legend: B rows, T steps, I inputs, H units, R recurrent units (H, or fewer with a projection), L layers, D directions.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra import ops
from recurra.nn.weights import MATRICES, Matrices, reset
from recurra.ops import LayerNorms, Masks
from recurra.ops.dense.masks import check_rate, draw
from recurra.ops.random import keep_mask

__all__ = ["Layers"]

Input = TypeVar("Input", Tensor, PackedSequence)


class Layers(nn.Module, ABC):
    """L layers of D directions. A subclass says what a direction computes, and which states there are."""

    blocks: int  # of H units, of which the gates consist

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        layer_norm: bool,
        recurrent_dropout: float,
        zoneout: float | tuple[float, float],
        generator: torch.Generator | None,
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        flags = {
            "bias": bias,
            "batch_first": batch_first,
            "bidirectional": bidirectional,
            "layer_norm": layer_norm,
        }
        _check_options(input_size, hidden_size, num_layers, dropout, proj_size, **flags)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.layer_norm = bidirectional, proj_size, layer_norm
        self.recurrent_dropout, self.zoneout = check_rate("recurrent_dropout", recurrent_dropout), zoneout
        for rate in self._zoneout():
            check_rate("zoneout", rate)
        gates, recurrent = self.blocks * hidden_size, proj_size or hidden_size
        for number, suffix in enumerate(self._suffixes):
            inputs = input_size if number < self._ways else recurrent * self._ways
            for name, shape in (
                ("weight_ih", (gates, inputs)),
                ("weight_hh", (gates, recurrent)),
                ("bias_ih", (gates,) if bias else None),
                ("bias_hh", (gates,) if bias else None),
                ("weight_hr", (proj_size, hidden_size) if proj_size else None),
                *self._norm_shapes().items(),
            ):
                made = None if shape is None else nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                self.register_parameter(name + suffix, made)
        self.reset_parameters(generator)

    @abstractmethod
    def _direction(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        suffix: str,
        lengths: Tensor | None,
        reverse: bool,
        masks: Masks | None,
    ) -> ops.Layer:
        """One direction of one layer over x (B, T, ·): the outputs (B, T, R) and the last states (B, ·)."""

    def _state_sizes(self) -> dict[str, int]:
        """The states' names and sizes."""
        return {"h": self.hidden_size}

    def _zoneout(self) -> tuple[float, float]:
        """The rates of h and of c."""
        return self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout, 0.0)

    def _norm_shapes(self) -> dict[str, tuple[int, ...] | None]:
        gates = (self.blocks * self.hidden_size,) if self.layer_norm else None
        return {"norm_ih": gates, "norm_hh": gates}

    @property
    def _ways(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _suffixes(self) -> list[str]:
        ways = ("", "_reverse")[: self._ways]
        return [f"_l{layer}{way}" for layer in range(self.num_layers) for way in ways]

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the parameters as torch.nn does: U(-1/√H, 1/√H), the same numbers from the same seed."""
        reset(self, self.hidden_size, generator)

    def flatten_parameters(self) -> None:
        """Do nothing: parameters are only parameters here; code written for torch.nn calls it."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn has them."""
        found = [(*self._matrices(suffix), self._get("weight_hr", suffix)) for suffix in self._suffixes]
        return [[each for each in direction if each is not None] for direction in found]

    def extra_repr(self) -> str:
        """The options that are not the defaults."""
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "nonlinearity": "tanh",
            "reset_after": True,
            "layer_norm": False,
            "recurrent_dropout": 0.0,
        }
        told = [
            f"{name}={getattr(self, name)}"
            for name, value in defaults.items()
            if name in vars(self) and getattr(self, name) != value
        ]
        if any(self._zoneout()):
            told.append(f"zoneout={self.zoneout}")
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *told])

    def _get(self, name: str, suffix: str) -> Any:
        return getattr(self, name + suffix)

    def _matrices(self, suffix: str) -> Matrices:
        """torch.nn's four: of the input and of h, and their biases."""
        ih, hh, bias_ih, bias_hh = (self._get(name, suffix) for name in MATRICES)
        return ih, hh, bias_ih, bias_hh

    def _norms(self, suffix: str) -> LayerNorms | None:
        if not self.layer_norm:
            return None
        return LayerNorms(*(self._get(name, suffix) for name in self._norm_shapes()))

    def _outer(
        self,
        input: Input,
        states: tuple[Tensor, ...] | None,
        lengths: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Input, tuple[Tensor, ...]]:
        """From and to torch.nn's shapes: time first or batch first, unbatched, packed."""
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("a PackedSequence has its own lengths; give lengths with a tensor only")
            x, lengths = pad_packed_sequence(input, batch_first=True)
            self._check_input(x)
            y, after = self._stack(x, self._states(states, x), lengths, generator)
            return _pack_like(y, lengths, input), after
        self._check_input(input)
        if input.dim() == 2:
            if lengths is not None:
                raise ValueError("lengths go with a batch; this input is unbatched, (T, I)")
            x = input.unsqueeze(0)
            y, after = self._stack(x, self._states(states, x, batched=False), None, generator)
            return y.squeeze(0), tuple(each.squeeze(1) for each in after)
        x = input if self.batch_first else input.transpose(0, 1)
        y, after = self._stack(x, self._states(states, x), lengths, generator)
        return y if self.batch_first else y.transpose(0, 1), after

    def _check_input(self, x: Tensor) -> None:
        if x.dim() not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "B, T" if self.batch_first else "T, B"
            raise ValueError(
                f"{type(self).__name__} takes input of shape ({axes}, {self.input_size}), or (T, {self.input_size}) "
                f"unbatched, not {tuple(x.shape)}"
            )
        self._check_dtype("input", x)

    def _check_dtype(self, name: str, tensor: Tensor) -> None:
        dtype = self._get("weight_ih", "_l0").dtype
        if tensor.dtype != dtype and not torch.is_autocast_enabled(tensor.device.type):
            raise ValueError(
                f"{name} is {tensor.dtype}, the weights are {dtype}; bring one to the other by .to()"
            )

    def _states(
        self, states: tuple[Tensor, ...] | None, x: Tensor, batched: bool = True
    ) -> tuple[Tensor, ...]:
        """The states (L·D, B, ·) before the first step of x (B, T, I): what was given, or zeros."""
        sizes = self._state_sizes()
        count, rows = self.num_layers * self._ways, x.shape[0]
        if states is None:
            return tuple(x.new_zeros(count, rows, size) for size in sizes.values())
        if not isinstance(states, tuple | list) or len(states) != len(sizes):
            raise TypeError(f"hx must be the tuple ({', '.join(sizes)}), not a {type(states).__name__}")
        for (name, size), state in zip(sizes.items(), states, strict=True):
            wanted = (count, rows, size) if batched else (count, size)
            if state.shape != wanted:
                raise ValueError(f"the state {name} must have shape {wanted}, not {tuple(state.shape)}")
            self._check_dtype(f"the state {name}", state)
        return tuple(states) if batched else tuple(each.unsqueeze(1) for each in states)

    def _stack(
        self,
        x: Tensor,
        states: tuple[Tensor, ...],
        lengths: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers over x (B, T, I): the outputs (B, T, D·R) and the last states (L·D, B, ·)."""
        after = []
        for layer in range(self.num_layers):
            x = x if layer == 0 else self._between(x, generator)
            directions = [
                self._direction(
                    x,
                    tuple(state[layer * self._ways + way] for state in states),
                    self._suffixes[layer * self._ways + way],
                    lengths,
                    way == 1,
                    self._masks(x, generator),
                )
                for way in range(self._ways)
            ]
            found = ops.layers(*directions)
            outputs = [y for y, *_ in found]
            after += [new for _, *new in found]
            # Side by side with time first, as the layers keep them and the next one takes them.
            ways = [y.transpose(0, 1) for y in outputs]
            x = torch.cat(ways, -1).transpose(0, 1) if self.bidirectional else outputs[0]
        if len(after) == 1:
            return x, tuple(each.unsqueeze(0) for each in after[0])
        return x, tuple(torch.stack(each) for each in zip(*after, strict=True))

    def _masks(self, x: Tensor, generator: torch.Generator | None) -> Masks | None:
        if not self.training:
            return None
        (h, c), recurrent = self._zoneout(), self.proj_size or self.hidden_size
        return draw(
            x.shape[0],
            x.shape[1],
            dropout=(self.recurrent_dropout, self.hidden_size),
            h=(h, recurrent),
            c=(c, self.hidden_size),
            like=x,
            generator=generator,
        )

    def _between(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Dropout of what a layer gives to the next, drawn time first, as torch.nn draws it on the CPU."""
        if not self.training or self.dropout == 0.0:
            return x
        if self.dropout == 1.0:
            return x * 0.0
        rows, steps, size = x.shape
        kept = keep_mask((steps, rows, size), 1 - self.dropout, x, generator).transpose(0, 1)
        return x * (kept / (1 - self.dropout))


def _check_options(
    input_size: int, hidden_size: int, num_layers: int, dropout: float, proj_size: int, **flags: bool
) -> None:
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, not {flag!r}")
    for name, size in {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
    }.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a whole number from 1 on, not {size!r}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size must be 0 or smaller than hidden_size, {hidden_size}, not {proj_size}")
    if not 0.0 <= dropout <= 1.0:
        raise ValueError(f"dropout must lie in 0 … 1, not {dropout}")
    if dropout > 0.0 and num_layers == 1:
        warnings.warn("dropout acts between layers, and there is only one", stacklevel=5)


def _pack_like(y: Tensor, lengths: Tensor, packed: PackedSequence) -> PackedSequence:
    """The outputs y (B, T, ·) in the order in which `packed` holds its rows."""
    order = packed.sorted_indices
    if order is not None:
        y, lengths = y.index_select(0, order), lengths.index_select(0, order.to(lengths.device))
    data = pack_padded_sequence(y, lengths, batch_first=True).data
    return PackedSequence(data, packed.batch_sizes, order, packed.unsorted_indices)
