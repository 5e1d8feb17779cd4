"""The cells: one file each, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.cells.delta_net import DeltaNet
from recurra.cells.elman import Elman
from recurra.cells.gated_delta_net import GatedDeltaNet
from recurra.cells.gru import GRU
from recurra.cells.leaky import LeakyIntegrator
from recurra.cells.linear_attention import LinearAttention
from recurra.cells.lru import LRU
from recurra.cells.lstm import LSTM
from recurra.cells.mamba2 import Mamba2
from recurra.cells.min_gru import MinGRU
from recurra.cells.min_lstm import MinLSTM
from recurra.cells.mlstm import MLSTM
from recurra.cells.qrnn import QRNN
from recurra.cells.rg_lru import RGLRU
from recurra.cells.rwkv7 import RWKV7
from recurra.cells.s5 import S5
from recurra.cells.slstm import SLSTM
from recurra.cells.sru import SRU

__all__ = [
    "CELLS",
    "GRU",
    "LRU",
    "LSTM",
    "MLSTM",
    "QRNN",
    "RGLRU",
    "RWKV7",
    "S5",
    "SLSTM",
    "SRU",
    "DeltaNet",
    "Elman",
    "GatedDeltaNet",
    "LeakyIntegrator",
    "LinearAttention",
    "Mamba2",
    "MinGRU",
    "MinLSTM",
]

CELLS: tuple[type[Cell], ...] = (
    DeltaNet,
    Elman,
    GRU,
    GatedDeltaNet,
    LRU,
    LSTM,
    LeakyIntegrator,
    LinearAttention,
    MLSTM,
    Mamba2,
    MinGRU,
    MinLSTM,
    QRNN,
    RGLRU,
    RWKV7,
    S5,
    SLSTM,
    SRU,
)
