"""Attention over a memory: what a decoder looks up in what an encoder read.

Legend: B rows, T steps, S places, N heads, Q numbers of a query, E numbers of what is remembered.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.ops import ragged
from recurra.ops.attention import attend
from recurra.ops.dense.heads import units_of_a_head

__all__ = ["Attention", "Memory"]


class Memory(NamedTuple):
    """What is attended to: keys and values (B, S, A), of which the first `lengths` (B,) places of a row are there.

    It is built as a state is, so `recurra.state` selects and joins its rows.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor


class Attention(nn.Module):
    """Scaled dot-product attention with N heads over a memory. Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.

    There are no biases, so what a row without a memory finds is zero.

    Parameters
    ----------
    query_size: Q.
    memory_size: E.
    attention_size: A, numbers of a key and of a value in all heads; None: Q.
    heads: N, which divides A.
    generator: what draws the first weights.

    Raises ValueError for sizes that do not fit together.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        attention_size: int | None = None,
        heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        size = query_size if attention_size is None else attention_size
        units_of_a_head(size, heads)
        self.query_size, self.memory_size, self.output_size, self.heads = (
            query_size,
            memory_size,
            query_size,
            heads,
        )
        self.weight_query = nn.Parameter(torch.empty(size, query_size))
        self.weight_key = nn.Parameter(torch.empty(size, memory_size))
        self.weight_value = nn.Parameter(torch.empty(size, memory_size))
        self.weight_out = nn.Parameter(torch.empty(query_size, size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every matrix from U(-√(6/(I+O)), √(6/(I+O))) (Glorot & Bengio 2010)."""
        for matrix in self.parameters():
            nn.init.xavier_uniform_(matrix, generator=generator)

    def memory(self, encoded: Tensor, lengths: Tensor | None = None) -> Memory:
        """The memory of what was encoded (B, S, E), projected once for all queries.

        `lengths` (B,) are in 0 … S, None where all rows are whole; what stands past them is not read. Raises ValueError
        for shapes or lengths that do not fit.
        """
        if encoded.dim() != 3 or encoded.shape[2] != self.memory_size:
            raise ValueError(f"the memory takes (B, S, {self.memory_size}), not {tuple(encoded.shape)}")
        lengths = ragged.check(lengths, encoded)
        encoded = ragged.fill(encoded, lengths)
        if lengths is None:
            lengths = torch.full(encoded.shape[:1], encoded.shape[1], device=encoded.device)
        return Memory(linear(encoded, self.weight_key), linear(encoded, self.weight_value), lengths)

    def forward(self, query: Tensor, memory: Memory) -> Tensor:
        """What queries (B, Q) or (B, T, Q) find in the memory, in their shape; ValueError for misfits."""
        found = attend(linear(query, self.weight_query), *memory, self.heads)
        return linear(found, self.weight_out)
