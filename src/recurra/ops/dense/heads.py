"""Block-diagonal matrices: units parted into heads that do not see one another."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["headwise", "units_of_a_head"]


def units_of_a_head(units: int, heads: int) -> int:
    """How many units each of the heads has; ValueError where the heads do not divide them."""
    if heads < 1 or units % heads:
        raise ValueError(f"{units} units cannot be parted into {heads} heads")
    return units // heads


def headwise(x: Tensor, weight: Tensor) -> Tensor:
    """Take x (…, heads · I) through G matrices of diagonal blocks (G, heads, O, I), to (…, G, heads · O)."""
    parted = x.reshape(*x.shape[:-1], *weight.shape[1::2])
    return torch.einsum("...hi,ghoi->...gho", parted, weight).flatten(-2)
