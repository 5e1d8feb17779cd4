"""Where the tagger's batches come from, and what is learned from them. Legend as in `network`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.decoding import Chain
from recurra.language.tagging.network import Sentences, TagNetwork
from recurra.language.tagging.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Batch", "SentenceSource", "TagProblem", "chain_of", "encoded"]

POOL = 50  # batches whose sentences are sorted by length together, so that rows of a batch are about as long
EVALUATED = 64  # sentences at once


@dataclass(frozen=True)
class Batch:
    """One step's sentences and their tags (B, T)."""

    sentences: Sentences
    tags: Tensor

    @property
    def fresh(self) -> Tensor:
        """(B,), all true: every sentence starts anew."""
        return torch.ones(len(self.tags), dtype=torch.bool)


def encoded(vocabulary: Vocabulary, tokens: Sequence[Sequence[str]]) -> tuple[Sentences, list[str]]:
    """What the network reads of sentences, and their U different words."""
    numbers: dict[str, int] = {}
    lengths = np.array([len(sentence) for sentence in tokens], np.int64)
    places = np.zeros((len(tokens), int(lengths.max(initial=0))), np.int64)
    for row, sentence in enumerate(tokens):
        places[row, : len(sentence)] = [numbers.setdefault(word, len(numbers)) for word in sentence]
    words = list(numbers)
    arrays = vocabulary.numbers(words), *vocabulary.bags(words), places, lengths
    return Sentences(*map(torch.from_numpy, arrays)), words


class SentenceSource:
    """Batches without end of sentences in a random order, those of a batch about as long as each other.

    A word that is seen n times in training is read as an unknown one with the probability α / (α + n), so that the
    network learns what to make of those (Kiperwasser & Goldberg 2016, arXiv 1603.04351, section 4.1).
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[str]],
        tags: Sequence[Sequence[str]],
        vocabulary: Vocabulary,
        *,
        batch_size: int,
        alpha: float,
        seed: int,
    ) -> None:
        self.tokens, self.vocabulary, self.batch_size = tokens, vocabulary, batch_size
        self.tags = [vocabulary.tag_numbers(each) for each in tags]
        self.lengths = np.array([len(each) for each in tokens])
        counts = np.zeros(len(vocabulary.words) + 1)
        for sentence in tokens:
            np.add.at(counts, vocabulary.numbers(sentence), 1)
        self.unknown = alpha / (alpha + counts) if alpha else np.zeros_like(counts)
        self.generator = np.random.default_rng(seed)
        self.queue = np.zeros((0, 2), np.int64)  # batches to come: where each begins and ends in `order`
        self.order = np.zeros(0, np.int64)

    def next(self) -> Batch:
        """The next batch."""
        if not len(self.queue):
            self._begin()
        (start, stop), self.queue = self.queue[0], self.queue[1:]
        rows = self.order[start:stop]
        sentences, words = encoded(self.vocabulary, [self.tokens[row] for row in rows])
        hidden = self.generator.random(len(words)) < self.unknown[sentences.words.numpy()]
        sentences = sentences._replace(words=torch.where(torch.from_numpy(hidden), UNKNOWN, sentences.words))
        tags = np.zeros(sentences.places.shape, np.int64)
        for place, row in enumerate(rows):
            tags[place, : len(self.tags[row])] = self.tags[row]
        return Batch(sentences, torch.from_numpy(tags))

    def _begin(self) -> None:
        """A new round through the data."""
        shuffled = self.generator.permutation(len(self.tokens))
        pool = POOL * self.batch_size
        parts = [shuffled[start : start + pool] for start in range(0, len(shuffled), pool)]
        self.order = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])
        starts = np.arange(0, len(self.order), self.batch_size)
        self.queue = self.generator.permutation(
            np.stack([starts, np.minimum(starts + self.batch_size, len(self.order))], 1)
        )

    def state_dict(self) -> dict[str, Any]:
        """The place in the data."""
        place = {"generator": self.generator.bit_generator.state}
        return {**place, "queue": self.queue.copy(), "order": self.order.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a place that `state_dict` told."""
        self.generator.bit_generator.state = state["generator"]
        self.queue = np.asarray(state["queue"], np.int64).reshape(-1, 2).copy()
        self.order = np.asarray(state["order"], np.int64).copy()


class TagProblem:
    """The chain's negative log-likelihood; what is evaluated is the share of wrong tags."""

    def __init__(
        self, tokens: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], vocabulary: Vocabulary
    ) -> None:
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        self.parts: list[tuple[Sentences, list[NDArray[np.int64]]]] = []
        for start in range(0, len(order), EVALUATED):
            rows = order[start : start + EVALUATED]
            # A tag that training does not hold is wrong whatever the network says.
            known = [np.array([vocabulary._tags.get(tag, -2) for tag in tags[row]], np.int64) for row in rows]
            self.parts.append((encoded(vocabulary, [tokens[row] for row in rows])[0], known))

    def initial_state(self, network: TagNetwork, batch_size: int) -> tuple[()]:
        """There is none."""
        return ()

    def loss(self, network: TagNetwork, batch: Batch, state: Any) -> tuple[Tensor, tuple[()]]:
        """The mean loss of a batch, in nats a word."""
        return network.loss(batch.sentences, batch.tags), ()

    def evaluate(self, network: TagNetwork) -> float | None:
        """The share of wrong tags in the held-out sentences; None without any."""
        chain, wrong, total = chain_of(network), 0, 0
        for sentences, tags in self.parts:
            found = chain.best(network(sentences).numpy(), sentences.lengths.numpy())
            for row, wanted in enumerate(tags):
                wrong += int(np.count_nonzero(found[row, : len(wanted)] != wanted))
                total += len(wanted)
        return wrong / total if total else None


def chain_of(network: TagNetwork) -> Chain:
    """The network's chain, for NumPy."""
    crf = network.chain
    return Chain(*(each.detach().numpy() for each in (crf.transitions, crf.start, crf.end)))
