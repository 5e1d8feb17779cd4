"""From a network's scores to a sequence: sampling, stop strings, beam search, chains of tags. Needs NumPy only.

Each is loaded when it is asked for: a verb that answers at once asks for few.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.decoding.beam import Hypothesis, beam_search
    from recurra.decoding.chain import Chain
    from recurra.decoding.mask import unpack
    from recurra.decoding.random import Random
    from recurra.decoding.sampling import Sampling, choose
    from recurra.decoding.stops import StopStrings, Utf8

__all__ = [
    "Chain",
    "Hypothesis",
    "Random",
    "Sampling",
    "StopStrings",
    "Utf8",
    "beam_search",
    "choose",
    "unpack",
]

_WHERE = {
    "Chain": "chain",
    "Hypothesis": "beam",
    "Random": "random",
    "Sampling": "sampling",
    "StopStrings": "stops",
    "Utf8": "stops",
    "beam_search": "beam",
    "choose": "sampling",
    "unpack": "mask",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'recurra.decoding' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recurra.decoding.{_WHERE[name]}"), name)
