"""Batches as the extension takes them: step by step, each step's rows side by side, only those that still go on.

Legend: B rows, T steps, F numbers; N is B · T, or the sum of the lengths.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.ops.product import times

__all__ = ["Order"]


class Order:
    """The order in which the extension takes rows and steps, and the way to it and back."""

    def __init__(self, x: Tensor, lengths: Tensor | None) -> None:
        self.rows, self.steps = x.shape[:2]
        self.whole = lengths is None
        self.total = self.rows * self.steps
        if lengths is not None:
            self._sort(lengths)

    def _sort(self, lengths: Tensor) -> None:
        lengths, self.by_length = lengths.sort(descending=True, stable=True)
        steps = torch.arange(self.steps).unsqueeze(1)
        self._mask = steps < lengths  # (T, B), the longest rows first
        self.counts = self._mask.sum(1)
        self.offsets = self.counts.cumsum(0) - self.counts
        self.total = int(self.counts.sum())
        # Of (T · B), in the caller's order of rows.
        self._places = (steps * self.rows + self.by_length)[self._mask]

    def addresses(self) -> tuple[int, int]:
        """Of the counts and offsets of the steps, 0 where all rows are whole."""
        return (0, 0) if self.whole else (self.counts.data_ptr(), self.offsets.data_ptr())

    def enter(self, x: Tensor) -> Tensor:
        """X (B, T, F) as (N, F)."""
        if not self.whole and x.is_contiguous():
            steps, rows = self._places // max(self.rows, 1), self._places % max(self.rows, 1)
            return x.reshape(-1, x.shape[2]).index_select(0, rows * self.steps + steps)
        flat = x.transpose(0, 1).reshape(-1, x.shape[2])
        return flat if self.whole else flat.index_select(0, self._places)

    def leave(self, flat: Tensor) -> Tensor:
        """What `enter` was given, zeros past each row's length."""
        if not self.whole:
            flat = flat.new_zeros(self.steps * self.rows, flat.shape[1]).index_copy_(0, self._places, flat)
        return flat.view(self.steps, self.rows, flat.shape[1]).transpose(0, 1)

    def sorted(self, state: Tensor) -> Tensor:
        """A state's rows (B, F) in the extension's order."""
        return state if self.whole else state.index_select(0, self.by_length)

    def unsorted(self, state: Tensor) -> Tensor:
        """What `sorted` was given."""
        return state if self.whole else torch.empty_like(state).index_copy_(0, self.by_length, state)

    def product(self, gradients: Tensor, y: Tensor, h0: Tensor, reverse: bool) -> Tensor:
        """Transpose gradients (N, ·) and multiply by the h (N, H) that each step saw: y one step before, first h0."""
        if self.whole:
            rows, rest = self.rows, self.total - self.rows
            first, after = (rest, 0) if reverse else (0, rows)
            before = rows if reverse else 0
            found = times(gradients[after : after + rest].t(), y[before : before + rest])
            return found.addmm_(gradients[first : first + rows].t(), h0)
        return times(gradients.t(), torch.cat([y, h0]).index_select(0, self._seen(reverse)))

    def _seen(self, reverse: bool) -> Tensor:
        rows = torch.arange(self.rows)
        at = torch.where(self._mask, self.offsets.unsqueeze(1) + rows, self.total + rows)
        start = (self.total + rows).unsqueeze(0)
        seen = torch.cat([at[1:], start]) if reverse else torch.cat([start, at[:-1]])
        return seen[self._mask]
