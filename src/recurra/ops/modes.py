"""What torch is doing around an operation, which it has no public way to ask."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mapped", "traced"]


def mapped(x: Tensor) -> bool:
    """Whether vmap or another transform of torch.func is at work on `x`, whose memory cannot be reached then."""
    # `is_grads_batched` and vectorized Jacobians still go by the older vmap.
    older = torch._C._functorch.is_legacy_batchedtensor(x)
    return older or torch._C._functorch.peek_interpreter_stack() is not None


def traced() -> bool:
    """Whether a program is being made of what runs: by a compiler, by `torch.export` or by `make_fx`."""
    if torch.compiler.is_compiling():
        return True
    # `make_fx` lets a mode see every call, and `is_compiling` knows nothing of it.
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
