"""The simple recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.cell import LinearCell

__all__ = ["SRU"]


class SRU(LinearCell):
    """The simple recurrent unit in its first form: no gate sees c, and a highway leads the input past it.

        x̃ = W x                 f = σ(W_f x + b_f)      r = σ(W_r x + b_r)
        c' = f ⊙ c + (1 - f) ⊙ x̃
        h = r ⊙ tanh(c') + (1 - r) ⊙ x

    Lei & Zhang 2017 (arXiv 1709.02755v1), section 2; where I is not H, a fourth matrix times x takes the place
    of x in the last line. The state is c (B, H).

    `weight` (3H, I), or (4H, I) with the fourth matrix, stacks x̃, f, r; `bias` (2H,) is that of f and r.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        matrices = 3 if input_size == hidden_size else 4
        self.weight = nn.Parameter(torch.empty(matrices * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the matrices from U(-√(3/I), √(3/I)), whose variance is 1/I; the biases are 0."""
        bound = (3 / self.input_size) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)

    def project(self, x: Tensor) -> Tensor:
        """x̃, f and r before their sigmoids and biases, and what the highway leads."""
        p = linear(x, self.weight)
        return torch.cat([p, x], -1) if self.input_size == self.output_size else p

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The share of c that stays, and what comes in."""
        candidate, forget, _, _ = z.chunk(4, -1)
        forget = forget + self.bias[: self.output_size]
        return forget.sigmoid(), (-forget).sigmoid() * candidate

    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The state, squashed, and the highway."""
        _, _, reset, highway = z.chunk(4, -1)
        r = (reset + self.bias[self.output_size :]).sigmoid()
        return torch.lerp(highway, h.tanh(), r)
