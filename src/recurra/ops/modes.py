"""What torch is doing around an operation, which it has no public way to ask."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mapped"]


def mapped(x: Tensor) -> bool:
    """Whether vmap or another transform of torch.func is at work on `x`, whose memory cannot be reached then."""
    # `is_grads_batched` and vectorized Jacobians still go by the older vmap.
    older = torch._C._functorch.is_legacy_batchedtensor(x)
    return older or torch._C._functorch.peek_interpreter_stack() is not None
