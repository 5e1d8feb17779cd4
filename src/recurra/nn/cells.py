"""Drop-ins for torch.nn.RNNCell, LSTMCell and GRUCell: one step, the parameters as torch has them.

Legend: B rows, I inputs, H units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.nn.weights import Matrices, gru_weights, lstm_weights, reset, rnn_weights
from recurra.ops.dense.reference import enter, gru_step, lstm_step, rnn_step

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Step(nn.Module):
    """The parameters of one step, and the shapes that it takes."""

    blocks: int  # of H units, of which the gates consist
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = self.blocks * hidden_size
        for name, shape in (
            ("weight_ih", (gates, input_size)),
            ("weight_hh", (gates, hidden_size)),
            ("bias_ih", (gates,) if bias else None),
            ("bias_hh", (gates,) if bias else None),
        ):
            made = None if shape is None else nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, made)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the parameters as torch.nn does: U(-1/√H, 1/√H), the same numbers from the same seed."""
        reset(self, self.hidden_size, generator)

    def extra_repr(self) -> str:
        """The options that are not the defaults."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    def _matrices(self) -> Matrices:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _states(self, input: Tensor, states: tuple[Tensor, ...] | None, count: int) -> tuple[Tensor, ...]:
        """What was given, of shape (B, H) or (H,) as the input is, or zeros; ValueError for misfits."""
        if input.dim() not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes input of shape (B, {self.input_size}) or ({self.input_size},), "
                f"not {tuple(input.shape)}"
            )
        wanted = (*input.shape[:-1], self.hidden_size)
        if states is None:
            return (input.new_zeros(wanted),) * count
        if len(states) != count:
            raise ValueError(f"the state has {count} tensors, not {len(states)}")
        for state in states:
            if state.shape != wanted:
                raise ValueError(f"the state must have shape {wanted}, not {tuple(state.shape)}")
        return states


class RNNCell(_Step):
    """One step of an Elman network in torch.nn.RNNCell's place: h' = φ(W_ih x + b_ih + W_hh h + b_hh).

    φ is tanh or relu; `generator` draws the parameters. Raises ValueError for another nonlinearity.
    """

    blocks = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """From input (B, I) and h (B, H), zeros if None, the new h; or both without B. ValueError for misfits."""
        (h,) = self._states(input, None if hx is None else (hx,), 1)
        weights = rnn_weights(*self._matrices())
        return rnn_step(enter(input, weights), h, weights, self.nonlinearity)

    def extra_repr(self) -> str:
        """The options that are not the defaults."""
        other = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + other


class GRUCell(_Step):
    """One step of a GRU in torch.nn.GRUCell's place; the equations are `GRU`'s.

    `generator` draws the parameters.
    """

    blocks = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """From input (B, I) and h (B, H), zeros if None, the new h; or both without B. ValueError for misfits."""
        (h,) = self._states(input, None if hx is None else (hx,), 1)
        weights = gru_weights(*self._matrices())
        return gru_step(enter(input, weights), h, weights)


class LSTMCell(_Step):
    """One step of an LSTM in torch.nn.LSTMCell's place; the equations are `LSTM`'s.

    `generator` draws the parameters.
    """

    blocks = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """From input (B, I), h and c (B, H), zeros if None, the new h and c; or without B. ValueError for misfits."""
        h, c = self._states(input, hx, 2)
        weights = lstm_weights(*self._matrices())
        return lstm_step(enter(input, weights), h, c, weights)
