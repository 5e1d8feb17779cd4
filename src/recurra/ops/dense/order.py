"""The direction of time and the rows' own ends, for code that reads every row whole, from first to last step."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor

from recurra.ops import ragged

__all__ = ["in_order"]


def in_order(run: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """Let `run`(x, …, mask, …) be called with `lengths, reverse` in the mask's place, after states and weights.

    x comes in the order in which it is read, without its padding's content; `mask` (B, T) is true where rows go on,
    or None.
    """

    @wraps(run)
    def called(
        x: Tensor,
        states: tuple[Tensor, ...],
        weights: Any,
        lengths: Tensor | None,
        reverse: bool,
        *options: Any,
    ) -> tuple[Tensor, ...]:
        x = ragged.fill(x, lengths)
        mask = None if lengths is None else ragged.valid(lengths, x.shape[1])
        y, *last = run(ragged.reverse(x, lengths) if reverse else x, *states, weights, mask, *options)
        return ragged.reverse(y, lengths) if reverse else y, *last

    return called
