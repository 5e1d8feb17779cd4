"""From a network's logits to a sequence of tokens: sampling, stop strings, beam search. Needs NumPy only."""

from __future__ import annotations

from recurra.decoding.beam import Hypothesis, beam_search
from recurra.decoding.mask import unpack
from recurra.decoding.random import Random
from recurra.decoding.sampling import Sampling, choose
from recurra.decoding.stops import StopStrings, Utf8

__all__ = ["Hypothesis", "Random", "Sampling", "StopStrings", "Utf8", "beam_search", "choose", "unpack"]
