"""The diagonal recurrence in plain torch: the definition that every faster path must meet.

Legend: B rows, T steps, D units; `lengths` (B,), each 0 … T, or None where all rows are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from recurra.ops import ragged

__all__ = ["GATES", "Gates", "complex_product", "complex_scan", "gated_scan", "held", "linear_scan"]


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for a (B, T, D) or (D,), b (B, T, D) and h0 (B, D); returns every h_t, (B, T, D).

    Past a row's length its h stays, and a and b are not read.
    """
    a, b = held(a, b, lengths)
    h, steps = h0, []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        steps.append(h)
    return torch.stack(steps, 1) if steps else b.clone()


def complex_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """As `linear_scan`, of complex numbers as real pairs: a (B, T, D, 2) or (D, 2), b (B, T, D, 2), h0 (B, D, 2)."""
    a, b = held(a, b, lengths)
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


def held(a: Tensor, b: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """A and b, both (B, T, D) or (B, T, D, 2), with 1 and 0 past a row's length, so that h stays there."""
    a = a.expand_as(b)
    if lengths is None:
        return a, b
    one = torch.ones((), dtype=a.dtype, device=a.device)
    if a.dim() == 4:
        one = torch.tensor([1.0, 0.0], dtype=a.dtype, device=a.device)
    valid = ragged.valid(lengths, b.shape[1]).reshape(*b.shape[:2], *(1,) * (b.dim() - 2))
    return torch.where(valid, a, one), torch.where(valid, b, 0.0)


class Gates(NamedTuple):
    """The arithmetic around a cell's recurrence.

    `coefficients` makes a and b (…, D) out of z (…, blocks · D), and of `shared` (D,), the same at every step, where
    the cell has that; `readout` makes the output (…, D) out of z and the new h.
    """

    blocks: int
    coefficients: Callable[..., tuple[Tensor, Tensor]]
    readout: Callable[[Tensor, Tensor], Tensor]


def gated_scan(
    gates: str,
    z: Tensor,
    h0: Tensor,
    shared: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    scan: Callable[..., Tensor] = linear_scan,
) -> tuple[Tensor, Tensor]:
    """The recurrence of h0 (B, D) with a and b as `GATES[gates]` makes them of z (B, T, blocks · D).

    Returns the outputs (B, T, D), zero past a row's length, and each row's last h. `scan` runs the recurrence itself.
    """
    _, coefficients, readout = GATES[gates]
    a, b = coefficients(z) if shared is None else coefficients(z, shared)
    h = scan(a, b, h0, lengths)
    last = torch.cat([h0.unsqueeze(1), h[:, -1:]], 1)[:, -1]  # h0 where there are no steps
    return ragged.fill(readout(z, h), lengths), last


def _min_gru(z: Tensor) -> tuple[Tensor, Tensor]:
    gate, candidate = z.chunk(2, -1)
    return (-gate).sigmoid(), gate.sigmoid() * candidate


def _min_lstm(z: Tensor) -> tuple[Tensor, Tensor]:
    forget, entrance, candidate = z.chunk(3, -1)
    # f / (f + i) = σ(log f - log i), which holds where both underflow.
    ratio = logsigmoid(forget) - logsigmoid(entrance)
    return ratio.sigmoid(), (-ratio).sigmoid() * candidate


def _qrnn(z: Tensor) -> tuple[Tensor, Tensor]:
    candidate, forget, _ = z.chunk(3, -1)
    return forget.sigmoid(), (-forget).sigmoid() * candidate.tanh()


def _qrnn_output(z: Tensor, h: Tensor) -> Tensor:
    return z.chunk(3, -1)[2].sigmoid() * h


def _sru(z: Tensor) -> tuple[Tensor, Tensor]:
    candidate, forget, _, _ = z.chunk(4, -1)
    return forget.sigmoid(), (-forget).sigmoid() * candidate


def _sru_output(z: Tensor, h: Tensor) -> Tensor:
    _, _, reset, highway = z.chunk(4, -1)
    return torch.lerp(highway, h.tanh(), reset.sigmoid())


def _rg_lru(z: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    u, recurrence, entrance = z.chunk(3, -1)
    log_a = log_decay * recurrence.sigmoid()
    # Where a rounds to 1 the root's slope would be infinite.
    scale = (-torch.expm1(2 * log_a)).clamp(min=torch.finfo(z.dtype).eps ** 2).sqrt()
    return log_a.exp(), scale * entrance.sigmoid() * u


def _state(z: Tensor, h: Tensor) -> Tensor:
    return h


GATES: dict[str, Gates] = {
    "min_gru": Gates(2, _min_gru, _state),  # z: the gate, the candidate
    "min_lstm": Gates(3, _min_lstm, _state),  # the forget gate, the input gate, the candidate
    "qrnn": Gates(3, _qrnn, _qrnn_output),  # the candidate, the forget gate, the output gate
    "sru": Gates(
        4, _sru, _sru_output
    ),  # the candidate, the forget gate, the reset gate, what the highway leads
    "rg_lru": Gates(
        3, _rg_lru, _state
    ),  # u, the recurrence gate, the input gate; shared: log a with the gate open
}
