"""xLSTM's block around an sLSTM."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from recurra.cells.slstm import SLSTM
from recurra.networks.blocks.common import Block, GatedMLP, HeadNorm, Run, ShortConvolution
from recurra.ops.dense.heads import headwise, units_of_a_head

__all__ = ["SLSTMBlock"]


class SLSTMBlock(Block):
    """An sLSTM, then a gated MLP, each normalized before and added to what came in.

        u = norm₁(x)        s = silu(conv(u))
        x' = x + norm_heads(sLSTM(W_i s, W_f s, W_z u, W_o u))
        y = x' + MLP(norm₂(x'))

    Beck et al. 2024 (arXiv 2405.04517), section 2.4 and appendix A.3.1, figure 10: layer norms without bias, the
    matrices W of a block for each head, a gated GeLU MLP without biases. The state is the pair of the convolution's
    and the sLSTM's.

    `heads` is 4 unless told otherwise, 2 or 1 where 4 does not divide `size`; `kernel` is the convolution's steps,
    0 for none, s then being u; `expansion` how many times wider than `size` the MLP is, rounded up.
    `weight_gates` (4, heads, size/heads, size/heads) stacks W_i, W_f, W_z, W_o. Raises ValueError where `heads` does
    not divide `size`.
    """

    def __init__(
        self,
        size: int,
        *,
        heads: int | None = None,
        kernel: int = 4,
        expansion: float = 4 / 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(size)
        heads = math.gcd(size, 4) if heads is None else heads
        units = units_of_a_head(size, heads)
        self.norm = nn.LayerNorm(size, bias=False)
        self.convolution = ShortConvolution(size, kernel, generator=generator) if kernel else None
        self.weight_gates = nn.Parameter(torch.empty(4, heads, units, units))
        nn.init.normal_(self.weight_gates, std=(2 / (5 * size)) ** 0.5, generator=generator)
        self.recurrence = SLSTM(4 * size, size, heads=heads, project_input=False, generator=generator)
        self.head_norm = HeadNorm(size, heads)
        self.mlp_norm = nn.LayerNorm(size, bias=False)
        self.mlp = GatedMLP(size, math.ceil(expansion * size), bias=False, generator=generator)

    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The equations above."""
        u = self.norm(x)
        s = u if self.convolution is None else silu(run(self.convolution, u))
        gates = torch.cat([headwise(s, self.weight_gates[:2]), headwise(u, self.weight_gates[2:])], -2)
        x = x + self.head_norm(run(self.recurrence, gates.flatten(-2)))
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y
