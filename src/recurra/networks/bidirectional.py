"""A layer that reads a sequence from both ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.cell import Cell
from recurra.ops import ragged
from recurra.state import State

__all__ = ["Bidirectional"]


class Bidirectional(nn.Module):
    """Two cells over the same sequence; the second runs from each row's own end to its start."""

    def __init__(self, ahead: Cell, back: Cell) -> None:
        super().__init__()
        if ahead.input_size != back.input_size:
            raise ValueError(f"a pair of cells takes one input, not {ahead.input_size} and {back.input_size}")
        self.ahead, self.back = ahead, back
        self.input_size, self.output_size = ahead.input_size, ahead.output_size + back.output_size

    def initial_state(self, batch_size: int, **kwargs: Any) -> tuple[State, State]:
        """Both cells' states before their first step."""
        return self.ahead.initial_state(batch_size, **kwargs), self.back.initial_state(batch_size, **kwargs)

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> tuple[Any, Any]:
        """Both cells' noise."""
        return self.ahead.noise(batch_size, steps, generator), self.back.noise(batch_size, steps, generator)

    def forward(
        self, x: Tensor, state: Any, lengths: Tensor | None = None, noise: tuple[Any, Any] | None = None
    ) -> tuple[Tensor, tuple[State, State]]:
        """All steps of x (B, T, I): both cells' outputs side by side (B, T, O), and their states."""
        noise = noise or (None, None)
        y, ahead = self.ahead.sequence(x, state[0], lengths, noise[0])
        reversed_y, back = self.back.sequence(ragged.reverse(x, lengths), state[1], lengths, noise[1])
        return torch.cat([y, ragged.reverse(reversed_y, lengths)], -1), (ahead, back)
