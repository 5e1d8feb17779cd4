"""LSTM and GRU through torch's own kernels: whole sequences of equal length in the computer's memory."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fits", "gru", "lstm"]


def fits(x: Tensor, mask: Tensor | None) -> bool:
    """Whether torch's kernels take it: no ragged rows, at least one step, float32 or float64, on the CPU."""
    return (
        mask is None
        and x.shape[1] > 0
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
    )


def lstm(
    x: Tensor, h0: Tensor, c0: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.lstm`, for what `fits`."""
    weights = [weight_ih, weight_hh, bias, torch.zeros_like(bias)]
    y, h, c = torch.lstm(x, (h0.unsqueeze(0), c0.unsqueeze(0)), weights, True, 1, 0.0, False, False, True)
    return y, h.squeeze(0), c.squeeze(0)


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    bias_hn: Tensor,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """As `reference.gru`, for what `fits`."""
    units = bias_hn.shape[0]
    weights = [weight_ih, weight_hh, bias, torch.cat([bias_hn.new_zeros(2 * units), bias_hn])]
    y, h = torch.gru(x, h0.unsqueeze(0), weights, True, 1, 0.0, False, False, True)
    return y, h.squeeze(0)
