"""The cells: one file each, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.cells.gru import GRU
from recurra.cells.leaky import LeakyIntegrator
from recurra.cells.lstm import LSTM
from recurra.cells.min_gru import MinGRU
from recurra.cells.rg_lru import RGLRU

__all__ = ["CELLS", "GRU", "LSTM", "RGLRU", "LeakyIntegrator", "MinGRU"]

CELLS: tuple[type[Cell], ...] = (
    GRU,
    LSTM,
    LeakyIntegrator,
    MinGRU,
    RGLRU,
)
