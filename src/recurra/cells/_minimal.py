"""What minGRU and minLSTM share: one matrix over the input, and an average as the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cell import GatedCell

__all__ = ["MinimalCell"]


class MinimalCell(GatedCell):
    """A cell of Feng et al. 2024 (arXiv 2410.01201): gates and candidate are `blocks` of H, linear in the input.

    The state, and the output, is h (B, H). A subclass sets `gates` and `blocks`.
    """

    blocks: int

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.weight = nn.Parameter(torch.empty(self.blocks * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(self.blocks * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√I, 1/√I)."""
        bound = self.input_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def project(self, x: Tensor) -> Tensor:
        """The gates before their sigmoids, and the candidate."""
        return ops.linear(x, self.weight, self.bias)
