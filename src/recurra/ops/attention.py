"""Attention over a memory. Legend: B rows, T steps, S places, N heads; D, V numbers of a key, a value, in all heads."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.ops import ragged
from recurra.ops.dense.heads import units_of_a_head
from recurra.ops.modes import traced

__all__ = ["attend"]


def attend(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention, each head by itself: softmax(q kᵀ / √(D/N)) v.

    Vaswani et al. 2017 (arXiv 1706.03762), equation 1. From query (B, D) or (B, T, D), keys (B, S, D) and values
    (B, S, V) it gives (B, V) or (B, T, V). Places from a row's length in `lengths` (B,) on weigh nothing, but must be
    finite; where the length is 0, so is the result. Raises ValueError for shapes that do not fit together.

    In a program traced without gradients (`make_fx`, `torch.export`) it is one operator, `recurra::attend`.
    """
    _check(query, keys, values, lengths, heads)
    if traced() and not torch.is_grad_enabled():
        found: Tensor = _attend(query, keys, values, lengths, heads)
        return found
    return _reference(query, keys, values, lengths, heads)


def _reference(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> Tensor:
    one = query.dim() == 2
    q = _by_head(query.unsqueeze(1) if one else query, heads)
    k, v = _by_head(keys, heads), _by_head(values, heads)
    there = ragged.valid(lengths, keys.shape[1])[:, None, None]
    scores = q @ k.mT * q.shape[-1] ** -0.5
    # Not -∞, of which a row without places would make NaN.
    share = torch.where(there, scores, torch.finfo(scores.dtype).min).softmax(-1)
    found = (torch.where(there, share, 0.0) @ v).transpose(1, 2).flatten(2)
    return found.squeeze(1) if one else found


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(B, S, D) -> (B, N, S, D/N)."""
    return x.view(*x.shape[:2], heads, x.shape[2] // heads).transpose(1, 2)


def _check(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> None:
    rows, places = keys.shape[:2]
    one_batch = {query.shape[0], values.shape[0], *lengths.shape} == {rows} and lengths.dim() == 1
    alike = query.shape[-1] == keys.shape[-1] and values.shape[1] == places
    if query.dim() not in (2, 3) or keys.dim() != 3 or values.dim() != 3 or not one_batch or not alike:
        raise ValueError(
            "attend takes query (B, D) or (B, T, D), keys (B, S, D), values (B, S, V) and lengths (B,), not "
            f"{tuple(query.shape)}, {tuple(keys.shape)}, {tuple(values.shape)} and {tuple(lengths.shape)}"
        )
    for size in (keys.shape[-1], values.shape[-1]):
        units_of_a_head(size, heads)


@torch.library.custom_op("recurra::attend", mutates_args=())
def _attend(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> Tensor:
    return _reference(query, keys, values, lengths, heads).contiguous()


@_attend.register_fake
def _(query: Tensor, keys: Tensor, values: Tensor, lengths: Tensor, heads: int) -> Tensor:
    return query.new_empty(*query.shape[:-1], values.shape[-1])
