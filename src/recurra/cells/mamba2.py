"""Mamba-2's selective state space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu, softplus

from recurra.cell import MemoryCell, Terms
from recurra.cells._memory import draw_decay, draw_taps, gated_log_decay
from recurra.ops.convolution import causal_convolution

__all__ = ["Mamba2"]


class Mamba2(MemoryCell):
    """A linear system whose step size Δ, and whose ways in (B) and out (C), the input chooses.

        S_t = exp(-Δ_t exp(rate)) S_{t-1} + Δ_t u_t B_tᵀ        y_t = S_t C_t + D u_t
        u, B, C = SiLU(convolution(W x))        Δ = softplus(W_Δ x + bias)

    For each of N heads, B and C shared by all: Dao & Gu 2024 (SSD, arXiv 2405.21060), sections 2 and 7.1, with
    A = -exp(rate). The gate z, the norm and the output matrix are a block's.

    `heads` is N; `state_size` is K, how long B and C are, H/N unless told otherwise (64 … 256 in their language
    models); `convolution` is how many steps the causal convolution sees, 0 for none. `weight` (H + 2K + N, I)
    stacks u, B, C, Δ; `taps` (convolution, H + 2K), the present step first, and `taps_bias` (H + 2K,); `rate`,
    `bias` and `skip`, which is D, (N,). The state is S (B, N, H/N, K), the output (B, H) the heads one after
    another.
    Raises ValueError where `heads` does not divide H or an option is out of range.
    """

    taps: nn.Parameter | None
    taps_bias: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        state_size: int | None = None,
        convolution: int = 4,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads)
        state_size = self.key_size if state_size is None else state_size
        if state_size < 1 or convolution < 0:
            raise ValueError(
                f"state_size must be 1 or more and convolution 0 or more, not {state_size}, {convolution}"
            )
        self.key_size, self.window = state_size, max(convolution - 1, 0)
        mixed = hidden_size + 2 * state_size
        self.projected_size = mixed + heads
        self.weight = nn.Parameter(torch.empty(self.projected_size, input_size))
        self.taps = nn.Parameter(torch.empty(convolution, mixed)) if convolution else None
        self.taps_bias = nn.Parameter(torch.empty(mixed)) if convolution else None
        self.rate, self.bias, self.skip = (nn.Parameter(torch.empty(heads)) for _ in range(3))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As the authors' code: weights from U(-1/√I, 1/√I), taps from U(-1/√kernel, 1/√kernel), D = 1.

        exp(rate) is drawn from U(1, 16), softplus(bias) log-uniformly from 0.001 … 0.1.
        """
        bound = self.input_size**-0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        if self.taps is not None and self.taps_bias is not None:
            draw_taps(self.taps, generator)
            nn.init.zeros_(self.taps_bias)
        draw_decay(self.rate, self.bias, generator)
        nn.init.ones_(self.skip)

    def project(self, x: Tensor) -> Tensor:
        """u, B, C and Δ, all before their activations."""
        return linear(x, self.weight)

    def mix(self, p: Tensor) -> Tensor:
        """The convolution over u, B and C, if there is one, and their SiLU."""
        mixed, step = p.tensor_split([self.projected_size - self.heads], -1)
        mixed = mixed if self.taps is None else causal_convolution(mixed, self.taps, self.taps_bias)
        return torch.cat([silu(mixed), step[:, self.window :]], -1)

    def terms(self, z: Tensor) -> Terms:
        """C reads, B is the key and Δ u the value of every head."""
        u, keys, step = torch.split(z, [self.output_size, 2 * self.key_size, self.heads], -1)
        k, q = (x.unsqueeze(-2).expand(*step.shape, -1) for x in keys.chunk(2, -1))
        v = torch.unflatten(u, -1, (self.heads, -1)) * softplus(step + self.bias).unsqueeze(-1)
        return Terms(q, k, v, gated_log_decay(step, self.rate, self.bias).unsqueeze(-1))

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """What was read, and D u beside it, head after head."""
        u = torch.unflatten(z[..., : self.output_size], -1, (self.heads, -1))
        return (o + self.skip.unsqueeze(-1) * u).flatten(-2)
