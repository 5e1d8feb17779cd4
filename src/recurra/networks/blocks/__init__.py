"""Blocks as the papers have them, each itself a cell, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.networks.blocks.griffin import GriffinBlock

__all__ = ["BLOCKS", "GriffinBlock"]

BLOCKS: tuple[type[Cell], ...] = (GriffinBlock,)
