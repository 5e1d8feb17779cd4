"""Training: one loop for every job, with a schedule, averaging, early stopping and exact resumption.

A trained model is used without torch, and what is said of its training is read so: torch is loaded with `train`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.training.loop import train
    from recurra.training.outcome import Outcome
    from recurra.training.problem import Batch, Problem, Source
    from recurra.training.recipe import Recipe

__all__ = ["Batch", "Outcome", "Problem", "Recipe", "Source", "train"]

_WHERE = {
    "Batch": "problem",
    "Outcome": "outcome",
    "Problem": "problem",
    "Recipe": "recipe",
    "Source": "problem",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'recurra.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recurra.training.{_WHERE[name]}"), name)
