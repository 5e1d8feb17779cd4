"""How a training run went: what is kept of it, and read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from recurra.errors import ModelError

__all__ = ["Outcome", "Reason", "outcome_of"]

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


def outcome_of(told: Mapping[str, Any]) -> Outcome:
    """The outcome that a model folder tells of, as `dataclasses.asdict` wrote it; ModelError for what is not sound."""
    outcome = Outcome(**told)
    counts = [outcome.steps, *(() if outcome.best_step is None else [outcome.best_step])]
    amounts = [outcome.seconds, *(x for x in (outcome.best_loss, outcome.loss) if x is not None)]
    whole = all(isinstance(count, int) for count in counts)
    if not whole or not all(isinstance(amount, int | float) for amount in amounts):
        raise ModelError("what is told of the training is not sound", value=dict(told))
    if outcome.stopped not in get_args(Reason):
        raise ModelError("a training cannot end like that", value=outcome.stopped)
    return outcome
