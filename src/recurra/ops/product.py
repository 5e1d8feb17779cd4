"""torch's linear layer with its large results in reused memory, whose pages need not be made anew at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.ops import workspace
from recurra.ops.modes import mapped

__all__ = ["fits", "linear"]


def fits(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the result is large enough, float32 and in the computer's memory."""
    tensors = (x, weight) if bias is None else (x, weight, bias)
    plain = all(each.device.type == "cpu" and each.dtype == torch.float32 for each in tensors)
    large = x.numel() // max(1, x.shape[-1]) * weight.shape[0] >= workspace.SMALL
    return plain and large and not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `torch.nn.functional.linear`, for what `fits`."""
    rows = x.reshape(-1, x.shape[-1])
    given = [each for each in (x, weight, bias) if each is not None]
    if torch.is_grad_enabled() and any(each.requires_grad for each in given):
        y: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    else:
        y = _forward(rows, weight, bias)
    return y.view(*x.shape[:-1], len(weight))


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = workspace.take(len(x), len(weight))
    if bias is None:
        return torch.mm(x, weight.t(), out=y)
    return torch.addmm(bias, x, weight.t(), out=y)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        return _forward(x, weight, bias)

    @staticmethod
    def backward(ctx, gy):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        gx = gweight = None
        if for_x and (torch.is_grad_enabled() or mapped(gy)):
            gx = gy @ weight
        elif for_x:
            gx = _forward(gy, weight.t(), None)
        if for_weight:
            gweight = gy.t() @ x
        return gx, gweight, gy.sum(0) if for_bias else None
