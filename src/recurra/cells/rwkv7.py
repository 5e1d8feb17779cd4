"""The time mix of RWKV-7, "Goose"."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from recurra.cell import MemoryCell, Terms
from recurra.cells._memory import unit

__all__ = ["RWKV7", "LowRank", "fitting_rank"]

_DECAY = -math.exp(-0.5)  # log w = _DECAY σ(d): a channel keeps at least 0.545 of itself
_EPS = 1e-5  # of the norm, for each channel of a head


class LowRank(nn.Module):
    """A matrix of low rank, perhaps with something between its halves: bias + up · f(down · x)."""

    bias: nn.Parameter | None

    def __init__(
        self,
        inputs: int,
        rank: int,
        outputs: int,
        between: Callable[[Tensor], Tensor] | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.between = between
        self.down = nn.Parameter(torch.empty(rank, inputs))
        self.up = nn.Parameter(torch.empty(outputs, rank))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Zeros below, an orthogonal matrix times a tenth above, more where it is wide; no bias."""
        outputs, rank = self.up.shape
        nn.init.zeros_(self.down)
        nn.init.orthogonal_(self.up, gain=0.1 * max(1.0, rank / outputs) ** 0.5, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) -> (…, O)."""
        h = linear(x, self.down)
        return linear(h if self.between is None else self.between(h), self.up, self.bias)


class RWKV7(MemoryCell):
    """A memory in which every channel fades at a pace of its own and a key is taken out before it is written anew.

        x^j_t = x_t + μ_j ⊙ (x_{t-1} - x_t), j = r, w, k, v, a, g
        r = W_r x^r      κ = W_k x^k      v = W_v x^v      a = σ(LoRA_a(x^a))      g = LoRA_g(x^g)
        log w = -e^{-1/2} σ(LoRA_w(x^w))      κ̂ = unit(κ ⊙ k_k)      k = κ ⊙ (1 + (a - 1) ⊙ k_a)
        S_t = S_{t-1} (diag(w_t) - κ̂_t (a_t ⊙ κ̂_t)ᵀ) + v_t k_tᵀ
        y_t = W_o (g_t ⊙ (norm(S_t r_t) + (r_t · (r_k ⊙ k_t)) v_t))

    Peng et al. 2025 (arXiv 2503.14456), section 4.1, for N heads; norm is each head's by itself. A layer above
    the first mixes the first layer's v into its own: `networks.blocks.RWKV7Block`.

    `heads` is N; `ranks` those of the LoRAs of w, a and g, as multiples of 4 about 1.8 √H, 1.8 √H and 0.6 H^0.8
    unless told otherwise; `depth`, 0 … 1 exclusive, is the layer's number over the count of layers and changes
    the initial values only. `shift` (6, I) is μ in the order above; `receptance`, `key`,
    `value` (H, I) and `output` (H, H) are the matrices, `decay`, `rate`, `gate` the LoRAs of w, a, g; `k_k`, `k_a`
    (H,), `r_k` (N, H/N); `norm_weight`, `norm_bias` (H,). The state is the last input (B, 1, I) and S
    (B, N, H/N, H/N). Raises ValueError where `heads` does not divide H.
    """

    window = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        ranks: tuple[int, int, int] | None = None,
        depth: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, heads)
        self.projected_size, self.depth = input_size, depth
        wished = 1.8 * hidden_size**0.5, 1.8 * hidden_size**0.5, 0.6 * hidden_size**0.8
        decay, rate, gate = (fitting_rank(each) for each in wished) if ranks is None else ranks
        self.shift = nn.Parameter(torch.empty(6, input_size))
        self.receptance, self.key, self.value = (
            nn.Parameter(torch.empty(hidden_size, input_size)) for _ in range(3)
        )
        self.output = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.decay = LowRank(input_size, decay, hidden_size, torch.tanh)
        self.rate = LowRank(input_size, rate, hidden_size)
        self.gate = LowRank(input_size, gate, hidden_size, torch.sigmoid, bias=False)
        self.k_k, self.k_a, self.norm_weight, self.norm_bias = (
            nn.Parameter(torch.empty(hidden_size)) for _ in range(4)
        )
        self.r_k = nn.Parameter(torch.empty(heads, self.key_size))
        RWKV7.reset_parameters(self, generator)  # not a subclass's, whose parameters come later

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As RWKV-LM's training code, but for the output matrix, which starts at zero there.

        Uniform matrices up to 0.5/√I, a tenth of that for the keys; decays and shifts spread along the
        channels, from long memories to short ones.
        """
        bound = 0.5 * self.shift.shape[1] ** -0.5
        for weight, scale in ((self.receptance, 1.0), (self.key, 0.1), (self.value, 1.0)):
            nn.init.uniform_(weight, -bound * scale, bound * scale, generator=generator)
        bound = 0.5 * self.k_k.numel() ** -0.5
        nn.init.uniform_(self.output, -bound, bound, generator=generator)
        for part in (self.decay, self.rate, self.gate):
            part.reset_parameters(generator)
        along = torch.arange(self.k_k.numel()) / max(self.k_k.numel() - 1, 1)
        within = torch.linspace(-1.0, 1.0, self.key_size).repeat(self.heads)
        within = within * within.abs()
        powers = torch.tensor([0.2, 0.9, 0.7, 0.7, 0.9, 0.2]).unsqueeze(1) * (1 - self.depth)
        with torch.no_grad():
            self.shift.copy_(1 - (torch.arange(self.shift.shape[1]) / self.shift.shape[1]) ** powers)
            if self.decay.bias is not None and self.rate.bias is not None:
                self.decay.bias.copy_(6 * along ** (1 + self.depth**0.3) - 5.5 + 2.5 * within)
                self.rate.bias.copy_(0.4 * (along - 0.5) - 0.19 + 0.3 * within)
            self.k_k.copy_(0.71 - 0.1 * (along - 0.5))
            self.k_a.fill_(1.02)
            self.r_k.fill_(-0.04)
            self.norm_weight.fill_(1.0)
            self.norm_bias.fill_(0.0)

    def mix(self, p: Tensor) -> Tensor:
        """The six shifted inputs through their matrices: r, w, κ, v, a and g, those of w and a before their σ."""
        r, w, k, v, a, g = (self.shifted(p, j) for j in range(6))
        return torch.cat(
            [
                linear(r, self.receptance),
                self.decay(w),
                linear(k, self.key),
                linear(v, self.value),
                self.rate(a),
                self.gate(g),
            ],
            -1,
        )

    def shifted(self, p: Tensor, j: int) -> Tensor:
        """x^j (B, T, I) from the inputs and the one before them (B, 1 + T, I)."""
        return torch.lerp(p[:, 1:], p[:, :-1], self.shift[j])

    def terms(self, z: Tensor) -> Terms:
        """κ̂ taken out, k and v written, r reading."""
        r, w, key, v, rate, _ = self._parts(z)
        out = unit(key * self.k_k.view_as(self.r_k), 1e-12)
        return Terms(r, self._written(key, rate), v, _DECAY * w.sigmoid(), -out, out * rate.sigmoid())

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """What was read, normalized, with the present value beside it, gated, through the output matrix."""
        r, _, key, v, rate, gate = self._parts(z)
        o = layer_norm(o, o.shape[-1:], eps=_EPS * self.key_size).flatten(-2)
        present = (r * self._written(key, rate) * self.r_k).sum(-1, keepdim=True) * v
        y = o * self.norm_weight + self.norm_bias + present.flatten(-2)
        return linear(y * gate.flatten(-2), self.output)

    def _written(self, key: Tensor, rate: Tensor) -> Tensor:
        """k, the key that is written."""
        return key * (1 + (rate.sigmoid() - 1) * self.k_a.view_as(self.r_k))

    def _parts(self, z: Tensor) -> tuple[Tensor, ...]:
        return torch.unflatten(z, -1, (6, self.heads, -1)).unbind(-3)


def fitting_rank(wished: float) -> int:
    """The multiple of 4 nearest to `wished`, at least 4."""
    return max(4, 4 * round(wished / 4))
