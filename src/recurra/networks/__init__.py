"""Modules made of cells, and what stands before and behind them."""

from __future__ import annotations

from recurra.networks.embeddings import Embedding
from recurra.networks.heads import AdaptiveSoftmaxHead, QuantileHead, SoftmaxHead
from recurra.networks.recurrent import Recurrent
from recurra.networks.tokens import TokenNetwork

__all__ = ["AdaptiveSoftmaxHead", "Embedding", "QuantileHead", "Recurrent", "SoftmaxHead", "TokenNetwork"]
