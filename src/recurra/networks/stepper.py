"""A network, one step at a time, for beam search."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.state import flatten, select

__all__ = ["Stepper"]


class Steps(Protocol):
    """A network with `step(tokens (B,), state)`, which gives scores (B, V) of the next tokens and the state after."""

    def step(self, tokens: Tensor, state: Any, /) -> tuple[Tensor, Any]:
        """One step."""
        ...


class Stepper:
    """A network and its states, as `recurra.decoding.beam_search` calls them.

    The network is in evaluation mode; `state` has one row for each sentence, such as an encoder's last. Scores are
    normalized: logits do, and log-probabilities stay what they are.
    """

    def __init__(self, network: Steps, state: Any) -> None:
        self._network, self._state = network, state
        self._device = next(iter(flatten(state).values())).device

    @torch.no_grad()
    def __call__(self, parents: NDArray[np.int64] | None, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Go on from rows `parents` of the states before, all of them for None, with `tokens` (rows,).

        Gives log-probabilities (rows, vocabulary) of the tokens that may follow.
        """
        if parents is not None:
            self._state = select(self._state, torch.from_numpy(parents))
        scores, self._state = self._network.step(torch.from_numpy(tokens).to(self._device), self._state)
        log: NDArray[np.float64] = scores.double().log_softmax(-1).cpu().numpy()
        return log
