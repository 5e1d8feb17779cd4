"""The diagonal recurrence in plain torch: the definition that every faster path must meet."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_scan"]


def linear_scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for a, b (B, T, D) and h0 (B, D); returns every h_t, (B, T, D)."""
    h, steps = h0, []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        steps.append(h)
    return torch.stack(steps, 1) if steps else b.clone()
