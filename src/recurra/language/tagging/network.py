"""The tagger's network: words and their letters, read from both ends, to a score for each tag, and a chain over these.

Legend: B rows, T words of a row, U different words of a batch, N pieces of all of them, K tags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.cell import Cell
from recurra.networks import CharacterFeatures, Embedding, LinearChainCRF, Recurrent
from recurra.networks.blocks.common import dense
from recurra.networks.dropout import dropout
from recurra.ops import ragged

__all__ = ["Sentences", "TagNetwork"]


class Sentences(NamedTuple):
    """What the network reads of B sentences: each different word once, and where it stands.

    Attributes
    ----------
    words: (U,) rows of the embedding.
    grams, starts: the words' pieces (N,), and where each word's begin (U,).
    places: (B, T) which of the U words stands there.
    lengths: (B,) words of each sentence.
    """

    words: Tensor
    grams: Tensor
    starts: Tensor
    places: Tensor
    lengths: Tensor


class TagNetwork(nn.Module):
    """Embeddings of words and of their pieces, a bidirectional stack, and a linear-chain CRF.

    Huang, Xu & Yu 2015 (arXiv 1508.01991); letters beside words as in Ma & Hovy 2016 (arXiv 1603.01354), but as a sum
    of pieces (`CharacterFeatures`), which is looked up without a network at use.

    Parameters
    ----------
    words, grams, tags: how many there are of each.
    cell: makes a cell of a number of inputs and of units: a class of `recurra.cells`.
    word_size, character_size: numbers of a word's two vectors, 1 or more.
    hidden_size, layers: units of a layer in each direction, and layers.
    dropout: share of what enters each layer and the head that is dropped in training.
    gram_dropout: share of a word's pieces that is dropped in training.
    """

    def __init__(
        self,
        *,
        words: int,
        grams: int,
        tags: int,
        cell: Callable[[int, int], Cell],
        word_size: int,
        character_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        gram_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(words, word_size)
        self.characters = CharacterFeatures(grams, character_size, dropout=gram_dropout)
        sizes = [word_size + character_size, *[2 * hidden_size] * (layers - 1)]
        self.recurrent = Recurrent(
            [(cell(size, hidden_size), cell(size, hidden_size)) for size in sizes],
            dropout=dropout,
            variational=True,
        )
        self.head = dense(self.recurrent.output_size, tags)
        self.chain = LinearChainCRF(tags)
        self.dropout = dropout

    def forward(self, sentences: Sentences) -> Tensor:
        """The scores (B, T, K) of each tag at each word; the padding's mean nothing."""
        vectors = torch.cat(
            [self.embedding(sentences.words), self.characters(sentences.grams, sentences.starts)], 1
        )
        x = ragged.fill(self._dropped(vectors[sentences.places]), sentences.lengths)
        y, _ = self.recurrent(x, lengths=sentences.lengths)
        scores: Tensor = self.head(self._dropped(y))
        return scores

    def loss(self, sentences: Sentences, tags: Tensor) -> Tensor:
        """The negative log-likelihood of `tags` (B, T), in nats a word."""
        return self.chain.loss(self(sentences), tags, sentences.lengths)

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropout:
            return x
        return dropout(x, self.dropout, None, variational=True)
