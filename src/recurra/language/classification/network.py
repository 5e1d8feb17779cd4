"""The network that is trained: members beside one another, each a bidirectional stack over words.

Legend: B texts, T steps, E numbers of a word's vector, O outputs of the stack, K classes, M members,
G known runs of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recurra.language.classification.features import Encoded
from recurra.networks import Recurrent
from recurra.networks.characters import CharacterFeatures
from recurra.training.named import cell_named

__all__ = ["Batch", "Member", "Runs", "TextNetwork", "batch_of", "ratios_of"]

RUN_WEIGHT = (
    0.13  # of each run at first: far below what it comes to be, so that it is soon as sure as the members
)


class Batch(NamedTuple):
    """Texts of a batch.

    Attributes
    ----------
    known, which: (B, T) of each word its number, and which of the different words it is; 0 behind a text's end.
    grams, starts: the pieces of the different words, as `CharacterFeatures` takes them.
    lengths: (B,) words of each text, 1 or more.
    runs, run_starts: each text's runs of words, and where they begin (B,).
    label: (B,) the number of each text's class.
    """

    known: Tensor
    which: Tensor
    grams: Tensor
    starts: Tensor
    lengths: Tensor
    runs: Tensor
    run_starts: Tensor
    label: Tensor

    @property
    def fresh(self) -> Tensor:
        """Every text starts anew."""
        return torch.ones(len(self.label), dtype=torch.bool)


def batch_of(seen: Encoded, label: Sequence[int]) -> Batch:
    """The batch of texts as numbers."""
    lengths = seen.lengths
    inside = np.arange(lengths.max())[None] < lengths[:, None]
    known, which = np.zeros(inside.shape, np.int64), np.zeros(inside.shape, np.int64)
    known[inside], which[inside] = seen.known, seen.which
    arrays = known, which, *seen.pieces, lengths, seen.runs, seen.starts, np.array(label, np.int64)
    return Batch(*map(torch.from_numpy, arrays))


class Member(nn.Module):
    """Words, their pieces, the stack, what it says together, and the classes' scores.

    A word's vector is the sum of its own and its pieces' (`networks.characters`). What a text says together is the
    largest and the mean of each output over its words (Howard & Ruder 2018, arXiv 1801.06146, section 3.3).

    Parameters
    ----------
    words: known ones, the unknown one included.
    pieces: known ones.
    classes: K.
    cell: name of a cell of `recurra.cells`.
    size: E.
    hidden_size, layers: units of each direction of a layer, and layers.
    dropout: share dropped of what enters the stack, what passes between its layers, and what enters the head.
    word_dropout: share of the words that are taken for unknown, and of pieces that are left out.
    """

    def __init__(
        self,
        words: int,
        pieces: int,
        classes: int,
        *,
        cell: str,
        size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        word_dropout: float,
    ) -> None:
        super().__init__()
        kind = cell_named(cell)
        self.word_dropout, self.dropout = word_dropout, dropout
        self.words = nn.Embedding(words, size)
        nn.init.uniform_(self.words.weight, -0.1, 0.1)
        self.pieces = CharacterFeatures(pieces, size, dropout=word_dropout)
        sizes = [size, *[2 * hidden_size] * (layers - 1)]
        self.stack = Recurrent(
            [(kind(each, hidden_size), kind(each, hidden_size)) for each in sizes], dropout=dropout
        )
        self.head = nn.Linear(2 * self.stack.output_size, classes)

    def forward(self, batch: Batch) -> Tensor:
        """The classes' scores (B, K)."""
        known = batch.known
        if self.training and self.word_dropout:
            known = torch.where(torch.rand(known.shape) < self.word_dropout, 0, known)
        x = self.words(known) + self.pieces(batch.grams, batch.starts)[batch.which]
        y, _ = self.stack(functional.dropout(x, self.dropout, self.training), lengths=batch.lengths)
        outside = torch.arange(y.shape[1])[None] >= batch.lengths[:, None]
        largest = y.masked_fill(outside.unsqueeze(-1), -torch.inf).amax(1)
        said = torch.cat([largest, y.sum(1) / batch.lengths[:, None]], 1)
        scores: Tensor = self.head(functional.dropout(said, self.dropout, self.training))
        return scores


class Runs(nn.Module):
    """The classes' scores by the runs of words in a text, each its class's log-count ratio times a weight of its own.

    As NB-SVM (Wang & Manning 2012, https://aclanthology.org/P12-2018), with the cross-entropy for its loss.

    Parameters
    ----------
    ratios: (G, K) the log-count ratio of each known run.
    """

    ratios: Tensor

    def __init__(self, ratios: Tensor) -> None:
        super().__init__()
        self.register_buffer("ratios", ratios)
        self.weight = nn.Parameter(torch.full((len(ratios),), RUN_WEIGHT))

    def forward(self, batch: Batch) -> Tensor:
        """The classes' scores (B, K)."""
        weights = self.weight[batch.runs]
        scores: Tensor = functional.embedding_bag(
            batch.runs, self.ratios, batch.run_starts, mode="sum", per_sample_weights=weights
        )
        return scores


class TextNetwork(nn.Module):
    """M members and the runs of words, which learn from the same batches, apart.

    What counts in the end is the mean of the members' scores plus the runs'.

    Parameters
    ----------
    ratios: as for `Runs`.
    members: M.
    sizes: as for `Member`.
    """

    def __init__(self, ratios: Tensor, members: int, *args: int, **sizes: Any) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member(*args, **sizes) for _ in range(members))
        self.runs = Runs(ratios)

    def forward(self, batch: Batch) -> Tensor:
        """Each member's scores and the runs' (M + 1, B, K)."""
        return torch.stack([*(member(batch) for member in self.members), self.runs(batch)])

    def together(self, batch: Batch) -> Tensor:
        """What counts (B, K)."""
        scores: Tensor = self(batch)
        return scores[:-1].mean(0) + scores[-1]


def ratios_of(seen: Encoded, labels: NDArray[np.int64], classes: int, runs: int) -> Tensor:
    """The log-count ratio (G, K) of each known run: how much more of a class's texts have it than of the others'.

    From texts as numbers and their classes' numbers; Wang & Manning 2012, section 2.1, with a count of 1 added.
    """
    counts = np.zeros((runs, classes))
    sizes = np.diff(seen.starts, append=len(seen.runs))
    np.add.at(counts, (seen.runs, np.repeat(labels, sizes)), 1)
    own, others = counts + 1, counts.sum(1, keepdims=True) - counts + 1
    ratios = np.log(own / own.sum(0)) - np.log(others / others.sum(0))
    return torch.tensor(ratios, dtype=torch.float32)
