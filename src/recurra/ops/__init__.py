"""The recurrences as pure functions, and the one table that says which code runs them.

Each operation has a reference (plain torch, the definition, always there) and a fast path, taken where it
fits. The environment variable RECURRA_OPS may say `reference`, to take the fast path nowhere, or `native`, to
have an error where the extension is missing.

Legend: B rows, T steps, I inputs, H or D units; `lengths` (B,), each 0 … T, or None where all rows are whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra.ops import ragged
from recurra.ops.dense import cpu as dense_cpu
from recurra.ops.dense import reference as dense_reference
from recurra.ops.diagonal import cpu as diagonal_cpu
from recurra.ops.diagonal import reference as diagonal_reference

__all__ = ["TABLE", "Paths", "gru", "linear_scan", "lstm", "native_available", "ragged"]


class Paths(NamedTuple):
    """The two ways to run an operation, and where the fast one may be taken."""

    reference: Callable[..., Any]
    fast: Callable[..., Any]
    fits: Callable[..., bool]


def native_available() -> bool:
    """Whether the compiled extension is there; without it everything runs, slower, on the reference."""
    return diagonal_cpu.available()


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """h_t = a_t ⊙ h_{t-1} + b_t for a, b (B, T, D) and h0 (B, D); returns every h_t, (B, T, D).

    Past a row's length its h stays. Raises ValueError for shapes, types or lengths that do not fit together.
    """
    if a.dim() != 3 or a.shape != b.shape or h0.shape != (a.shape[0], a.shape[2]):
        raise ValueError(
            f"linear_scan takes a and b (B, T, D) and h0 (B, D), not {tuple(a.shape)}, {tuple(b.shape)} "
            f"and {tuple(h0.shape)}"
        )
    if not a.dtype == b.dtype == h0.dtype:
        raise ValueError(f"linear_scan takes one type of number, not {a.dtype}, {b.dtype} and {h0.dtype}")
    lengths = ragged.check(lengths, a)
    result: Tensor = _path("linear_scan", a, b, h0)(ragged.fill(a, lengths, 1.0), ragged.fill(b, lengths), h0)
    return result


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM over x (B, T, I) from h0, c0 (B, H); weights (4H, I), (4H, H), bias (4H,), gates i, f, g, o.

    Returns the outputs (B, T, H), zero past a row's length, and each row's last h and c.
    Raises ValueError for lengths that do not fit.
    """
    x, mask = _ragged(x, lengths)
    result: tuple[Tensor, Tensor, Tensor] = _path("lstm", x, mask)(
        x, h0, c0, weight_ih, weight_hh, bias, mask
    )
    return result


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    bias_hn: Tensor,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A GRU over x (B, T, I) from h0 (B, H); weights (3H, I), (3H, H), biases (3H,), (H,), gates r, z, n.

    The reset gate acts after the matrix product, as in torch. Returns the outputs (B, T, H), zero past a
    row's length, and each row's last h. Raises ValueError for lengths that do not fit.
    """
    x, mask = _ragged(x, lengths)
    result: tuple[Tensor, Tensor] = _path("gru", x, mask)(x, h0, weight_ih, weight_hh, bias, bias_hn, mask)
    return result


def _scan_fits(a: Tensor, b: Tensor, h0: Tensor) -> bool:
    on_cpu = a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64)
    return native_available() and on_cpu and not _has_tangent(a, b, h0)


TABLE = {
    #              the definition                  the fast path              where it fits
    "linear_scan": Paths(diagonal_reference.linear_scan, diagonal_cpu.linear_scan, _scan_fits),
    "lstm": Paths(dense_reference.lstm, dense_cpu.lstm, dense_cpu.fits),
    "gru": Paths(dense_reference.gru, dense_cpu.gru, dense_cpu.fits),
}


def _path(name: str, *inputs: Tensor | None) -> Callable[..., Any]:
    forced = os.environ.get("RECURRA_OPS", "")
    if forced not in ("", "reference", "native"):
        raise ValueError(f"RECURRA_OPS must be 'reference' or 'native', not {forced!r}")
    if forced == "native" and not native_available():
        raise ValueError(
            "RECURRA_OPS=native, but the extension was not built; reinstall recurra with a C++ compiler"
        )
    paths = TABLE[name]
    return paths.fast if forced != "reference" and paths.fits(*inputs) else paths.reference


def _ragged(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    lengths = ragged.check(lengths, x)
    return ragged.fill(x, lengths), None if lengths is None else ragged.valid(lengths, x.shape[1])


def _has_tangent(*tensors: Tensor) -> bool:
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)  # type: ignore[no-untyped-call]
