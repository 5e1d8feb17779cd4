"""The diagonal recurrence in plain torch: the definition that every faster path must meet."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["complex_product", "complex_scan", "linear_scan"]


def linear_scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for a, b (B, T, D) and h0 (B, D); returns every h_t, (B, T, D)."""
    h, steps = h0, []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        steps.append(h)
    return torch.stack(steps, 1) if steps else b.clone()


def complex_scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """As `linear_scan`, of complex numbers as real pairs: a, b (B, T, D, 2), h0 (B, D, 2)."""
    h, steps = h0, []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = complex_product(a_t, h) + b_t
        steps.append(h)
    return torch.stack(steps, 1) if steps else b.clone()


def complex_product(a: Tensor, b: Tensor) -> Tensor:
    """The product of complex numbers as real pairs (…, 2)."""
    a_real, a_imaginary = a.unbind(-1)
    b_real, b_imaginary = b.unbind(-1)
    return torch.stack(
        [a_real * b_real - a_imaginary * b_imaginary, a_real * b_imaginary + a_imaginary * b_real], -1
    )
