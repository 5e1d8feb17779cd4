"""The minimal long short-term memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from recurra.cell import LinearCell

__all__ = ["MinLSTM"]


class MinLSTM(LinearCell):
    """A long short-term memory whose gates no longer see the state and always add up to one.

        f = σ(W_f x + b_f)      i = σ(W_i x + b_i)      h̃ = W_h x + b_h
        h' = f / (f + i) ⊙ h + i / (f + i) ⊙ h̃

    Feng et al. 2024 (arXiv 2410.01201), section 3.2, in its plain form; their log-space form keeps h̃ positive.
    The state, and the output, is h (B, H). `weight` (3H, I) and `bias` (3H,) stack f, i and h̃.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√I, 1/√I)."""
        bound = self.input_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def project(self, x: Tensor) -> Tensor:
        """The two gates before their sigmoids, and the candidate."""
        return linear(x, self.weight, self.bias)

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The share of h that stays, and what comes in."""
        forget, entrance, candidate = z.chunk(3, -1)
        # f / (f + i) = σ(log f - log i), which holds where both underflow.
        ratio = logsigmoid(forget) - logsigmoid(entrance)
        return ratio.sigmoid(), (-ratio).sigmoid() * candidate

    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The state itself."""
        return h
