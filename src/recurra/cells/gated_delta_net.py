"""The gated delta rule: a memory that corrects what it holds and forgets as a whole."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.cells._memory import draw_decay, gated_log_decay
from recurra.cells.delta_net import DeltaNet

__all__ = ["GatedDeltaNet"]


class GatedDeltaNet(DeltaNet):
    """The delta rule with Mamba's gate: at every step the memory also fades, all of it, in the share the input says.

        S_t = α_t S_{t-1} (I - β_t k_t k_tᵀ) + β_t v_t k_tᵀ        y_t = S_t q_t
        α = exp(-exp(rate) softplus(W_α x + bias))

    Yang et al. 2025 (arXiv 2412.06464), equation 10 and section 3.4, which also has the convolution over 4 steps;
    q, k, v, β, the options, the state and the output are `DeltaNet`'s. The norm of each head, the output gate and
    the output matrix are the block's (`networks.blocks.GatedDeltaNetBlock`).

    `weight` (2NK + H + 2N, I) stacks q, k, v, β, α; `rate` and `bias` (N,).
    """

    gates = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        key_size: int | None = None,
        beta_max: float = 1.0,
        convolution: int = 4,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            heads=heads,
            key_size=key_size,
            beta_max=beta_max,
            convolution=convolution,
            generator=generator,
        )
        self.rate = nn.Parameter(torch.empty(heads))
        self.bias = nn.Parameter(torch.empty(heads))
        draw_decay(self.rate, self.bias, generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As `DeltaNet`; exp(rate) from U(1, 16), softplus(bias) log-uniformly from 0.001 … 0.1."""
        super().reset_parameters(generator)
        draw_decay(self.rate, self.bias, generator)

    def log_decay(self, gates: Tensor) -> Tensor:
        """The log of α."""
        return gated_log_decay(gates[..., self.heads :], self.rate, self.bias).unsqueeze(-1)
