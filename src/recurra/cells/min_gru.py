"""The minimal gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.cell import LinearCell

__all__ = ["MinGRU"]


class MinGRU(LinearCell):
    """A gated recurrent unit whose gate and candidate no longer see the state.

        z = σ(W_z x + b_z)      h̃ = W_h x + b_h
        h' = (1 - z) ⊙ h + z ⊙ h̃

    Feng et al. 2024 (arXiv 2410.01201), section 3.1, in its plain form; their log-space form keeps h̃ positive.
    The state, and the output, is h (B, H). `weight` (2H, I) and `bias` (2H,) stack z and h̃.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.weight = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√I, 1/√I)."""
        bound = self.input_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def project(self, x: Tensor) -> Tensor:
        """The gate before its sigmoid, and the candidate."""
        return linear(x, self.weight, self.bias)

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The share of h that stays, and what comes in."""
        gate, candidate = z.chunk(2, -1)
        return (-gate).sigmoid(), gate.sigmoid() * candidate

    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The state itself."""
        return h
