"""What a job brings to be trained: what its loss is (`Problem`) and where its batches come from (`Source`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from recurra.state import State

__all__ = ["Batch", "Problem", "Source"]


class Batch(Protocol):
    """What one step trains on; only the problem knows the rest of it."""

    @property
    def fresh(self) -> Tensor:
        """(B,) booleans: the rows whose state starts anew; the others go on from the batch before."""


N_contra = TypeVar("N_contra", bound=nn.Module, contravariant=True)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)
B_co = TypeVar("B_co", bound=Batch, covariant=True)


class Problem(Protocol[N_contra, B_contra]):
    """What a network is trained to do."""

    def initial_state(self, network: N_contra, batch_size: int) -> State:
        """The state of rows that start anew; `()` for a problem that carries none."""

    def loss(self, network: N_contra, batch: B_contra, state: State) -> tuple[Tensor, State]:
        """The mean loss of the batch, a scalar, and the state after it."""

    def evaluate(self, network: N_contra) -> float | None:
        """The loss on validation data, lower is better; None where there are none."""


class Source(Protocol[B_co]):
    """Where batches come from, without end, and how far it is."""

    def next(self) -> B_co:
        """The next batch."""

    def state_dict(self) -> Mapping[str, Any]:
        """The place in the data, its random generator's included: NumPy arrays and JSON values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a place in the data that `state_dict` told."""
