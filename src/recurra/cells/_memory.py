"""What cells with a matrix for a memory share. Legend: N heads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

__all__ = ["draw_decay", "draw_taps", "gated_log_decay", "unit"]


def unit(x: Tensor, eps: float = 1e-6) -> Tensor:
    """A vector (…, D) at length 1: x / √(|x|² + ε), which is smooth at 0 too."""
    return x * (x.square().sum(-1, keepdim=True) + eps).rsqrt()


def gated_log_decay(gate: Tensor, rate: Tensor, bias: Tensor) -> Tensor:
    """The log of a decay as in Mamba: log w = -exp(rate) ⊙ softplus(gate + bias) ≤ 0.

    `gate` is (…, N), `rate` and `bias` (N,).
    """
    return -rate.exp() * softplus(gate + bias)


def draw_decay(rate: Tensor, bias: Tensor, generator: torch.Generator | None) -> None:
    """Fill `rate` and `bias` (N,) of `gated_log_decay` as Mamba-2 does.

    From U(1, 16) for exp(rate), log-uniformly from 0.001 … 0.1 for softplus(bias): Dao & Gu 2024, the authors'
    code.
    """
    with torch.no_grad():
        rate.uniform_(1.0, 16.0, generator=generator).log_()
        step = bias.uniform_(math.log(1e-3), math.log(0.1), generator=generator).exp_()
        bias.copy_(step + (-torch.expm1(-step)).log())


def draw_taps(taps: Tensor, generator: torch.Generator | None) -> None:
    """Fill a convolution's taps (kernel, D) from U(-1/√kernel, 1/√kernel)."""
    nn.init.uniform_(taps, -(len(taps) ** -0.5), len(taps) ** -0.5, generator=generator)
