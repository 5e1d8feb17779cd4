"""The real-gated linear recurrent unit of Griffin and Hawk."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recurra import ops
from recurra.cell import GatedCell
from recurra.ops.dense.heads import headwise, units_of_a_head

__all__ = ["RGLRU"]

_C = 8.0  # how far the recurrence gate reaches: a = σ(Λ) ** (_C r)


class RGLRU(GatedCell):
    """A linear recurrence whose decay and input are gated by the input, and whose scale stays the same.

        r = σ(W_r u + b_r)      i = σ(W_i u + b_i)
        a = σ(Λ)^(8 r)          h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ u)

    De et al. 2024 (arXiv 2402.19427), equations 1–4. u is the input x; where I is not H, u = W x + b. The
    state, and the output, is h (B, H).

    `weight_gates` (2, heads, H/heads, H/heads) and `bias_gates` (2, H) hold r, then i, each matrix of `heads`
    diagonal blocks; `decay` (H,) is Λ; `weight` (H, I) and `bias` (H,) are there where I is not H.
    Raises ValueError where `heads` does not divide H.
    """

    gates = "rg_lru"
    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        mapped = input_size != hidden_size
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size)) if mapped else None
        self.bias = nn.Parameter(torch.empty(hidden_size)) if mapped else None
        block = units_of_a_head(hidden_size, heads)
        self.weight_gates = nn.Parameter(torch.empty(2, heads, block, block))
        self.bias_gates = nn.Parameter(torch.empty(2, hidden_size))
        self.decay = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw matrices from N(0, 1/inputs) and σ(Λ)^8 from U(0.9, 0.999), section 2.4; biases are 0."""
        for weight in (self.weight, self.weight_gates):
            if weight is not None:
                nn.init.normal_(weight, std=weight.shape[-1] ** -0.5, generator=generator)
        for bias in (self.bias, self.bias_gates):
            if bias is not None:
                nn.init.zeros_(bias)
        with torch.no_grad():
            log_a = nn.init.uniform_(self.decay, 0.9, 0.999, generator=generator).log() / _C
            self.decay.copy_(log_a - (-torch.expm1(log_a)).log())

    def project(self, x: Tensor) -> Tensor:
        """The input u and the two gates before their sigmoids."""
        u = x if self.weight is None else ops.linear(x, self.weight, self.bias)
        gates = headwise(u, self.weight_gates) + self.bias_gates
        return torch.cat([u, gates.flatten(-2)], -1)

    def shared(self) -> Tensor:
        """The logarithm of a where the recurrence gate is wide open."""
        return _C * logsigmoid(self.decay)
