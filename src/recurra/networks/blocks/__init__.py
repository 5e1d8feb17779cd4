"""Blocks as the papers have them, each itself a cell, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.networks.blocks.gated_delta_net import GatedDeltaNetBlock
from recurra.networks.blocks.griffin import GriffinBlock
from recurra.networks.blocks.mlstm import MLSTMBlock
from recurra.networks.blocks.rwkv7 import RWKV7Block
from recurra.networks.blocks.slstm import SLSTMBlock

__all__ = ["BLOCKS", "GatedDeltaNetBlock", "GriffinBlock", "MLSTMBlock", "RWKV7Block", "SLSTMBlock"]

BLOCKS: tuple[type[Cell], ...] = (GatedDeltaNetBlock, GriffinBlock, MLSTMBlock, RWKV7Block, SLSTMBlock)
