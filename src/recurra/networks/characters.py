"""Vectors of words from their letters.

Legend: W words, N pieces of all of them, V known pieces, E numbers of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.ops.dense.masks import check_rate
from recurra.ops.random import keep_mask

__all__ = ["CharacterFeatures"]


class CharacterFeatures(nn.Module):
    """A word's vector is the sum of those of its pieces over the root of their number. Bojanowski et al. 2017.

    The pieces are `recurra.text.characters.CharacterGrams`'; its `pooled` gives the same from `weight` (V, E) without
    torch.

    Parameters
    ----------
    vocabulary: V.
    size: E.
    dropout: share of a word's pieces, each by itself, that is dropped in training, 0 … 1 exclusive.
    generator: what draws the first weights.

    Raises ValueError for sizes below 1 and for a rate outside of its range.
    """

    def __init__(
        self, vocabulary: int, size: int, *, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if vocabulary < 1 or size < 1:
            raise ValueError(
                f"character features need a piece and a number at least, not {vocabulary} and {size}"
            )
        self.vocabulary, self.size = vocabulary, size
        self.dropout = check_rate("dropout", dropout)
        self.weight = nn.Parameter(torch.empty(vocabulary, size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the vectors from U(-0.1, 0.1)."""
        nn.init.uniform_(self.weight, -0.1, 0.1, generator=generator)

    def forward(self, grams: Tensor, starts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The vectors (W, E) of words whose pieces are `grams` (N,), each word's from its place in `starts` (W,) on.

        Every word has a piece at least. `generator`, on the CPU, draws what is dropped in training.
        """
        counts = torch.diff(starts, append=starts.new_tensor([len(grams)]))
        if not len(starts):
            return self.weight.new_zeros(0, self.size)
        weights = None
        if self.training and self.dropout:
            keep = 1 - self.dropout
            weights = keep_mask(grams.shape, keep, self.weight, generator).to(self.weight.dtype) / keep
        sums = functional.embedding_bag(grams, self.weight, starts, mode="sum", per_sample_weights=weights)
        return sums / counts.to(sums.dtype).sqrt().unsqueeze(1)
