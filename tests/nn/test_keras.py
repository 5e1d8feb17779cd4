"""Keras 3's numbers for SimpleRNN, GRU and LSTM (tests/golden/README.md) from recurra's cells."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from recurra.cell import Cell
from recurra.cells import GRU, LSTM, Elman
from recurra.ops import ragged

NUMBERS = load_file(Path(__file__).parents[1] / "golden" / "keras.safetensors")
X, LENGTHS = NUMBERS["input"], NUMBERS["lengths"]
LAYERS = ("simple_rnn", "simple_rnn_relu", "gru_reset_after", "gru_reset_before", "lstm")


def first_two_swapped(tensor: Tensor) -> Tensor:
    """Gates z, r, h of the last axis as r, z, h."""
    z, r, h = tensor.chunk(3, -1)
    return torch.cat([r, z, h], -1)


@torch.no_grad()
def cell_of(layer: str) -> Cell:
    kernel, recurrent, bias = (NUMBERS[f"{layer}.{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
    sizes = kernel.shape[0], recurrent.shape[0]
    if layer.startswith("simple_rnn"):
        cell: Cell = Elman(*sizes, nonlinearity="relu" if layer.endswith("relu") else "tanh")
    elif layer == "lstm":
        cell = LSTM(*sizes)
    else:
        cell = GRU(*sizes, reset_after=layer == "gru_reset_after")
        kernel, recurrent, bias = (first_two_swapped(each) for each in (kernel, recurrent, bias))
        of_input, of_h = bias if bias.dim() == 2 else (bias, torch.zeros_like(bias))
        bias = torch.cat([(of_input + of_h)[: 2 * sizes[1]], of_input[2 * sizes[1] :]])
        cell.bias_hn.copy_(of_h[2 * sizes[1] :])
    cell.weight_ih.copy_(kernel.T)
    cell.weight_hh.copy_(recurrent.T)
    cell.bias.copy_(bias)
    return cell.eval()


@pytest.mark.parametrize("part", ["from_zeros", "from_initial", "masked", "backwards", "masked_backwards"])
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_layer(layer: str, part: str) -> None:
    cell = cell_of(layer)
    lengths = LENGTHS if part.startswith("masked") else None
    state = cell.initial_state(X.shape[0])
    if part != "from_zeros":
        given = [NUMBERS[f"{layer}.initial.{name}"] for name in ("h", "c")[: 2 if layer == "lstm" else 1]]
        state = type(state)(*given) if layer == "lstm" else given[0]
    x = ragged.reverse(X, lengths) if part.endswith("backwards") else X
    y, last = cell.sequence(x, state, lengths)
    expected = NUMBERS[f"{layer}.{part}.output"]
    if part == "masked_backwards":  # Keras begins with the padding there
        expected = ragged.reverse(expected.flip(1), LENGTHS)
    if lengths is not None:  # where a row has ended Keras repeats its last output, recurra gives zeros
        expected = ragged.fill(expected, lengths)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    for name, found in zip(("h", "c"), last if layer == "lstm" else (last,), strict=False):
        torch.testing.assert_close(found, NUMBERS[f"{layer}.{part}.last.{name}"], rtol=1e-5, atol=1e-6)
