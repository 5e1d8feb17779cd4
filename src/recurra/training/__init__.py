"""Training: one loop for every job, with a schedule, averaging, early stopping and exact resumption."""

from __future__ import annotations

from recurra.training.loop import Outcome, train
from recurra.training.problem import Batch, Problem, Source
from recurra.training.recipe import Recipe

__all__ = ["Batch", "Outcome", "Problem", "Recipe", "Source", "train"]
