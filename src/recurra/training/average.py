"""The weights of a network as a plain dictionary, and their exponential average over training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["Average", "load", "snapshot", "tensors"]


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """The network's own parameters and buffers by name; a tensor shared by two layers comes once."""
    own: dict[str, Tensor] = dict(network.named_parameters())
    return own | dict(network.named_buffers())


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in tensors(network).items()}


def load(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy `weights` into the network; raises KeyError for a missing one, ValueError for another shape."""
    with torch.no_grad():
        for name, tensor in tensors(network).items():
            new = weights[name]
            if new.shape != tensor.shape:  # copy_ would broadcast
                raise ValueError(f"{name} has the shape {tuple(new.shape)}, not {tuple(tensor.shape)}")
            tensor.copy_(new)


class Average:
    """The exponential average of a network's weights, which generalises better than the last weights do.

    The decay warms up, so that the first, untrained weights are soon forgotten: after n updates it is
    min(decay, (1 + n) / (10 + n)). Polyak and Juditsky (1992); the warm-up is TensorFlow's `num_updates`.

    Parameters
    ----------
    network: where the average starts.
    decay: in [0, 1); with 0 the average is the network's last weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = snapshot(network)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's weights; whole numbers are copied."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, tensor in tensors(network).items():
            if tensor.is_floating_point() and decay > 0:
                self.weights[name].lerp_(tensor, 1 - decay)
            else:
                self.weights[name].copy_(tensor)
