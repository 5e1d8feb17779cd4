"""Blocks as the papers have them, each itself a cell, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.networks.blocks.griffin import GriffinBlock
from recurra.networks.blocks.slstm import SLSTMBlock

__all__ = ["BLOCKS", "GriffinBlock", "SLSTMBlock"]

BLOCKS: tuple[type[Cell], ...] = (GriffinBlock, SLSTMBlock)
