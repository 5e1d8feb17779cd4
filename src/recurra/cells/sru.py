"""The simple recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from recurra import ops
from recurra.cell import GatedCell

__all__ = ["SRU"]


class SRU(GatedCell):
    """The simple recurrent unit in its first form: no gate sees c, and a highway leads the input past it.

        x̃ = W x                 f = σ(W_f x + b_f)      r = σ(W_r x + b_r)
        c' = f ⊙ c + (1 - f) ⊙ x̃
        h = r ⊙ tanh(c') + (1 - r) ⊙ x

    Lei & Zhang 2017 (arXiv 1709.02755v1), section 2; where I is not H, a fourth matrix times x takes the place
    of x in the last line. The state is c (B, H).

    `weight` (3H, I), or (4H, I) with the fourth matrix, stacks x̃, f, r; `bias` (2H,) is that of f and r.
    """

    gates = "sru"

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
        """x̃, f and r before their sigmoids, and what the highway leads."""
        units = self.output_size
        mapped = len(self.weight) == 4 * units
        p = ops.linear(x, self.weight, pad(self.bias, (units, units if mapped else 0)))
        return p if mapped else torch.cat([p, x], -1)
