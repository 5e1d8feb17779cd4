"""From a stack with bidirectional layers to the programs of `recurra.streaming.bidirectional.Layers`."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.cell import Cell
from recurra.errors import UsageError
from recurra.networks.bidirectional import Bidirectional
from recurra.networks.recurrent import Recurrent
from recurra.streaming.bidirectional import Layers
from recurra.streaming.pack import BOUNDS, store, trace
from recurra.streaming.packed import Packed

__all__ = ["pack_layers"]

LENGTHS = (24, 17, 1, 6)  # of the sequences that the programs are checked with


def pack_layers(
    network: Recurrent,
    weights: str = "float32",
    *,
    bound: float | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Packed]:
    """Turn a stack, bidirectional layers or not, into programs that `Layers` runs without torch.

    Parameters
    ----------
    network: the stack; it is not changed.
    weights: how matrices are stored, "float32", "float16", "int8" or "int4".
    bound: how far the outputs may be from the stack's, as a share of their root mean square, over drawn sequences;
        None: as for `pack`; infinity leaves the check out.
    about: plain JSON values that are kept in each program.

    Raises UsageError for an unknown format and where the outputs differ by more, with the figure; NotImplementedError
    for a cell that the engine does not know.
    """
    network = copy.deepcopy(network).eval().float().cpu()
    about = {**(about or {}), "residual": network.residual}
    programs = {name: store(trace(step), weights, about) for name, step in _steps(network).items()}
    limit = BOUNDS[weights] if bound is None else bound
    if limit == math.inf:
        return programs
    error = _difference(network, Layers(programs))
    if not error <= limit:
        raise UsageError(
            f"with weights in {weights} the outputs differ from the network's by {error:.3g} of their size, and "
            f"{limit:.3g} is allowed",
            value=weights,
            hint="Use weights of more bits, or allow more with bound=.",
        )
    return programs


class _Entering(nn.Module):
    """A cell behind what normalizes its inputs."""

    def __init__(self, norm: nn.Module, cell: Cell) -> None:
        super().__init__()
        self.norm, self.cell, self.input_size = norm, cell, cell.input_size

    def initial_state(self, batch_size: int) -> Any:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.cell.step(self.norm(x), state)


class _Leaving(nn.Module):
    """What normalizes a layer's outputs, as a step without a state."""

    def __init__(self, norm: nn.Module, size: int) -> None:
        super().__init__()
        self.norm, self.input_size = norm, size

    def initial_state(self, batch_size: int) -> tuple[()]:
        return ()

    def step(self, x: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        return self.norm(x), state


def _steps(network: Recurrent) -> dict[str, nn.Module]:
    """What each program does in one step, by its name."""
    steps: dict[str, nn.Module] = {}
    for number, (layer, norm) in enumerate(zip(network.layers, network.norms, strict=True)):
        cells = (
            {"ahead": layer.ahead, "back": layer.back}
            if isinstance(layer, Bidirectional)
            else {"ahead": layer}
        )
        entering = norm if network.norm_first else nn.Identity()
        for part, cell in cells.items():
            assert isinstance(cell, Cell)
            steps[f"{number}.{part}"] = _Entering(entering, cell)
        if not network.norm_first and not isinstance(norm, nn.Identity):
            size = sum(cell.output_size for cell in cells.values() if isinstance(cell, Cell))
            steps[f"{number}.norm"] = _Leaving(norm, size)
    return steps


def _difference(network: Recurrent, layers: Layers) -> float:
    """How far the outputs are from the stack's, as a share of their root mean square."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(LENGTHS), max(LENGTHS), network.input_size, generator=generator)
    with torch.no_grad():
        wanted = network(x, lengths=torch.tensor(LENGTHS))[0].numpy()
    found = layers.read([row[:length] for row, length in zip(x.numpy(), LENGTHS, strict=True)])
    pairs = [(here, there[: len(here)]) for here, there in zip(found, wanted, strict=True)]
    far = sum(float(np.square(here - there, dtype=np.float64).sum()) for here, there in pairs)
    size = sum(float(np.square(there, dtype=np.float64).sum()) for _, there in pairs)
    return math.sqrt(far / size)
