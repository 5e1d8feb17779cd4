"""Training: one loop for every job, with a schedule, averaging, early stopping and exact resumption."""

from __future__ import annotations

from recurra.training.loop import Batch, Outcome, Problem, Source, train
from recurra.training.recipe import Recipe

__all__ = ["Batch", "Outcome", "Problem", "Recipe", "Source", "train"]
