"""A bounded pool of large buffers that training steps take and give back.

Memory fresh from the system is written 4 to 5 times more slowly than memory that was used before, for its pages are
only then made, and a training step asks for the same sizes again and again.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque

import numpy as np
import torch
from torch import Tensor

__all__ = ["BOUND", "clear", "take", "waiting"]

BOUND = 1 << 29  # bytes that wait in the pool at most
SMALL = 1 << 16  # numbers below which the allocator's own memory is warm

_lock = threading.Lock()
_waiting: OrderedDict[int, list[np.ndarray]] = OrderedDict()  # by size; what was used last stands last
_returned: deque[np.ndarray] = (
    deque()
)  # not yet sorted in: appending needs no lock, and a finalizer must not wait
_bytes = 0


class _Lent(np.ndarray):
    """What a tensor stands on: torch lets go of it with the last tensor that shares its memory."""

    def __del__(self) -> None:
        if type(self.base) is np.ndarray:
            _returned.append(self.base)
            _sort_in(wait=False)


def take(*shape: int) -> Tensor:
    """A float32 tensor of any content; its memory goes back to the pool with the last tensor that shares it."""
    count = math.prod(shape)
    if count < SMALL:
        return torch.empty(shape)
    whole = _find(_rounded(count))
    lent = whole.view(_Lent)  # its base is `whole`, whatever is cut from it below
    tensor = torch.from_numpy(lent)
    start = -tensor.data_ptr() % 64 // 4
    tensor = tensor[start : start + count].view(shape)
    if torch.are_deterministic_algorithms_enabled():
        tensor.fill_(math.nan)  # as torch fills its own
    return tensor


def waiting() -> int:
    """How many bytes wait in the pool."""
    _sort_in(wait=True)
    return _bytes


def clear() -> None:
    """Give what waits back to the system."""
    global _bytes
    _sort_in(wait=True)
    with _lock:
        _waiting.clear()
        _bytes = 0


def _rounded(count: int) -> int:
    """A size that others can use too, at most an eighth more, with room to begin at a cache line."""
    step = 1 << count.bit_length() - 4
    return -(-count // step) * step + 16


def _find(size: int) -> np.ndarray:
    global _bytes
    _sort_in(wait=True)
    with _lock:
        found = _waiting.get(size)
        if found:
            _bytes -= 4 * size
            return found.pop()
    return np.empty(size, np.float32)


def _sort_in(wait: bool) -> None:
    """Sort in what came back, and drop what was used longest ago until the rest is within BOUND."""
    global _bytes
    if not _lock.acquire(blocking=wait):
        return  # another thread sorts, or this one was interrupted by a finalizer while it did
    try:
        while _returned:
            whole = _returned.popleft()
            _waiting.setdefault(whole.size, []).append(whole)
            _waiting.move_to_end(whole.size)
            _bytes += 4 * whole.size
        while _bytes > BOUND:
            oldest = next(iter(_waiting))
            if _waiting[oldest]:
                _waiting[oldest].pop()
                _bytes -= 4 * oldest
            else:
                del _waiting[oldest]
    finally:
        _lock.release()
