"""Dynamic evaluation: a network that goes on learning from what it reads. Krause et al. 2018, arXiv 1709.07432.

After each window of text the weights move against its gradient, scaled by its usual size, and a little back to where
they began (equations 5 and 6, "RMS with RMS-scaled decay").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recurra import state as states
from recurra.networks import TokenNetwork

__all__ = ["dynamic_evaluation", "gradient_sizes"]

TINY = 1e-4


def gradient_sizes(network: TokenNetwork, tokens: Tensor, *, window: int, most: int = 200) -> list[Tensor]:
    """The root mean square of each weight's gradients over windows of `tokens` (N,), `most` windows at most."""
    squares = [torch.zeros_like(each) for each in network.parameters()]
    count = max(1, min(most, (len(tokens) - 1) // window))
    starts = torch.linspace(0, max(0, len(tokens) - 1 - window), count).long().tolist()
    for start in starts:
        part = tokens[start : start + window + 1][None]
        loss, _ = network.loss(part[:, :-1], part[:, 1:], network.initial_state(1))
        for square, gradient in zip(
            squares, torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            square.addcmul_(gradient, gradient)
    return [square.div_(count).sqrt_() for square in squares]


def dynamic_evaluation(
    network: TokenNetwork,
    tokens: Tensor,
    *,
    sizes: list[Tensor],
    rate: float = 2e-3,
    decay: float = 0.02,
    window: int = 5,
    told: Callable[[int, float], None] | None = None,
) -> float:
    """Read `tokens` (N,) from a new state on, learning from each window after it was told; nats for each token.

    The network is in evaluation mode, and its weights are other ones afterwards.

    Parameters
    ----------
    sizes: of the gradients, from `gradient_sizes` of the text that the network was trained on.
    rate: η, how far a window moves the weights.
    decay: λ, how far they move back to where they began, 0 … 1; more where gradients are large.
    window: how many tokens are read before the weights move.
    told: called after each window with how many tokens were read and the mean so far.
    """
    parameters = list(network.parameters())
    origin = [each.detach().clone() for each in parameters]
    usual = sum(float(size.sum()) for size in sizes) / sum(size.numel() for size in sizes)
    pull = [(decay * size / (usual + TINY)).clamp_(max=1.0) for size in sizes]
    scale = [rate / (size + TINY) for size in sizes]
    state, total, count = network.initial_state(1), 0.0, len(tokens) - 1
    for start in range(0, count, window):
        part = tokens[start : min(start + window, count) + 1][None]
        loss, state = network.loss(part[:, :-1], part[:, 1:], state)
        state = states.detach(state)
        gradients = torch.autograd.grad(loss, parameters)
        total += loss.item() * (part.shape[1] - 1)
        with torch.no_grad():
            for each, gradient, step, back, first in zip(
                parameters, gradients, scale, pull, origin, strict=True
            ):
                each.addcmul_(gradient, step, value=-1.0)
                if decay:
                    each.add_(back * (first - each))
        if told is not None:
            told(start + part.shape[1] - 1, total / (start + part.shape[1] - 1))
    return total / max(1, count)
