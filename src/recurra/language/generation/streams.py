"""Batches of a line of documents, and the loss of the next token. Legend: B rows, T steps of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.language.generation.data import Line, Pieces
from recurra.networks import TokenNetwork
from recurra.networks.sampled import SampledSoftmax

__all__ = ["NextToken", "Streams", "Text", "mean_loss"]

RESTARTS = (
    0.01  # share of rows that begin anew in the middle of a text, so that a new state is nothing strange
)
ANY_KIND = 0.1  # share of documents that are read without their kind in an epoch, so that none need be named
EXAM_ROWS, EXAM_STEPS = 16, 128


@dataclass(frozen=True)
class Text:
    """Tokens (B, T + 1) and which rows begin anew (B,)."""

    tokens: Tensor
    fresh: Tensor


class Streams:
    """Reads documents as B streams, in another order and cut at other places in every epoch.

    A row goes on where it was in the batch before, with the state that it had there; the state is fresh where a batch
    begins with a document, at the start of an epoch, and for one row in a hundred. The token of the end, read where one
    document follows another, tells the network the rest.
    """

    def __init__(self, pieces: Pieces, *, rows: int, steps: int, seed: int) -> None:
        self.pieces, self.seed = pieces, seed
        self.steps = max(1, min(steps, pieces.size - 1))
        self.rows = max(1, min(rows, pieces.size // (self.steps + 1)))
        self.epoch, self.place = -1, pieces.size
        self.line = Line(pieces)
        self.starts = np.zeros(self.rows, np.int64)

    def next(self) -> Text:
        """The next batch."""
        began = self.place + self.steps + 1 > self.pieces.size // self.rows
        if began:
            self._begin(self.epoch + 1, 0)
        places = self.starts + self.place
        tokens = np.stack([self.line.read(int(each), self.steps + 1) for each in places])
        drawn = np.random.default_rng([self.seed, self.epoch, self.place]).random(self.rows)
        fresh = self.line.begins_at(places) | (drawn < RESTARTS) | began
        self.place += self.steps
        return Text(torch.from_numpy(tokens), torch.from_numpy(fresh))

    def _begin(self, epoch: int, place: int) -> None:
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.pieces))
        unnamed = generator.random(len(order)) < ANY_KIND
        head = np.where(unnamed, len(self.pieces.heads) - 1, self.pieces.head)
        self.line = Line(replace(self.pieces, head=head), order)
        offset = int(generator.integers(len(self.line)))
        self.starts = offset + np.arange(self.rows) * (len(self.line) // self.rows)
        self.epoch, self.place = epoch, place

    def state_dict(self) -> Mapping[str, Any]:
        """Where it is."""
        return {"epoch": self.epoch, "place": self.place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._begin(int(state["epoch"]), int(state["place"]))


class NextToken:
    """Trains a network to say the next token; `held` are documents to see how well, None for none.

    `seen` is called after each look, with the network and nats per held-out token; `sampled` gives the loss in
    training, None for the network's own.
    """

    def __init__(
        self,
        held: Pieces | None,
        seen: Callable[[TokenNetwork, float], None] | None = None,
        sampled: SampledSoftmax | None = None,
    ) -> None:
        self.held, self.seen, self.sampled = held, seen, sampled

    def initial_state(self, network: TokenNetwork, batch_size: int) -> Any:
        """The state of rows that begin."""
        return network.initial_state(batch_size)

    def loss(self, network: TokenNetwork, batch: Text, state: Any) -> tuple[Tensor, Any]:
        """Nats for each token."""
        return network.loss(batch.tokens[:, :-1], batch.tokens[:, 1:], state, sampled=self.sampled)

    def evaluate(self, network: TokenNetwork) -> float | None:
        """Nats for each held-out token."""
        if self.held is None or not len(self.held):
            return None
        found = mean_loss(network, self.held)
        if self.seen is not None:
            self.seen(network, found)
        return found


@torch.no_grad()
def mean_loss(network: TokenNetwork, pieces: Pieces, rows: int = EXAM_ROWS) -> float:
    """Nats for each token of documents read one after another, as `rows` streams at once; dropout is off."""
    network.eval()
    line = Line(pieces)
    rows = max(1, min(rows, len(line) // 256))
    length = len(line) // rows
    state, total, count = network.initial_state(rows), 0.0, 0
    for start in range(0, length - 1, EXAM_STEPS):
        steps = min(EXAM_STEPS, length - 1 - start)
        part = np.stack([line.read(row * length + start, steps + 1) for row in range(rows)])
        tokens = torch.from_numpy(part)
        loss, state = network.loss(tokens[:, :-1], tokens[:, 1:], state)
        total, count = total + loss.item() * steps, count + steps
    return total / max(1, count)
