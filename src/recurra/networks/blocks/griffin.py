"""Griffin's residual block with a recurrence in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from recurra.cells.rg_lru import RGLRU
from recurra.networks.blocks.common import Block, GatedMLP, Run, ShortConvolution, dense

__all__ = ["GriffinBlock"]


class GriffinBlock(Block):
    """A gated linear recurrence, then a gated MLP, each normalized before and added to what came in.

        u = norm₁(x)        r = RG-LRU(conv(W_r u))       x' = x + W_o (gelu(W_g u) ⊙ r)
        y = x' + MLP(norm₂(x'))

    De et al. 2024 (arXiv 2402.19427), sections 2.1–2.3 and figure 2: root mean square norms, a convolution over
    4 steps, a gated GeLU MLP 3 times as wide. The state is the pair of the convolution's and the RG-LRU's.

    `width` is the recurrence's, `size` unless told otherwise; `heads` its gates' diagonal blocks; `kernel` the
    convolution's steps; `expansion` how many times wider than `size` the MLP is.
    """

    def __init__(
        self,
        size: int,
        *,
        width: int | None = None,
        heads: int = 1,
        kernel: int = 4,
        expansion: int = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(size)
        width = size if width is None else width
        self.norm = nn.RMSNorm(size, eps=1e-6)
        self.gate = dense(size, width, generator=generator)
        self.enter = dense(size, width, generator=generator)
        self.convolution = ShortConvolution(width, kernel, generator=generator)
        self.recurrence = RGLRU(width, width, heads=heads, generator=generator)
        self.leave = dense(width, size, generator=generator)
        self.mlp_norm = nn.RMSNorm(size, eps=1e-6)
        self.mlp = GatedMLP(size, expansion * size, generator=generator)

    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The equations above."""
        u = self.norm(x)
        r = run(self.recurrence, run(self.convolution, self.enter(u)))
        x = x + self.leave(gelu(self.gate(u)) * r)
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y
