"""A short causal convolution over time, each channel by itself."""

from __future__ import annotations

from torch import Tensor

__all__ = ["causal_convolution"]


def causal_convolution(p: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_t = bias + Σ_j weight_j ⊙ p_{t-j}, 0 ≤ j < kernel; p (B, kernel - 1 + T, D) -> y (B, T, D).

    `weight` (kernel, D) has the present step's tap first; `bias` (D,).
    """
    last = len(weight) - 1
    steps = p.shape[1] - last
    y = p[:, last:] * weight[0] if bias is None else p[:, last:] * weight[0] + bias
    for back in range(1, last + 1):
        y = y + p[:, last - back : last - back + steps] * weight[back]
    return y
