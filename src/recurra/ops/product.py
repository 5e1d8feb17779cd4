"""Matrix products of layers: by the extension's kernel, or torch's; large results in reused memory.

Memory that was used before has its pages, which new memory would have to be given at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recurra import native
from recurra.ops import workspace
from recurra.ops.modes import mapped

__all__ = ["fits", "linear", "linear_native", "times"]


def fits(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the result is large enough, float32 and in the computer's memory."""
    tensors = (x, weight) if bias is None else (x, weight, bias)
    plain = all(each.device.type == "cpu" and each.dtype == torch.float32 for each in tensors)
    large = x.numel() // max(1, x.shape[-1]) * weight.shape[0] >= workspace.SMALL
    return plain and large and not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, own: bool = False) -> Tensor:
    """As `torch.nn.functional.linear`, for what `fits`."""
    rows = x.reshape(-1, x.shape[-1])
    given = [each for each in (x, weight, bias) if each is not None]
    if torch.is_grad_enabled() and any(each.requires_grad for each in given):
        y: Tensor = _Linear.apply(rows, weight, bias, own)  # type: ignore[no-untyped-call]
    else:
        y = _forward(rows, weight, bias, own)
    return y.view(*x.shape[:-1], len(weight))


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, own: bool) -> Tensor:
    return times(x, weight.t(), bias, out=workspace.take(len(x), len(weight)), own=own)


def linear_native(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `linear`, by the extension."""
    return linear(x, weight, bias, own=True)


def times(
    a: Tensor, b: Tensor, start: Tensor | None = None, *, out: Tensor | None = None, own: bool = True
) -> Tensor:
    """A (M, K) times b (K, N), `start` (N,) added to every row; float32, no autograd, by the extension where `own`."""
    c = torch.empty(len(a), b.shape[1]) if out is None else out
    if own and c.numel() and a.shape[1] and _lies(a) and _lies(b) and (start is None or a.stride(1) == 1):
        _run(a, b, start, c)
    elif start is None:
        torch.mm(a, b, out=c)
    else:
        torch.addmm(start, a, b, out=c)
    return c


def _lies(x: Tensor) -> bool:
    return 1 in x.stride()


def _run(a: Tensor, b: Tensor, start: Tensor | None, c: Tensor) -> None:
    start = None if start is None else start.contiguous()
    product = native.extension().Gemm(
        torch.get_num_threads(),
        *a.shape,
        b.shape[1],
        a.data_ptr(),
        *a.stride(),
        b.data_ptr(),
        *b.stride(),
        0 if start is None else start.data_ptr(),
        c.data_ptr(),
    )
    room = workspace.take(product.room())
    product.run(room.data_ptr())


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, own):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        ctx.own = own
        return _forward(x, weight, bias, own)

    @staticmethod
    def backward(ctx, gy):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias, _ = ctx.needs_input_grad
        gx = gweight = None
        if torch.is_grad_enabled() or mapped(gy):
            gx = gy @ weight if for_x else None
            gweight = gy.t() @ x if for_weight else None
        else:
            gx = _forward(gy, weight.t(), None, ctx.own) if for_x else None
            gweight = times(gy.t(), x, own=ctx.own) if for_weight else None
        return gx, gweight, gy.sum(0) if for_bias else None, None
