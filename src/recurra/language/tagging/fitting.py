"""What of a tagger needs torch: training it, and packing its stack so that torch is not needed any more.

`tagger.py` comes here only for these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra.errors import MissingExtraError, ModelError, UsageError

# Every file behind this one finds torch.
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from recurra.language.tagging.batches import SentenceSource, TagProblem
from recurra.language.tagging.network import TagNetwork
from recurra.language.tagging.running import stack_digest
from recurra.language.tagging.vocabulary import Vocabulary
from recurra.streaming.pack_layers import pack_layers
from recurra.streaming.packed import Packed
from recurra.training import Outcome, Recipe, train
from recurra.training.named import cell_named

if TYPE_CHECKING:
    from recurra.language.tagging.tagger import Tagger

__all__ = ["Learned", "cell_named", "learn", "pack"]

ALPHA = 0.5  # how often words are read as unknown ones in training: `SentenceSource`
GRAM_DROPOUT = 0.1

Sentences = Sequence[Sequence[str]]


class Learned(NamedTuple):
    """What training gives."""

    outcome: Outcome
    weights: dict[str, np.ndarray[Any, Any]]
    programs: dict[str, Packed]


def learn(
    model: Tagger,
    vocabulary: Vocabulary,
    training: tuple[Sentences, Sentences],
    validation: tuple[Sentences, Sentences],
    recipe: Recipe,
    *,
    folder: Path | None,
    fingerprint: str,
) -> Learned:
    """Train a network of a tagger's arguments on sentences and their tags; `folder`, `fingerprint` as for `train`."""
    network = _network(model, vocabulary)
    source = SentenceSource(*training, vocabulary, batch_size=model.batch_size, alpha=ALPHA, seed=model.seed)
    outcome = train(
        network,
        TagProblem(*validation, vocabulary),
        source,
        recipe,
        folder=folder,
        resume=True,
        fingerprint=fingerprint,
        description=f"training on {len(training[0]):,} sentences",
    )
    weights = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    return Learned(outcome, weights, _packed(network, weights, "float32"))


def pack(model: Tagger, weights: str) -> dict[str, Packed]:
    """A fitted tagger's stack with its matrices in the format `weights`; UsageError where that is too far from it."""
    network = _network(model, model.vocabulary_)
    known = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if known != {name: array.shape for name, array in model.weights_.items()}:
        raise ModelError("the weights do not fit the model's arguments", hint="Train the model again.")
    network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights_.items()})
    return _packed(network, model.weights_, weights)


def _network(model: Tagger, vocabulary: Vocabulary) -> TagNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(model.seed)  # torch.manual_seed would reach a GPU's, too
        return TagNetwork(
            words=len(vocabulary.words) + 1,
            grams=vocabulary.grams.size,
            tags=len(vocabulary.tags),
            cell=cell_named(model.cell),
            word_size=model.word_size,
            character_size=model.character_size,
            hidden_size=model.hidden_size,
            layers=model.layers,
            dropout=model.dropout,
            gram_dropout=GRAM_DROPOUT,
        )


def _packed(network: TagNetwork, of: Mapping[str, np.ndarray[Any, Any]], weights: str) -> dict[str, Packed]:
    try:
        return pack_layers(network.recurrent, weights, about={"of": stack_digest(of)})
    except NotImplementedError as error:
        raise UsageError(f"this network cannot be packed: {error}", hint="Use another cell.") from error
