"""The Gated DeltaNet's block."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from recurra.cells.gated_delta_net import GatedDeltaNet
from recurra.networks.blocks.common import Block, GatedMLP, Run, dense
from recurra.ops.dense.heads import units_of_a_head

__all__ = ["GatedDeltaNetBlock"]


class GatedDeltaNetBlock(Block):
    """A gated delta rule with a gate on what it reads, then a gated MLP, each normalized before and added.

        u = norm₁(x)        x' = x + W_o (norm_heads(GatedDeltaNet(u)) ⊙ silu(W_g u))
        y = x' + MLP(norm₂(x'))

    Yang et al. 2025 (arXiv 2412.06464), section 3.4 and figure 1, with the authors' sizes: root mean square norms, a
    convolution over 4 steps on q, k and v, values twice as long as keys, a gated SiLU MLP without biases. The state is
    `cells.GatedDeltaNet`'s, in a tuple of one.

    `heads` and `beta_max` are the recurrence's; `width` is how many units it has, unless told otherwise 1.5 `size`
    up to a multiple of `heads`; `kernel` the convolution's steps, 0 for none; `expansion` how many times wider than
    `size` the MLP is, rounded up. Raises ValueError where `heads` does not divide `width`.
    """

    def __init__(
        self,
        size: int,
        *,
        heads: int = 1,
        width: int | None = None,
        beta_max: float = 1.0,
        kernel: int = 4,
        expansion: float = 8 / 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(size)
        width = heads * math.ceil(1.5 * size / heads) if width is None else width
        units = units_of_a_head(width, heads)
        self.norm = nn.RMSNorm(size, eps=1e-6)
        self.recurrence = GatedDeltaNet(
            size,
            width,
            heads=heads,
            key_size=max(units // 2, 1),
            beta_max=beta_max,
            convolution=kernel,
            generator=generator,
        )
        self.head_norm = nn.RMSNorm(units, eps=1e-6)
        self.gate = dense(size, width, bias=False, generator=generator)
        self.leave = dense(width, size, bias=False, generator=generator)
        self.mlp_norm = nn.RMSNorm(size, eps=1e-6)
        self.mlp = GatedMLP(
            size, math.ceil(expansion * size), activation="silu", bias=False, generator=generator
        )

    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The equations above."""
        u = self.norm(x)
        o = run(self.recurrence, u)
        heads = o.reshape(*o.shape[:-1], self.recurrence.heads, self.recurrence.value_size)
        x = x + self.leave(self.head_norm(heads).flatten(-2) * silu(self.gate(u)))
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y
