"""Stacks with bidirectional layers in the engine: they are the stack, whatever stands beside a sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recurra import ops
from recurra.cell import Cell
from recurra.cells import CELLS, GRU, LSTM
from recurra.errors import ModelError, UsageError
from recurra.networks import Recurrent
from recurra.streaming.bidirectional import ROWS, Layers
from recurra.streaming.pack_layers import pack_layers
from recurra.streaming.packed import Packed

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

Floats = NDArray[np.float32]
I, H = 3, 6  # noqa: E741 - the legend of the whole project


def drawn(lengths: list[int], width: int = I) -> list[Floats]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal((length, width)).astype(np.float32) for length in lengths]


@torch.no_grad()
def expected(network: Recurrent, sequences: list[Floats]) -> list[Floats]:
    lengths = torch.tensor([len(each) for each in sequences])
    x = torch.zeros(len(sequences), int(lengths.max()), network.input_size)
    for row, each in enumerate(sequences):
        x[row, : len(each)] = torch.from_numpy(each)
    y, _ = network.eval()(x, lengths=lengths)
    return [row[:length].numpy() for row, length in zip(y, lengths, strict=True)]


def close(found: list[Floats], wanted: list[Floats]) -> None:
    assert [each.shape for each in found] == [each.shape for each in wanted]
    for here, there in zip(found, wanted, strict=True):
        np.testing.assert_allclose(here, there, rtol=2e-4, atol=2e-5)


def stack(kind: Any = LSTM, **options: Any) -> Recurrent:
    generator = torch.Generator().manual_seed(1)

    def cell(size: int) -> Cell:
        made: Cell = kind(size, H, generator=generator)
        return made

    network = Recurrent([(cell(I), cell(I)), (cell(2 * H), cell(2 * H))], **options)
    with torch.no_grad():
        for parameter in network.norms.parameters():
            parameter += torch.randn(parameter.shape, generator=generator) / 3
    return network


@pytest.mark.parametrize("kind", CELLS)
def test_every_cell_from_both_ends(kind: type[Cell]) -> None:
    network, sequences = stack(kind), drawn([5, 1, 9, 0])
    close(Layers(pack_layers(network)).read(sequences), expected(network, sequences))


@pytest.mark.parametrize("norm", ["layer", "rms", None])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_norms_and_residuals(norm: Any, norm_first: bool, residual: bool) -> None:
    network = stack(GRU, norm=norm, norm_first=norm_first, residual=residual, dropout=0.5)
    sequences = drawn([4, 7])
    close(Layers(pack_layers(network)).read(sequences), expected(network, sequences))


def test_pairs_and_single_cells_of_unlike_sizes() -> None:
    network = Recurrent([(GRU(I, 4), LSTM(I, 5)), GRU(9, 7), (LSTM(7, 2), LSTM(7, 2))])
    layers, sequences = Layers(pack_layers(network)), drawn([3, 8, 2])
    assert (layers.input_size, layers.output_size) == (I, 4)
    close(layers.read(sequences), expected(network, sequences))


def test_to_the_last_bit_whatever_stands_beside() -> None:
    layers = Layers(pack_layers(stack()), threads=2)
    sequences = drawn([row * 7 % 13 for row in range(2 * ROWS + 3)])
    together = layers.read(sequences)
    for row in (0, 1, 12, ROWS, 2 * ROWS + 2):
        np.testing.assert_array_equal(layers.read([sequences[row]])[0], together[row])
    assert layers.read([]) == []


def test_a_file_brings_the_same(tmp_path: Path) -> None:
    programs, sequences = pack_layers(stack(), "int8", about={"of": "this"}), drawn([4, 6])
    for name, each in programs.items():
        each.save(tmp_path / f"{name}.packed")
    loaded = {path.stem: Packed.load(path) for path in tmp_path.glob("*.packed")}
    assert loaded["0.ahead"].description["about"] == {"weights": "int8", "of": "this", "residual": False}
    for here, there in zip(Layers(loaded).read(sequences), Layers(programs).read(sequences), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("weights", ["float16", "int8", "int4"])
def test_weights_are_rounded_later_as_at_once(weights: str) -> None:
    network = Recurrent([(LSTM(70, 20), LSTM(70, 20))])
    whole, rounded = pack_layers(network), pack_layers(network, weights)
    for name, each in whole.items():
        again = each.reformatted(weights)
        assert again.description == rounded[name].description
        with pytest.raises(UsageError, match="rounded once"):
            again.reformatted(weights)
    with pytest.raises(UsageError, match="no such weights"):
        whole["0.back"].reformatted("int3")


def test_a_stack_too_far_from_its_source_is_refused() -> None:
    network = Recurrent([(LSTM(70, 20), LSTM(70, 20))])
    with pytest.raises(UsageError, match=r"differ from the network's by 0\.\d+ of their size, and 1e-06"):
        pack_layers(network, "int8", bound=1e-6)


def test_programs_that_do_not_fit_together_are_errors() -> None:
    programs, wider = pack_layers(stack()), pack_layers(Recurrent([(LSTM(I, 9), LSTM(I, 9))]))
    for damaged, match in (
        ({}, "layers 0, 1"),
        ({**programs, "read": programs["0.ahead"]}, "no layer"),
        ({name: each for name, each in programs.items() if name != "0.ahead"}, "no layer"),
        ({name: each for name, each in programs.items() if name != "0.back"}, "layer 1 does not fit"),
        ({**programs, **wider}, "layer 1 does not fit"),
        ({**programs, "0.norm": programs["0.ahead"]}, "layer 0 does not fit"),
    ):
        with pytest.raises(ModelError, match=match):
            Layers(damaged)
    with pytest.raises(UsageError, match=r"\(T, 3\)"):
        Layers(programs).read(drawn([4], 5))
