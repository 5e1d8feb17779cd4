"""Vectors of tokens. Legend: V tokens, E numbers of a vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.ops.dense.masks import check_rate
from recurra.ops.random import keep_mask

__all__ = ["Embedding"]


class Embedding(nn.Module):
    """A vector for each token: integers (…) in 0 … V - 1 give (…, E).

    `weight` (V, E) may also be the matrix of a softmax head (`SoftmaxHead(weight=embedding.weight)`; Press & Wolf 2017,
    arXiv 1608.05859).

    Parameters
    ----------
    vocabulary: V.
    size: E.
    word_dropout: share of the tokens that are dropped in training, each wherever it stands in a forward call, the rest
        scaled up, 0 … 1 exclusive (Merity et al. 2017, arXiv 1708.02182, section 4.3).
    scale: what the vectors are multiplied by, such as √E where the weight is also a softmax head's.
    generator: what draws the first weights.

    Raises ValueError for sizes below 1 and for a rate outside of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        size: int,
        *,
        word_dropout: float = 0.0,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if vocabulary < 1 or size < 1:
            raise ValueError(f"an embedding needs a token and a number at least, not {vocabulary} and {size}")
        self.vocabulary, self.size, self.scale = vocabulary, size, scale
        self.word_dropout = check_rate("word_dropout", word_dropout)
        self.weight = nn.Parameter(torch.empty(vocabulary, size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the vectors from U(-0.1, 0.1)."""
        nn.init.uniform_(self.weight, -0.1, 0.1, generator=generator)

    def forward(self, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The vectors of `tokens`; `generator`, on the CPU, draws what is dropped in training."""
        x = functional.embedding(tokens, self.weight)
        if self.training and self.word_dropout:
            keep = 1 - self.word_dropout
            kept = keep_mask((self.vocabulary,), keep, self.weight, generator)[tokens]
            x = torch.where(kept.unsqueeze(-1) > 0, x / keep, 0.0)
        return x if self.scale == 1.0 else x * self.scale
