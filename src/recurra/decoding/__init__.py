"""From a network's scores to a sequence: sampling, stop strings, beam search, chains of tags. Needs NumPy only."""

from __future__ import annotations

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
