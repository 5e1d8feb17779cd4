"""How a training run went: what is kept of it, and read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Outcome", "Reason"]

Reason = Literal["steps", "patience", "time", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """How a training run went.

    Attributes
    ----------
    steps: how many were done.
    seconds: how long it took, resumed runs together.
    stopped: why it ended.
    best_step, best_loss: the best evaluation; None if there was none.
    loss: the training loss of the last step; None if there was none.
    """

    steps: int
    seconds: float
    stopped: Reason
    best_step: int | None
    best_loss: float | None
    loss: float | None
