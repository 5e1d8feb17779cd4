"""Random masks that a seed decides alone: the same on every device, eager or compiled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["keep_mask"]


def keep_mask(shape: Sequence[int], keep: float, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Ones with probability `keep`, 0 … 1, else zeros, in `like`'s type and on its device.

    The numbers come from `generator`, a CPU generator, or from torch's default one, and then move to the device, so
    that a seed gives one mask everywhere (pytorch issue 104697). A compiled program cannot hold a generator and draws
    from the default one: it raises ValueError where another is given.
    """
    if torch.compiler.is_compiling():
        if generator is not None:
            raise ValueError(
                "a compiled program draws from torch's default generator: seed that, and give none"
            )
        drawn: Tensor = _draw(list(shape), keep)
    else:
        drawn = torch.empty(tuple(shape)).bernoulli_(keep, generator=generator)
    return drawn.to(like.device, like.dtype)


# An operator of our own: a compiler would draw from a generator of its own, in another order.
@torch.library.custom_op("recurra::keep_mask", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _draw(shape: Sequence[int], keep: float) -> Tensor:
    return torch.empty(tuple(shape)).bernoulli_(keep)


@_draw.register_fake
def _(shape: Sequence[int], keep: float) -> Tensor:
    return torch.empty(tuple(shape))
