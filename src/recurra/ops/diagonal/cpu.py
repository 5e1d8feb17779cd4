"""The diagonal recurrence through the extension: a torch operator with fake kernel, gradients and vmap.

The gradient of a scan is a scan in the other direction, so the operator differentiates into itself.
Forward-mode derivatives are not registered: the dispatch sends them to the reference.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import Tensor

_native: ModuleType | None
try:
    _native = importlib.import_module("recurra._native")
except ModuleNotFoundError:
    _native = None

__all__ = ["available", "linear_scan"]


def available() -> bool:
    """Whether the extension was built."""
    return _native is not None


def linear_scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """As `reference.linear_scan`, for float32 or float64 tensors in the computer's memory."""
    result: Tensor = _scan(a, b, h0, False)
    return result


@torch.library.custom_op("recurra::linear_scan", mutates_args=())
def _scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    if _native is None:
        raise RuntimeError("recurra's extension was not built; use recurra.ops.linear_scan, which falls back")
    out = torch.empty(b.shape, dtype=b.dtype)
    _native.linear_scan(
        a.contiguous(), b.contiguous(), h0.contiguous(), out, reverse, torch.get_num_threads()
    )
    return out


@_scan.register_fake
def _(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    return torch.empty(b.shape, dtype=b.dtype, device=b.device)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    a, _, h0, ctx.reverse = inputs
    ctx.save_for_backward(a, h0, output)


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    a, h0, h = ctx.saved_tensors
    first, zero, before = h0.unsqueeze(1), torch.zeros_like(a[:, :1]), slice(None, -1)
    if ctx.reverse:
        previous, following, start = (
            torch.cat([h[:, 1:], first], 1),
            torch.cat([zero, a[:, before]], 1),
            slice(-1, None),
        )
    else:
        previous, following, start = (
            torch.cat([first, h[:, before]], 1),
            torch.cat([a[:, 1:], zero], 1),
            slice(0, 1),
        )
    if a.shape[1] == 0:
        previous = h
    adjoint = _scan(following, grad, torch.zeros_like(h0), not ctx.reverse)
    return adjoint * previous, adjoint, (a[:, start] * adjoint[:, start]).sum(1), None


_scan.register_autograd(_backward, setup_context=_save)


@_scan.register_vmap
def _(info, in_dims, a, b, h0, reverse):  # type: ignore[no-untyped-def]
    size = info.batch_size
    a, b, h0 = (
        x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)
        for x, axis in zip((a, b, h0), in_dims[:3], strict=True)
    )
    out = _scan(a.flatten(0, 1), b.flatten(0, 1), h0.flatten(0, 1), reverse)
    return out.unflatten(0, (size, -1)), 0
