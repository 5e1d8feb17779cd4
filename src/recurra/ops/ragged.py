"""Batches whose rows have different lengths: checks, masks and the flip that respects each row's own end.

Legend: B rows, T steps, `lengths` (B,) integers in 0 … T.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.ops.modes import traced

__all__ = ["check", "fill", "reverse", "valid"]


def check(lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """`lengths` on the device of `x` (B, T, …), or ValueError when they do not fit it; None stays None."""
    if lengths is None:
        return None
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be integers, not {lengths.dtype}")
    if lengths.shape != x.shape[:1]:
        raise ValueError(
            f"lengths must have shape {tuple(x.shape[:1])}, one for each row, not {tuple(lengths.shape)}"
        )
    # A traced program cannot look at values, nor can vmap.
    hidden = traced() or torch._C._functorch.is_functorch_wrapped_tensor(lengths)
    if not hidden and ((lengths < 0) | (lengths > x.shape[1])).any():
        raise ValueError(f"lengths must lie in 0 … {x.shape[1]} (the steps of x), not {lengths.tolist()}")
    return lengths.to(x.device, torch.int64)


def valid(lengths: Tensor, steps: int) -> Tensor:
    """(B, T), true where a row still has a step."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def fill(x: Tensor, lengths: Tensor | None, value: float = 0.0) -> Tensor:
    """`x` (B, T, …) with `value` past each row's length, whatever stood there, NaN included."""
    if lengths is None:
        return x
    return torch.where(valid(lengths, x.shape[1]).reshape(*x.shape[:2], *(1,) * (x.dim() - 2)), x, value)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`x` (B, T, D) turned round in time, each row within its own length; the padding stays where it is.

    >>> x = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]]).unsqueeze(-1)
    >>> reverse(x, torch.tensor([3, 4])).squeeze(-1).tolist()
    [[3, 2, 1, 0], [7, 6, 5, 4]]
    """
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.unsqueeze(1) - 1
    index = torch.where(steps <= last, last - steps, steps)
    return x.gather(1, index.unsqueeze(-1).expand_as(x))
