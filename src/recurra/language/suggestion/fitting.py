"""What of a keyboard needs torch: its network, training that, and packing it so that torch is not needed any more.

`keyboard.py` comes here only for these. Legend: B rows, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError, UsageError

# Every file behind this one finds torch.
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from torch import Tensor

from recurra.cells import CELLS, LSTM
from recurra.language.suggestion.counting import Corpus
from recurra.language.suggestion.lexicon import SPECIALS, UNKNOWN
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.networks.sampled import SampledSoftmax
from recurra.streaming import pack
from recurra.streaming.packed import Packed
from recurra.training import Outcome, Recipe, train

if TYPE_CHECKING:
    from recurra.language.suggestion.keyboard import Keyboard

__all__ = ["check_cell", "fit", "make_network", "pack_network"]

SAMPLE = 8, 64  # texts, and words and marks of each, that a packed network is held to its source with
EXAM_PARTS = 24  # parts of texts that are held out to choose the best weights by, at most
EXAM_SHARE = 0.02


def check_cell(name: object) -> None:
    """Raise UsageError unless there is a cell of that name."""
    _cell(name)


def _cell(name: object) -> Any:
    kinds = {kind.__name__.lower(): kind for kind in CELLS}
    if not isinstance(name, str) or name.lower() not in kinds:
        raise UsageError("there is no such cell", value=name, hint=f"Use one of {', '.join(kinds)}.")
    return kinds[name.lower()]


def make_network(model: Keyboard, vocabulary: int) -> TokenNetwork:
    """An untrained network of a keyboard's arguments.

    An LSTM has its gates coupled and its outputs shortened to a word's vector (Hard et al. 2018, arXiv 1811.03604,
    section 3); what another cell gives is shortened before the softmax.
    """
    kind, size, hidden = _cell(model.cell), model.embedding_size, model.hidden_size
    embedding = Embedding(vocabulary, size)
    options = {"projection_size": size, "coupled": True} if kind is LSTM else {}
    sizes = [size, *[size if kind is LSTM else hidden] * model.layers]
    layers = [kind(each, hidden, **options) for each in sizes[:-1]]
    stack = Recurrent(layers, dropout=model.dropout if model.layers > 1 else 0.0)
    width = stack.output_size
    head = SoftmaxHead(width, weight=embedding.weight, projection_size=0 if width == size else size)
    return TokenNetwork(embedding, stack, head, input_dropout=model.dropout, output_dropout=model.dropout)


def fit(
    model: Keyboard, corpus: Corpus, max_seconds: float | None, folder: Path | None, fingerprint: str
) -> tuple[Outcome, TokenNetwork]:
    """Train a network of a keyboard's arguments on a corpus; `folder` and `fingerprint` as for `train`."""
    vocabulary = corpus.lexicon.vocabulary
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(model.seed)
        network = make_network(model, vocabulary)
    words = np.arange(vocabulary) >= SPECIALS + len(corpus.lexicon.marks)
    words[UNKNOWN] = True
    order = np.random.default_rng(model.seed).permutation(len(corpus.parts))
    held = min(EXAM_PARTS, int(EXAM_SHARE * len(order)))
    source = Texts(corpus, order[held:], model.batch_size, model.span, model.seed)
    steps = model.steps or max(100, round(model.epochs * source.size / (model.batch_size * model.span)))
    recipe = Recipe(
        steps=steps,
        learning_rate=model.learning_rate,
        warmup=200,
        average=0.998 if steps >= 5000 else 0.99,
        evaluate_every=max(50, steps // 12),
        max_seconds=max_seconds,
        seed=model.seed,
    )
    counts = np.bincount(corpus.tokens, minlength=vocabulary)
    sampled = SampledSoftmax(network.head, torch.from_numpy(counts), exact=model.exact, drawn=model.drawn)  # type: ignore[arg-type]
    exam = [
        torch.from_numpy(corpus.tokens[slice(*corpus.parts[part])].astype(np.int64)) for part in order[:held]
    ]
    problem = NextWord(sampled, torch.from_numpy(words), exam)
    outcome = train(
        network,
        problem,
        source,
        recipe,
        folder=folder,
        resume=True,
        fingerprint=fingerprint,
        description=f"training on {len(corpus.tokens):,} words and marks",
    )
    return outcome, network


def pack_network(network: TokenNetwork, weights: str, corpus: Corpus) -> Packed:
    """The network for the engine, its matrices in the format `weights`, held to what it was over texts of the corpus.

    Raises as `recurra.streaming.pack` does.
    """
    # Of its own accord it writes neither marks nor ends, and where it is then it was never trained to be.
    length = min(SAMPLE[1], len(corpus.tokens))
    starts = np.linspace(0, len(corpus.tokens) - length, SAMPLE[0]).astype(np.int64)
    sample = np.stack([corpus.tokens[start : start + length] for start in starts])
    try:
        return pack.pack(network, weights, sample=sample.astype(np.int64))
    except NotImplementedError as error:
        raise UsageError(f"this network cannot be packed: {error}", hint="Use another cell.") from error


@dataclass
class Batch:
    """Tokens (B, T + 1) and the rows (B,) that start anew."""

    tokens: Tensor
    fresh: Tensor


class Texts:
    """Reads the parts of a corpus over and over, each time in another order, as B streams side by side.

    Parameters
    ----------
    corpus, parts: the texts, and which parts of them.
    rows, steps: B and T.
    seed: of the orders.
    """

    def __init__(self, corpus: Corpus, parts: NDArray[np.int64], rows: int, steps: int, seed: int) -> None:
        self.corpus, self.parts, self.rows, self.steps = corpus, parts, rows, steps
        self.size = int(np.diff(corpus.parts[parts], axis=1).sum())
        self.seed, self.round, self.place = seed, -1, 0
        self._begin(0)

    def _begin(self, number: int) -> None:
        """Lay out the streams of a round."""
        self.round, self.place = number, 0
        order = np.random.default_rng([self.seed, number]).permutation(self.parts)
        flat = np.concatenate([self.corpus.tokens[slice(*self.corpus.parts[part])] for part in order])
        if len(flat) < self.rows * 2:
            flat = np.tile(flat, self.rows * 2 // len(flat) + 1)
        length = len(flat) // self.rows
        self.streams = flat[: length * self.rows].reshape(self.rows, length)

    def next(self) -> Batch:
        """The next T steps of each stream; fresh at the beginning of a round."""
        if self.place + 2 > self.streams.shape[1]:
            self._begin(self.round + 1)
        part = self.streams[:, self.place : self.place + self.steps + 1]
        fresh = torch.full((self.rows,), self.place == 0)
        self.place += part.shape[1] - 1
        return Batch(torch.from_numpy(part.astype(np.int64)), fresh)

    def state_dict(self) -> Mapping[str, Any]:
        """The round and the place in it."""
        return {"round": self.round, "place": self.place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._begin(int(state["round"]))
        self.place = int(state["place"])


class NextWord:
    """The loss of the next word: marks, numbers and ends of lines are read, but nobody asks a keyboard for them.

    Parameters
    ----------
    sampled: the head's loss in training.
    words: (V,) which tokens count.
    exam: the tokens of texts that are held out.
    """

    def __init__(self, sampled: SampledSoftmax, words: Tensor, exam: list[Tensor]) -> None:
        self.sampled, self.words, self.exam = sampled, words, exam

    def initial_state(self, network: TokenNetwork, batch_size: int) -> Any:
        """Zeros."""
        return network.initial_state(batch_size)

    def loss(self, network: TokenNetwork, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The mean over the words of the batch."""
        targets = batch.tokens[:, 1:]
        weight = self.words[targets]
        return network.loss(batch.tokens[:, :-1], targets, state, weight=weight, sampled=self.sampled)

    def evaluate(self, network: TokenNetwork) -> float | None:
        """The whole softmax's loss on the exam."""
        if not self.exam:
            return None
        lengths = torch.tensor([len(each) - 1 for each in self.exam])
        tokens = torch.nn.utils.rnn.pad_sequence(self.exam, batch_first=True)
        weight = self.words[tokens[:, 1:]]
        loss, _ = network.loss(tokens[:, :-1], tokens[:, 1:], lengths=lengths, weight=weight)
        return float(loss)
