"""Masks of tokens from outside, such as a grammar's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError

__all__ = ["unpack"]


def unpack(mask: Any, vocabulary: int) -> NDArray[np.bool_]:
    """The mask (vocabulary,) as booleans, true for tokens that may come.

    It is given as booleans, or as bits in unsigned bytes or words (uint8 … uint64), the lowest bit of the first for
    token 0, as llguidance packs them. Raises UsageError for numbers of another kind, too few or too many of them.
    """
    mask = np.asarray(mask)
    size = 8 * mask.dtype.itemsize if mask.dtype.kind == "u" else 1
    if mask.dtype.kind not in "bu":
        raise UsageError("a mask must be booleans, or bits in unsigned numbers", value=mask.dtype)
    if mask.ndim != 1 or len(mask) != -(-vocabulary // size):
        kind, needed = mask.dtype.name, -(-vocabulary // size)
        raise UsageError(f"a mask of {kind} for {vocabulary} tokens must be ({needed},)", value=mask.shape)
    if size == 1:
        return np.array(mask, dtype=bool)
    packed = mask.astype(mask.dtype.newbyteorder("<")).view(np.uint8)
    bits: NDArray[np.uint8] = np.unpackbits(packed, count=vocabulary, bitorder="little")
    return bits.astype(bool)
