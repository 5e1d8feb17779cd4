"""Attention without a softmax, and retention: the plainest memories."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, linear

from recurra.cell import MemoryCell, Terms

__all__ = ["LinearAttention"]

_EPS = 1e-6  # added to the normalizer, as the authors' fast-transformers does


class LinearAttention(MemoryCell):
    """Attention whose weights are products of features, so that a matrix holds all of the past.

        S_t = S_{t-1} + v_t φ(k_t)ᵀ      n_t = n_{t-1} + φ(k_t)      y_t = S_t φ(q_t) / (n_t · φ(q_t))      φ = elu + 1

    For each of N heads: Katharopoulos et al. 2020 (arXiv 2006.16236), equations 16–20 and 7; n is one more row of S.
    With `decay` "retention" it forgets instead of normalizing, each head n at a pace of its own:

        S_t = γ_n S_{t-1} + v_t k_tᵀ     y_t = S_t q_t / √K      γ_n = 1 - 2^(-5-n), n = 0 … N-1

    Sun et al. 2023 (RetNet, arXiv 2307.08621), equations 6 and 8, without the rotation by position; the norm of
    each head and the gate are the block's.

    `heads` is N, K = H/N; `weight` (3H, I) stacks q, k, v. The state is S (B, N, V, K) with V = K + 1, or K for
    retention; the output (B, H) the heads one after another. Raises ValueError where `heads` does not divide H.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        decay: Literal["retention"] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads)
        if decay not in (None, "retention"):
            raise ValueError(f"decay must be None or 'retention', not {decay!r}")
        self.retention = decay == "retention"
        self.value_size = self.key_size if self.retention else self.key_size + 1
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights from U(-1/√I, 1/√I)."""
        bound = self.input_size**-0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)

    def project(self, x: Tensor) -> Tensor:
        """q, k and v."""
        return linear(x, self.weight)

    def terms(self, z: Tensor) -> Terms:
        """φ(q), φ(k) and v with a 1 for the normalizer; for retention all as they are, and log γ."""
        q, k, v = torch.unflatten(z, -1, (3, self.heads, -1)).unbind(-3)
        one = torch.ones_like(v[..., :1])
        if not self.retention:
            return Terms(elu(q) + 1, elu(k) + 1, torch.cat([v, one], -1), torch.zeros_like(one))
        head = torch.arange(self.heads, device=z.device, dtype=z.dtype).unsqueeze(-1)
        return Terms(q * self.key_size**-0.5, k, v, torch.log1p(-torch.exp2(-5 - head)) * one)

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """What was read, divided by the normalizer if there is one, head after head."""
        return (o if self.retention else o[..., :-1] / (o[..., -1:] + _EPS)).flatten(-2)
