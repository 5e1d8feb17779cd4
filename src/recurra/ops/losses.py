"""The cross entropy of scores through the extension: one walk forward and one back, the gradient in reused memory.

Legend: N rows, V classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recurra import native
from recurra.ops import workspace
from recurra.ops.modes import mapped, traced

__all__ = ["cross_entropy", "fits", "reference"]


def reference(scores: Tensor, target: Tensor) -> Tensor:
    """The definition: log Σ exp(scores) - scores[target], (N,), from scores (N, V) and targets (N,) in 0 … V - 1."""
    # No target stands for "ignore": all of them are checked.
    return functional.cross_entropy(
        scores, target, reduction="none", ignore_index=torch.iinfo(torch.int64).min
    )


def fits(scores: Tensor, target: Tensor) -> bool:
    """Whether these are plain float32 scores and 64-bit targets in the computer's memory, and no program is made."""
    here = scores.device.type == target.device.type == "cpu"
    kinds = scores.dtype == torch.float32 and target.dtype == torch.int64
    shapes = scores.dim() == 2 and target.shape == scores.shape[:1] and scores.shape[1] > 0
    return here and kinds and shapes and not traced()


def cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """As `reference`, for what `fits`; IndexError for a target that is no class."""
    if len(target):
        low, high = (int(each) for each in torch.aminmax(target))
        if low < 0 or high >= scores.shape[1]:
            raise IndexError(f"Target {low if low < 0 else high} is out of bounds.")
    scores, target = scores.contiguous(), target.contiguous()
    if torch.is_grad_enabled() and scores.requires_grad:
        found: Tensor = _CrossEntropy.apply(scores, target)  # type: ignore[no-untyped-call]
        return found
    return _forward(scores, target)[0]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scores, target):  # type: ignore[no-untyped-def]
        losses, normalizers = _forward(scores, target)
        ctx.save_for_backward(scores, target, normalizers)
        return losses

    @staticmethod
    def backward(ctx, glosses):  # type: ignore[no-untyped-def]
        scores, target, normalizers = ctx.saved_tensors
        if torch.is_grad_enabled() or mapped(glosses):
            one = functional.one_hot(target, scores.shape[1])
            return (scores.softmax(-1) - one) * glosses.unsqueeze(-1), None
        found = workspace.take(*scores.shape)
        _call(True, scores, target, normalizers, normalizers, glosses.contiguous(), found)
        return found, None


def _forward(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    losses, normalizers = scores.new_empty(len(scores)), scores.new_empty(len(scores))
    _call(False, scores, target, normalizers, losses)
    return losses, normalizers


def _call(backward: bool, scores: Tensor, *arrays: Tensor) -> None:
    addresses = [each.data_ptr() for each in (scores, *arrays)]
    native.extension().cross_entropy(backward, torch.get_num_threads(), *scores.shape, *addresses)
