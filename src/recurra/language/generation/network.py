"""The network of a language model: `recurra.networks.TokenNetwork`, from the numbers of an `Architecture`."""

from __future__ import annotations

from typing import Any

import torch

from recurra.cell import Cell
from recurra.errors import UsageError
from recurra.language.generation.settings import Architecture
from recurra.networks import AdaptiveSoftmaxHead, Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.networks.blocks import BLOCKS, GriffinBlock
from recurra.training import named

__all__ = ["cell_named", "make_network"]


def cell_named(name: str) -> Any:
    """The cell or block called `name`, in any case, blocks also without "Block" where no cell is called so.

    Raises UsageError for an unknown one.
    """
    blocks = {kind.__name__.lower(): kind for kind in BLOCKS} | {"griffin": GriffinBlock}
    return blocks.get(name.lower()) or named.cell_named(name)


def make_network(a: Architecture, generator: torch.Generator | None = None) -> TokenNetwork:
    """An untrained network.

    Raises UsageError for an unknown cell and for numbers that do not fit together.
    """
    kind = cell_named(a.cell)
    try:
        stack = Recurrent(
            _layers(kind, a, generator),
            dropout=a.dropout,
            variational=True,
            norm=a.norm,  # type: ignore[arg-type]
            residual=a.residual,
            weight_drop=a.weight_drop,
        )
        # A tied weight is small, as scores want it; read as it is, it hardly moves a new stack, which then learns late.
        embedding = Embedding(
            a.vocabulary,
            stack.input_size,
            word_dropout=a.word_dropout,
            scale=stack.input_size**0.5,
            generator=generator,
        )
        head = _head(a, embedding, stack.output_size, generator)
    except ValueError as error:
        raise UsageError(f"this network cannot be: {error}") from error
    return TokenNetwork(
        embedding,
        stack,
        head,
        input_dropout=a.input_dropout,
        output_dropout=a.output_dropout,
        activation_regularization=a.activation_regularization,
        temporal_regularization=a.temporal_regularization,
    )


def _layers(kind: Any, a: Architecture, generator: torch.Generator | None) -> list[Cell]:
    if kind in BLOCKS:  # a block has one size
        return [kind(a.hidden_size, generator=generator) for _ in range(a.layers)]
    sizes = [a.embedding_size, *[a.hidden_size] * a.layers]
    return [kind(sizes[i], sizes[i + 1], generator=generator) for i in range(a.layers)]


def _head(
    a: Architecture, embedding: Embedding, size: int, generator: torch.Generator | None
) -> SoftmaxHead | AdaptiveSoftmaxHead:
    if a.cutoffs:
        return AdaptiveSoftmaxHead(size, a.vocabulary, a.cutoffs, generator=generator)
    projected = embedding.size if size != embedding.size else 0
    weight = embedding.weight if a.tied else None
    return SoftmaxHead(size, a.vocabulary, weight=weight, projection_size=projected, generator=generator)
