"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra import ops
from recurra.cell import Cell
from recurra.ops.dense.reference import gru_step

__all__ = ["GRU"]


class GRU(Cell):
    """Gated recurrent unit, the reset gate acting after the matrix product as in torch and cuDNN.

        r = σ(W_r x + U_r h + b_r)      z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + r ⊙ (U_n h + b_hn))
        h' = (1 - z) ⊙ n + z ⊙ h

    Cho et al. 2014 (arXiv 1406.1078), equations 5–8; there r multiplies h before U_n. The state is h (B, H).

    `weight_ih` (3H, I), `weight_hh` (3H, H), `bias` (3H,) stack the gates as torch does (r, z, n); its two
    biases count as their sum, but for `bias_hn` (H,), the recurrent bias of n.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.bias_hn = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√H, 1/√H)."""
        bound = self.output_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zeros."""
        return torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the three gates."""
        return linear(x, self.weight_ih, self.bias)

    def recur(self, z: Tensor, state: Tensor, noise: Any = None) -> tuple[Tensor, Tensor]:
        """One step of the equations above."""
        h = gru_step(z, state, self.weight_hh, self.bias_hn)
        return h, h

    def sequence(
        self, x: Tensor, state: Tensor, lengths: Tensor | None = None, noise: Any = None
    ) -> tuple[Tensor, Tensor]:
        """All steps through `ops.gru`."""
        self._check(x, state, ("B", "T"))
        return ops.gru(x, state, self.weight_ih, self.weight_hh, self.bias, self.bias_hn, lengths)
