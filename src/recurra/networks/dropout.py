"""Dropout of what passes between layers, and of weights. A seed gives the same masks on every device."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from recurra.ops.random import keep_mask

__all__ = ["dropout", "dropped_weights", "weights_called"]


def dropout(
    x: Tensor, rate: float, generator: torch.Generator | None, *, variational: bool = False
) -> Tensor:
    """Drop the share `rate` of x (B, T, D) and scale the rest up, so that the mean stays.

    Srivastava et al. 2014. `variational` drops the same units of a row at all its steps (Gal & Ghahramani 2016,
    arXiv 1512.05287, section 4).
    """
    return _drop(x, (x.shape[0], 1, x.shape[2]) if variational else x.shape, rate, generator)


def dropped_weights(
    module: nn.Module, rate: float, names: Collection[str], generator: torch.Generator | None
) -> dict[str, Tensor]:
    """The parameters whose last name is one of `names`, with the share `rate` of their numbers dropped.

    DropConnect (Wan et al. 2013) on recurrent matrices: Merity et al. 2017 (arXiv 1708.02182), section 3. The
    parameters themselves stay as they are; the result is for `torch.func.functional_call`.
    """
    weights = weights_called(names, module)
    return {name: _drop(weight, weight.shape, rate, generator) for name, weight in weights.items()}


def weights_called(names: Collection[str], module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters whose last name is one of `names`."""
    return {path: each for path, each in module.named_parameters() if path.rpartition(".")[2] in names}


def _drop(x: Tensor, shape: tuple[int, ...], rate: float, generator: torch.Generator | None) -> Tensor:
    return torch.where(keep_mask(shape, 1 - rate, x, generator) > 0, x / (1 - rate), 0.0)
