"""The cells: one file each, and the only list of them."""

from __future__ import annotations

from recurra.cell import Cell
from recurra.cells.delta_net import DeltaNet as DeltaNet
from recurra.cells.elman import Elman as Elman
from recurra.cells.gated_delta_net import GatedDeltaNet as GatedDeltaNet
from recurra.cells.gru import GRU as GRU
from recurra.cells.leaky import LeakyIntegrator as LeakyIntegrator
from recurra.cells.linear_attention import LinearAttention as LinearAttention
from recurra.cells.lru import LRU as LRU
from recurra.cells.lstm import LSTM as LSTM
from recurra.cells.mamba2 import Mamba2 as Mamba2
from recurra.cells.min_gru import MinGRU as MinGRU
from recurra.cells.min_lstm import MinLSTM as MinLSTM
from recurra.cells.mlstm import MLSTM as MLSTM
from recurra.cells.qrnn import QRNN as QRNN
from recurra.cells.rg_lru import RGLRU as RGLRU
from recurra.cells.rwkv7 import RWKV7 as RWKV7
from recurra.cells.s5 import S5 as S5
from recurra.cells.slstm import SLSTM as SLSTM
from recurra.cells.sru import SRU as SRU

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

__all__ = ["CELLS", *(cell.__name__ for cell in CELLS)]
