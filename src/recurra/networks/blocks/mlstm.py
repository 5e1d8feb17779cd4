"""xLSTM's block around an mLSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from recurra.cells.mlstm import MLSTMMemory, draw_gate_biases
from recurra.networks.blocks.common import Block, HeadNorm, Run, ShortConvolution, dense
from recurra.ops.dense.heads import headwise, units_of_a_head

__all__ = ["MLSTMBlock"]


class MLSTMBlock(Block):
    """An mLSTM between a matrix up and a matrix down, normalized before and added to what came in.

        u, g = W_up norm(x)      s = silu(conv(u))      q, k = W_q s, W_k s      v = W_v u
        h = mLSTM(q, k, v; ĩ, f̃ = W_g [q, k, v] + b)
        y = x + W_down ((norm_heads(h) + skip ⊙ s) ⊙ silu(g))

    Beck et al. 2024 (arXiv 2405.04517), section 2.4 and appendix A.3.2, figure 11: layer norms without bias, W_q, W_k
    and W_v of diagonal blocks of 4. The state is the pair of the convolution's and the mLSTM's
    (`cells.mlstm.MLSTMMemory`).

    `heads` is the mLSTM's; `width` how many units it has, unless told otherwise 2 `size`, up to a multiple of 4;
    `kernel` the convolution's steps; `block` the size of the diagonal blocks. `weight_qkv` (3, width/block, block,
    block) stacks W_q, W_k, W_v. Raises ValueError where `heads` or `block` does not divide `width`.
    """

    def __init__(
        self,
        size: int,
        *,
        heads: int = 4,
        width: int | None = None,
        kernel: int = 4,
        block: int = 4,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(size)
        width = -(-2 * size // 4) * 4 if width is None else width
        units_of_a_head(width, heads)
        if block < 1 or width % block:
            raise ValueError(f"{width} units cannot be parted into blocks of {block}")
        self.norm = nn.LayerNorm(size, bias=False)
        small = (2 / (5 * size)) ** 0.5
        self.up = dense(size, 2 * width, bias=False, deviation=small, generator=generator)
        self.convolution = ShortConvolution(width, kernel, generator=generator)
        self.weight_qkv = nn.Parameter(torch.empty(3, width // block, block, block))
        nn.init.normal_(self.weight_qkv, std=small, generator=generator)
        self.gates = dense(3 * width, 2 * heads, deviation=0.0, generator=generator)
        draw_gate_biases(self.gates.bias, generator)
        self.recurrence = MLSTMMemory(width, heads=heads)
        self.head_norm = HeadNorm(width, heads)
        self.skip = nn.Parameter(torch.ones(width))
        self.down = dense(width, size, bias=False, generator=generator)

    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The equations above."""
        u, gate = self.up(self.norm(x)).chunk(2, -1)
        s = silu(run(self.convolution, u))
        qkv = torch.cat([headwise(s, self.weight_qkv[:2]), headwise(u, self.weight_qkv[2:])], -2).flatten(-2)
        h = run(self.recurrence, torch.cat([qkv, self.gates(qkv)], -1))
        y: Tensor = x + self.down((self.head_norm(h) + self.skip * s) * silu(gate))
        return y
