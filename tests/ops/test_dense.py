"""LSTM and GRU against torch.nn's, with copied weights: values, last states and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.cells import GRU, LSTM
from recurra.cells.lstm import LSTMState

B, T, I, H = 4, 6, 3, 5  # noqa: E741
LENGTHS = torch.tensor([6, 2, 1, 5])


def copied(peer: nn.RNNBase) -> GRU | LSTM:
    cell = GRU(I, H) if isinstance(peer, nn.GRU) else LSTM(I, H)
    weight_ih, weight_hh, bias_ih, bias_hh = peer.parameters()
    with torch.no_grad():
        cell.to(weight_ih.dtype)
        cell.weight_ih.copy_(weight_ih)
        cell.weight_hh.copy_(weight_hh)
        if isinstance(cell, GRU):
            cell.bias.copy_(torch.cat([(bias_ih + bias_hh)[: 2 * H], bias_ih[2 * H :]]))
            cell.bias_hn.copy_(bias_hh[2 * H :])
        else:
            cell.bias.copy_(bias_ih + bias_hh)
    return cell


def peers_results(peer: nn.RNNBase, x: Tensor, h: Tensor, c: Tensor, lengths: Tensor | None) -> list[Tensor]:
    state = h[None] if isinstance(peer, nn.GRU) else (h[None], c[None])
    if lengths is None:
        y, last = peer(x, state)
    else:
        y, last = peer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=T)
    return [y, *(each[0] for each in (last if isinstance(last, tuple) else (last,)))]


@pytest.mark.parametrize("peer_class", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("path", ["", "reference"])
def test_torchs_layers(
    peer_class: type[nn.RNNBase],
    lengths: Tensor | None,
    dtype: torch.dtype,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    peer = peer_class(I, H, batch_first=True).to(dtype)
    cell = copied(peer)
    x = torch.randn(B, T, I, dtype=dtype, requires_grad=True)
    h, c = (torch.randn(B, H, dtype=dtype, requires_grad=True) for _ in range(2))
    wanted = peers_results(peer, x, h, c, lengths)
    if isinstance(cell, GRU):
        found = list(cell.sequence(x, h, lengths))
        leaves = [x, h]
    else:
        y, after = cell.sequence(x, LSTMState(h, c), lengths)
        found, leaves = [y, *after], [x, h, c]
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    for one, two in zip(
        torch.autograd.grad(sum(each.sin().sum() for each in found), [*leaves, cell.weight_hh]),
        torch.autograd.grad(sum(each.sin().sum() for each in wanted), [*leaves, peer.weight_hh_l0]),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance)


def test_the_forget_gate_starts_open() -> None:
    cell = LSTM(3, 4)
    assert cell.bias[4:8].tolist() == [1.0] * 4
    assert (cell.bias[:4].abs() <= 0.5).all()
    assert (cell.weight_hh.abs() <= 0.5).all()
