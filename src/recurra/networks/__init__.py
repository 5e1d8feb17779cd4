"""Modules made of cells, and what stands before and behind them."""

from __future__ import annotations

from recurra.networks.attention import Attention, Memory
from recurra.networks.characters import CharacterFeatures
from recurra.networks.crf import LinearChainCRF
from recurra.networks.decoder import AttentionDecoder, DecoderState
from recurra.networks.embeddings import Embedding
from recurra.networks.heads import AdaptiveSoftmaxHead, QuantileHead, SoftmaxHead
from recurra.networks.recurrent import Recurrent
from recurra.networks.sampled import SampledSoftmax
from recurra.networks.tokens import TokenNetwork

__all__ = [
    "AdaptiveSoftmaxHead",
    "Attention",
    "AttentionDecoder",
    "CharacterFeatures",
    "DecoderState",
    "Embedding",
    "LinearChainCRF",
    "Memory",
    "QuantileHead",
    "Recurrent",
    "SampledSoftmax",
    "SoftmaxHead",
    "TokenNetwork",
]
