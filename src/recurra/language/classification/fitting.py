"""What of a classifier needs torch: training it, and packing its stacks so that torch is not needed any more.

`classifier.py` comes here only for these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError, UsageError

# Every file behind this one finds torch.
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from torch import Tensor
from torch.nn import functional

from recurra.language.classification.features import Features
from recurra.language.classification.network import (
    Batch,
    Member,
    TextNetwork,
    batch_of,
    ratios_of,
)
from recurra.streaming.pack_layers import pack_layers
from recurra.streaming.packed import Packed
from recurra.training import Outcome, Recipe, train
from recurra.training.named import cell_named

if TYPE_CHECKING:
    from recurra.language.classification.classifier import TextClassifier

__all__ = ["Examples", "Learned", "cell_named", "learn"]

POOL = 20  # batches whose texts are sorted by length, so that a batch holds little padding


class Examples(NamedTuple):
    """Texts that were split into words, and the numbers of their classes."""

    texts: list[tuple[str, ...]]
    labels: NDArray[np.int64]


class Learned(NamedTuple):
    """What training gives: how it went, the weights of `Reader` and its programs."""

    outcome: Outcome
    weights: dict[str, np.ndarray[Any, Any]]
    programs: dict[str, Packed]


class Shuffled:
    """Batches of all texts in another order each time around; near in length, so that little is padding."""

    def __init__(self, examples: Examples, features: Features, batch_size: int, seed: int) -> None:
        self.examples, self.features, self.batch_size, self.seed = examples, features, batch_size, seed
        self.round, self.at = 0, 0
        self._batches = self._shuffle()

    def next(self) -> Batch:
        """The next batch."""
        if self.at == len(self._batches):
            self.round, self.at = self.round + 1, 0
            self._batches = self._shuffle()
        rows = self._batches[self.at]
        self.at += 1
        return _batch(self.examples, self.features, rows)

    def state_dict(self) -> Mapping[str, Any]:
        """How many times around, and how far."""
        return {"round": self.round, "at": self.at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.round, self.at = int(state["round"]), int(state["at"])
        self._batches = self._shuffle()

    def _shuffle(self) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng([self.seed, self.round])
        lengths = np.array([len(text) for text in self.examples.texts])
        order = generator.permutation(len(lengths))
        batches = []
        for start in range(0, len(order), POOL * self.batch_size):
            pool = order[start : start + POOL * self.batch_size]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]


class Classifying:
    """The cross-entropy of each member and of the runs."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float32)

    def initial_state(self, network: TextNetwork, batch_size: int) -> tuple[()]:
        """Texts carry nothing on."""
        del network, batch_size
        return ()

    def loss(self, network: TextNetwork, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The mean of the members' losses."""
        scores = network(batch)
        labels = batch.label.expand(len(scores), -1)
        return functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), self.weights), state

    def evaluate(self, network: TextNetwork) -> float | None:
        """None: the last weights count, averaged, so that the texts held out stay unseen and tell the truth."""
        del network
        return None


def learn(
    model: TextClassifier,
    features: Features,
    examples: Examples,
    class_weights: NDArray[np.float64],
    recipe: Recipe,
    *,
    batch_size: int,
    folder: Path | None,
    fingerprint: str,
) -> Learned:
    """Train a network of a classifier's arguments, and pack its stacks; `folder` and `fingerprint` as for `train`."""
    seen = features.encode(examples.texts)
    ratios = ratios_of(seen, examples.labels, len(class_weights), len(features.runs) + 1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(model.seed)  # torch.manual_seed would reach a GPU's, too
        network = TextNetwork(
            ratios,
            model.members,
            len(features.words) + 1,
            features.grams.size,
            len(class_weights),
            cell=model.cell,
            size=model.size,
            hidden_size=model.hidden_size,
            layers=model.layers,
            dropout=model.dropout,
            word_dropout=model.word_dropout,
        )
    outcome = train(
        network,
        Classifying(class_weights),
        Shuffled(examples, features, batch_size, model.seed),
        recipe,
        folder=folder,
        resume=True,
        fingerprint=fingerprint,
        description=f"training on {len(examples.texts):,} texts",
    )
    weights = {"runs": (network.runs.ratios * network.runs.weight.unsqueeze(1)).detach().numpy()}
    programs: dict[str, Packed] = {}
    for number, member in enumerate(network.members):
        assert isinstance(member, Member)
        tables = {
            "words": member.words.weight,
            "pieces": member.pieces.weight,
            "head": member.head.weight,
            "bias": member.head.bias,
        }
        weights |= {f"{number}.{name}": table.detach().numpy().copy() for name, table in tables.items()}
        try:
            layers = pack_layers(member.stack)
        except NotImplementedError as error:
            raise UsageError(f"this network cannot be packed: {error}", hint="Use another cell.") from error
        programs |= {f"{number}.{name}": program for name, program in layers.items()}
    return Learned(outcome, weights, programs)


def _batch(examples: Examples, features: Features, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
    seen = features.encode([examples.texts[row] for row in rows])
    return batch_of(seen, [int(examples.labels[row]) for row in rows])
