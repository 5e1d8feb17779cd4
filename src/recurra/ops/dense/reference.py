"""LSTM and GRU in plain torch, step by step: the definition that every faster path must meet.

Legend: B rows, T steps, I inputs, H units. Gates are stacked in torch's order: LSTM i, f, g, o; GRU r, z, n.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

__all__ = ["gru", "gru_step", "lstm", "lstm_step"]


def lstm_step(z: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor) -> tuple[Tensor, Tensor]:
    """One step from the projected input z (B, 4H), bias included; returns the new h and c, both (B, H)."""
    i, f, g, o = (z + linear(h, weight_hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(z: Tensor, h: Tensor, weight_hh: Tensor, bias_hn: Tensor) -> Tensor:
    """One step from the projected input z (B, 3H), bias included; returns the new h (B, H)."""
    (r, u, n), (hr, hu, hn) = z.chunk(3, -1), linear(h, weight_hh).chunk(3, -1)
    r, u = (r + hr).sigmoid(), (u + hu).sigmoid()
    n = (n + r * (hn + bias_hn)).tanh()
    return (1 - u) * n + u * h


def lstm(
    x: Tensor, h0: Tensor, c0: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs (B, T, H), zero where `mask` (B, T) is false, and the last h and c of each row."""
    h, c, outputs = h0, c0, []
    for step, z in enumerate(linear(x, weight_ih, bias).unbind(1)):
        new_h, new_c = lstm_step(z, h, c, weight_hh)
        y, (h, c) = _kept(mask, step, new_h, (new_h, new_c), (h, c))
        outputs.append(y)
    return _stack(outputs, x, h0), h, c


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    bias_hn: Tensor,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The outputs (B, T, H), zero where `mask` (B, T) is false, and the last h of each row."""
    h, outputs = h0, []
    for step, z in enumerate(linear(x, weight_ih, bias).unbind(1)):
        new = gru_step(z, h, weight_hh, bias_hn)
        y, (h,) = _kept(mask, step, new, (new,), (h,))
        outputs.append(y)
    return _stack(outputs, x, h0), h


def _kept(
    mask: Tensor | None, step: int, y: Tensor, new: tuple[Tensor, ...], old: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    if mask is None:
        return y, new
    going = mask[:, step].unsqueeze(1)
    return torch.where(going, y, 0.0), tuple(torch.where(going, a, b) for a, b in zip(new, old, strict=True))


def _stack(outputs: list[Tensor], x: Tensor, h0: Tensor) -> Tensor:
    return torch.stack(outputs, 1) if outputs else x.new_zeros(x.shape[0], 0, h0.shape[1])
