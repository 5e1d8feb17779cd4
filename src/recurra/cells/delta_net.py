"""The delta rule: a memory that corrects what it holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from recurra.cell import MemoryCell, Terms
from recurra.cells._memory import draw_taps, unit
from recurra.ops.convolution import causal_convolution

__all__ = ["DeltaNet"]


class DeltaNet(MemoryCell):
    """A memory that, before it writes a value under a key, takes out what it held there, in the share β.

        S_t = S_{t-1} (I - β_t k_t k_tᵀ) + β_t v_t k_tᵀ        y_t = S_t q_t
        q = unit(SiLU(W_q x)) / √K      k = unit(SiLU(W_k x))      v = SiLU(W_v x)      β = β_max σ(W_β x)

    For each of N heads: Schlag et al. 2021 (arXiv 2102.11174), equations 19–24, with the activations and norms of Yang
    et al. 2024 (arXiv 2406.06484), section 2.2 and the authors' code. With `beta_max` 2 the transition has
    eigenvalues from -1, so that the memory can flip signs and count modulo two: Grazzi et al. 2024 (arXiv
    2411.12537), section 4.

    `heads` is N; `key_size` is K, H/N unless told otherwise; `convolution` > 0 puts a causal convolution over so many
    steps before each SiLU, as the later papers do. `weight` (2NK + H + N, I) stacks q, k, v, β; `taps` (convolution,
    2NK + H), the present step first. The state is S (B, N, H/N, K), the output (B, H) the heads one after another.
    Raises ValueError where `heads` does not divide H or an option is out of range.
    """

    taps: nn.Parameter | None
    gates = 1  # gates for each head beside q, k and v

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        key_size: int | None = None,
        beta_max: float = 1.0,
        convolution: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads)
        if not 0.0 < beta_max <= 2.0:
            raise ValueError(f"beta_max must lie in 0 … 2, above 0, not {beta_max}: beyond, S would explode")
        if convolution < 0 or (key_size is not None and key_size < 1):
            raise ValueError(
                f"convolution must be 0 or more and key_size 1 or more, not {convolution}, {key_size}"
            )
        self.key_size = self.key_size if key_size is None else key_size
        self.beta_max, self.window = beta_max, max(convolution - 1, 0)
        self.sizes = [heads * self.key_size, heads * self.key_size, hidden_size]
        self.projected_size = sum(self.sizes) + self.gates * heads
        self.weight = nn.Parameter(torch.empty(self.projected_size, input_size))
        self.taps = nn.Parameter(torch.empty(convolution, sum(self.sizes))) if convolution else None
        DeltaNet.reset_parameters(self, generator)  # not a subclass's, whose parameters come later

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights from U(-1/√I, 1/√I) and the taps from U(-1/√kernel, 1/√kernel)."""
        bound = self.input_size**-0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        if self.taps is not None:
            draw_taps(self.taps, generator)

    def project(self, x: Tensor) -> Tensor:
        """q, k, v and the gates, all before their activations."""
        return linear(x, self.weight)

    def mix(self, p: Tensor) -> Tensor:
        """The convolution over q, k and v, if there is one, and their SiLU."""
        qkv, gates = p.tensor_split([sum(self.sizes)], -1)
        qkv = qkv if self.taps is None else causal_convolution(qkv, self.taps)
        return torch.cat([silu(qkv), gates[:, self.window :]], -1)

    def terms(self, z: Tensor) -> Terms:
        """The delta rule as the memory's terms: a = k, b = -β k, v scaled by β."""
        q, k, v, gates = torch.split(z, [*self.sizes, self.gates * self.heads], -1)
        q, k, v = (torch.unflatten(x, -1, (self.heads, -1)) for x in (q, k, v))
        k = unit(k)
        beta = self.beta_max * gates[..., : self.heads, None].sigmoid()
        log_w = self.log_decay(gates)
        return Terms(unit(q) * self.key_size**-0.5, k, beta * v, log_w, k, -beta * log_w.exp() * k)

    def log_decay(self, gates: Tensor) -> Tensor:
        """The log of what stays of S at each step, (…, N, 1), from the gates (…, N): all of it."""
        return torch.zeros_like(gates[..., : self.heads, None])

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """What was read, head after head."""
        return o.flatten(-2)
