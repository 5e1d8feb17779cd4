"""The sLSTM in plain torch: the definition that every faster path must meet."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from recurra.ops.dense.heads import headwise

__all__ = ["slstm_step"]


def slstm_step(
    z: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor, weight_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step from the projected input z (B, 4H), gates i, f, z, o, bias included, and h, c, n, m (B, H) before.

    `weight_hh` is (4, heads, H/heads, H/heads), H of the result first. Returns the new h, c, n, m.
    """
    log_i, f, value, o = (z.reshape(*h.shape[:-1], 4, h.shape[-1]) + headwise(h, weight_hh)).unbind(-2)
    kept = logsigmoid(f) + m
    m = torch.maximum(kept, log_i)
    i, f = (log_i - m).exp(), (kept - m).exp()
    c = f * c + i * value.tanh()
    n = f * n + i
    # n is at least 1 after every step, one of i and f being 1; the clamp only makes a state from elsewhere harmless.
    return o.sigmoid() * c / n.clamp(min=1.0), c, n, m
