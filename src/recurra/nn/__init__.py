"""RNN, LSTM, GRU and their cells in torch.nn's place: the same parameters and numbers, and what torch's lack."""

from __future__ import annotations

from recurra.nn.cells import GRUCell, LSTMCell, RNNCell
from recurra.nn.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
