"""The sLSTM in plain torch: the definition that every faster path must meet."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from recurra.ops.dense.heads import headwise
from recurra.ops.dense.reference import loop

__all__ = ["SLSTMWeights", "slstm", "slstm_step"]


class SLSTMWeights(NamedTuple):
    """hh (4, heads, H/heads, H/heads), H of the result first, ih (4H, I), bias (4H,), gates i, f, z, o.

    Without ih, x (…, 4H) is added to the gates as it is.
    """

    ih: Tensor | None
    hh: Tensor
    bias: Tensor | None = None

    def enter(self, x: Tensor) -> Tensor:
        """What the input x (…, I) adds to the gates (…, 4H), bias included."""
        if self.ih is not None:
            return linear(x, self.ih, self.bias)
        return x if self.bias is None else x + self.bias


def slstm(
    x: Tensor, h0: Tensor, c0: Tensor, n0: Tensor, m0: Tensor, weights: SLSTMWeights, mask: Tensor | None
) -> tuple[Tensor, ...]:
    """The outputs (B, T, H), zero where `mask` (B, T) is false, and the last h, c, n and m of each row."""
    y, last = loop(
        lambda z, state, _: slstm_step(z, state[0], state[1], state[2], state[3], weights.hh),
        weights.enter(x),
        (h0, c0, n0, m0),
        mask,
        None,
    )
    return y, *last


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
