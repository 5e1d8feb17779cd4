"""What of a language model needs torch: training its network, and packing it so that torch is not needed any more.

`language_model.py` comes here only for these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.errors import MissingExtraError, ModelError, UsageError

# Every file behind this one finds torch.
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from recurra.language.generation.data import Line, Pieces
from recurra.language.generation.dynamic import dynamic_evaluation, gradient_sizes
from recurra.language.generation.network import cell_named, make_network
from recurra.language.generation.settings import Architecture
from recurra.language.generation.streams import NextToken, Streams
from recurra.networks import SoftmaxHead, TokenNetwork
from recurra.networks.sampled import SampledSoftmax
from recurra.streaming import pack as packing
from recurra.streaming.packed import Packed
from recurra.training import Outcome, Recipe, train

__all__ = [
    "adapt",
    "arrays_of",
    "cell_named",
    "learn",
    "network_of",
    "pack",
    "parameters",
    "sample",
    "sampled_of",
]

WINDOW = 32  # tokens between two changes of the weights when a model adapts

COUNTED = 1 << 20  # tokens at a time


def learn(
    architecture: Architecture,
    learned: Pieces,
    held: Pieces,
    recipe: Recipe,
    *,
    rows: int,
    steps: int,
    folder: Path | None,
    fingerprint: str,
    sampled: int = 0,
    seen: Callable[[TokenNetwork, float], None] | None = None,
) -> tuple[Outcome, TokenNetwork]:
    """Train a network on documents; `rows` streams, `steps` tokens of each at a time. The rest is as for `train`.

    `sampled`: how many tokens the softmax is computed of in training, two thirds of them the most frequent; 0: all.
    """
    network = make_network(architecture, torch.Generator().manual_seed(recipe.seed))
    source = Streams(learned, rows=rows, steps=steps, seed=recipe.seed)
    outcome = train(
        network,
        NextToken(held, seen, sampled_of(network, learned, sampled) if sampled else None),
        source,
        recipe,
        folder=folder,
        resume=True,
        fingerprint=fingerprint,
        description=f"training on {learned.size:,} tokens",
        unit="tokens",
        per_step=source.rows * source.steps,
    )
    return outcome, network


def sampled_of(network: TokenNetwork, learned: Pieces, count: int) -> SampledSoftmax:
    """A loss from `count` tokens of the vocabulary; UsageError where the head is no plain softmax."""
    if not isinstance(network.head, SoftmaxHead):
        raise UsageError("a softmax is sampled or adaptive, not both", hint="Leave out cutoffs or sampled.")
    line, frequencies = Line(learned), np.zeros(network.head.vocabulary, np.int64)
    for place in range(0, len(line), COUNTED):
        part = line.read(place, min(COUNTED, len(line) - place))
        frequencies += np.bincount(part, minlength=len(frequencies))
    drawn = max(1, count // 3)
    exact = max(1, count - drawn)
    return SampledSoftmax(network.head, torch.from_numpy(frequencies), exact=exact, drawn=drawn)


def sample(
    network: TokenNetwork, start: list[int], count: int, banned: list[int], seed: int = 0
) -> list[int]:
    """Tokens that a network in evaluation mode might go on with: what is shown while it learns."""
    generator = torch.Generator().manual_seed(seed)
    state, tokens = network.initial_state(1), list(start)
    with torch.no_grad():
        for token in start[:-1]:
            _, state = network.step(torch.tensor([token]), state)
        for _ in range(count):
            scores, state = network.step(torch.tensor([tokens[-1]]), state)
            scores[:, banned] = -math.inf
            drawn = torch.multinomial((scores / 0.8).softmax(-1), 1, generator=generator)
            tokens.append(int(drawn))
    return tokens[len(start) :]


def adapt(network: TokenNetwork, tokens: Sequence[int], *, rate: float, passes: int) -> list[float]:
    """Let a network learn from tokens, in place; nats for each token of every pass, told before they were learnt."""
    read = torch.tensor(tokens)
    sizes = gradient_sizes(network, read, window=WINDOW)
    return [
        dynamic_evaluation(network, read, sizes=sizes, rate=rate, decay=0.0, window=WINDOW)
        for _ in range(passes)
    ]


def parameters(network: TokenNetwork) -> int:
    """How many numbers the network learns."""
    return sum(each.numel() for each in network.parameters())


def arrays_of(network: TokenNetwork) -> dict[str, np.ndarray[Any, Any]]:
    """The network's weights by name; a tied one once."""
    return {name: each.detach().numpy().copy() for name, each in network.named_parameters()}


def network_of(architecture: Architecture, weights: Mapping[str, np.ndarray[Any, Any]]) -> TokenNetwork:
    """The network with these weights, in evaluation mode; ModelError where they do not fit the architecture."""
    with torch.device("meta"):  # sizes may come from a file: nothing is allocated before they are checked
        known = dict(make_network(architecture).named_parameters())
    for name, tensor in known.items():
        array = weights.get(name)
        fits = array is not None and array.shape == tuple(tensor.shape) and array.dtype == np.float32
        if array is None or not fits or not np.isfinite(array).all():
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise ModelError(f"{name} must be float32 {tuple(tensor.shape)}, all finite", value=found)
    if unknown := sorted(weights.keys() - known.keys()):
        raise ModelError("the network has no such weights", value=unknown[0])
    network = make_network(architecture)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    return network.eval()


def pack(network: TokenNetwork, weights: str, sample: Any, about: Mapping[str, Any]) -> tuple[Packed, float]:
    """The network for the engine, and how far what it says is from its source over `sample` (B, T).

    Raises UsageError where that is too far, for an unknown format and for a network that the engine does not know.
    """
    try:
        packed = packing.pack(network, weights, sample=sample, about=about)
    except NotImplementedError as error:
        raise UsageError(f"this network cannot be packed: {error}", hint="Use another cell.") from error
    found = packing.agreement(network, packed, sample)
    return packed, found.error
