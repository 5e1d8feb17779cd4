"""From a trained network to a packed one: traced, its matrices stored in fewer bits, and checked against its source.

This is the one file of the engine that needs torch, with those that it alone imports.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra import state as states
from recurra.errors import UsageError
from recurra.networks.attention import Memory
from recurra.networks.decoder import AttentionDecoder
from recurra.networks.tokens import TokenNetwork
from recurra.streaming.lower import lower
from recurra.streaming.packed import BOUNDS, Packed, stored
from recurra.streaming.program import Program
from recurra.streaming.run import Engine

__all__ = ["BOUNDS", "Agreement", "agreement", "pack", "store"]

ROWS, STEPS = 4, 32  # of the check


class Agreement(NamedTuple):
    """How near a packed network is to its source.

    Attributes
    ----------
    error: the root mean square of the difference of their outputs, as a share of that of the outputs.
    first_choice: of token networks, how often both hold the same token for the most probable; else 1.
    """

    error: float
    first_choice: float


def pack(
    network: nn.Module,
    weights: str = "float32",
    *,
    sample: Any = None,
    bound: float | None = None,
    about: Mapping[str, Any] | None = None,
) -> Packed:
    """Turn a network into one that runs in the engine, without torch.

    Parameters
    ----------
    network: what has `step(x, state) -> (y, state)` and `initial_state`: a cell, a block, a `Recurrent` without
        bidirectional layers, a `TokenNetwork`, an `AttentionDecoder`. It is not changed.
    weights: how its matrices are stored, "float32", "float16", "int8" or "int4".
    sample: what the packed network is checked with: tokens (B, T) or numbers (B, T, I); None: tokens that the network
        writes itself, or drawn numbers.
    bound: how large `Agreement.error` may be; None: 0.001, 0.01, 0.1 and 0.5, in the order of the formats;
        infinity leaves the check out.
    about: plain JSON values that are kept in the file.

    Raises UsageError for an unknown format, a sample that does not fit, and where the packed network is not near
    enough to its source, with the figures; NotImplementedError for a network that the engine does not know.
    """
    network = copy.deepcopy(network).eval().float().cpu()
    packed = store(trace(network), weights, about)
    limit = BOUNDS[weights] if bound is None else bound
    if limit == math.inf:
        return packed
    found = agreement(network, packed, sample)
    if not found.error <= limit:
        raise UsageError(
            f"with weights in {weights} the outputs differ from the network's by {found.error:.3g} of their size, and "
            f"{limit:.3g} is allowed (the same first choice: {found.first_choice:.1%})",
            value=weights,
            hint="Use weights of more bits, or allow more with bound=.",
        )
    return packed


def store(program: Program, weights: str = "float32", about: Mapping[str, Any] | None = None) -> Packed:
    """A program with its matrices in a format, unchecked; UsageError for an unknown format."""
    matrices = [stored(each, weights) for each in program.matrices]
    return Packed.of(program, matrices, {"weights": weights, **(about or {})})


def trace(network: Any) -> Program:
    """The program of a network's step, for one row; NotImplementedError where it does what the engine does not know."""
    start = network.initial_state(1)
    leaves = states.flatten(start)
    names, count = list(leaves), len(leaves)
    memory = _example_memory(network)
    if isinstance(network, (TokenNetwork, AttentionDecoder)):
        inputs = {"token": torch.zeros(1, dtype=torch.long)}
        vocabulary = network.embedding.vocabulary
    else:
        inputs, vocabulary = {"x": torch.zeros(1, network.input_size)}, 0

    def step(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        state = states.unflatten(start, dict(zip(names, rest[:count], strict=True)))
        y, after = network.step(x, state, *([Memory(*rest[count:])] if memory else []))
        return y, *states.flatten(after).values()

    return lower(step, inputs, leaves, vocabulary, memory)


def _example_memory(network: Any) -> Memory | None:
    if not isinstance(network, AttentionDecoder):
        return None
    with torch.no_grad():
        return network.attention.memory(torch.zeros(1, 3, network.attention.memory_size))


def agreement(network: nn.Module, packed: Packed, sample: Any = None) -> Agreement:
    """How near the engine comes to the network; `sample` as for `pack`."""
    of_tokens = isinstance(network, (TokenNetwork, AttentionDecoder))
    x = _drawn(network, packed) if sample is None else torch.as_tensor(sample)
    if x.dim() != (2 if of_tokens else 3):
        raise UsageError("a sample is tokens (B, T) or numbers (B, T, I)", value=tuple(x.shape))
    there = _outputs(network, x)
    engine = Engine(packed, threads=1)
    here = np.empty_like(there)
    for row in range(len(x)):
        session = engine.session()
        if isinstance(network, AttentionDecoder):
            memory = _memory(network, len(x))
            session.remember(memory.keys[row].numpy(), memory.values[row].numpy())
        here[row] = session.read(x[row].numpy(), every=True)
        session.close()
    error = _size(here - there) / _size(there)
    same = float(np.mean(here.argmax(-1) == there.argmax(-1))) if of_tokens else 1.0
    return Agreement(error, same)


def _size(x: NDArray[np.float32]) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def _drawn(network: Any, packed: Packed) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    _, size, offset = packed.description["inputs"][0]
    if offset is not None:
        return torch.randn(ROWS, STEPS, size, generator=generator)
    # The network writes them itself: among tokens that follow no rule it never learnt to find its way, and the least
    # difference grows from step to step.
    tokens = [torch.randint(size, (ROWS,), generator=generator)]
    state = network.initial_state(ROWS)
    memory = [_memory(network, ROWS)] if isinstance(network, AttentionDecoder) else []
    with torch.no_grad():
        while len(tokens) < STEPS:
            scores, state = network.step(tokens[-1], state, *memory)
            tokens.append(torch.multinomial(scores.softmax(-1), 1, generator=generator).squeeze(1))
    return torch.stack(tokens, 1)


def _memory(network: AttentionDecoder, rows: int) -> Memory:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return network.attention.memory(
            torch.randn(rows, 5, network.attention.memory_size, generator=generator)
        )


def _outputs(network: Any, x: Tensor) -> NDArray[np.float32]:
    state = network.initial_state(len(x))
    memory = [_memory(network, len(x))] if isinstance(network, AttentionDecoder) else []
    outputs = []
    with torch.no_grad():
        for entering in x.unbind(1):
            y, state = network.step(entering, state, *memory)
            outputs.append(y)
    found: NDArray[np.float32] = torch.stack(outputs, 1).numpy()
    return found
