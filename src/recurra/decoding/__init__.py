"""From a network's logits to a sequence of tokens: sampling, stop strings, beam search. Needs NumPy only."""

from __future__ import annotations

from recurra.decoding.mask import unpack
from recurra.decoding.random import Random
from recurra.decoding.sampling import Sampling, choose

__all__ = ["Random", "Sampling", "choose", "unpack"]
