"""The long short-term memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra import ops
from recurra.cell import Cell
from recurra.ops.dense.reference import lstm_step

__all__ = ["LSTM", "LSTMState"]


class LSTMState(NamedTuple):
    """The output h and the memory c, both (B, H)."""

    h: Tensor
    c: Tensor


class LSTM(Cell):
    """Long short-term memory without peepholes.

        i = σ(W_i x + U_i h + b_i)      f = σ(W_f x + U_f h + b_f)
        g = tanh(W_g x + U_g h + b_g)   o = σ(W_o x + U_o h + b_o)
        c' = f ⊙ c + i ⊙ g              h' = o ⊙ tanh(c')

    Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000: Graves 2013 (arXiv 1308.0850),
    equations 7–11, without the peephole terms. The forget gate's bias starts at 1 (Jozefowicz et al. 2015).

    `weight_ih` (4H, I), `weight_hh` (4H, H), `bias` (4H,) stack the gates as torch does (i, f, g, o); its two
    biases count as their sum.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√H, 1/√H); the forget gate's bias is 1."""
        bound = self.output_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        with torch.no_grad():
            self.bias[self.output_size : 2 * self.output_size] = 1.0

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> LSTMState:
        """Zeros."""
        zeros = torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)
        return LSTMState(zeros, zeros.clone())

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the four gates."""
        return linear(x, self.weight_ih, self.bias)

    def recur(self, z: Tensor, state: LSTMState, noise: Any = None) -> tuple[Tensor, LSTMState]:
        """One step of the equations above."""
        h, c = lstm_step(z, *state, self.weight_hh)
        return h, LSTMState(h, c)

    def sequence(
        self, x: Tensor, state: LSTMState, lengths: Tensor | None = None, noise: Any = None
    ) -> tuple[Tensor, LSTMState]:
        """All steps through `ops.lstm`."""
        self._check(x, state, ("B", "T"))
        y, h, c = ops.lstm(x, *state, self.weight_ih, self.weight_hh, self.bias, lengths)
        return y, LSTMState(h, c)
