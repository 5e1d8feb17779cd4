"""xLSTM's mLSTM block against the package xlstm 2.0.6, whose numbers tests/golden/make_xlstm.py made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import linear

from recurra.cells.mlstm import MLSTMMemory
from recurra.networks.blocks import MLSTMBlock
from recurra.networks.blocks.common import HeadNorm

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "xlstm.safetensors")


def test_the_block_is_the_packages() -> None:
    """The package keeps gains less one. Its parallel form adds ε at another scale than its steps and we do."""
    weights = {
        name.removeprefix("stack.weights.blocks.0."): each
        for name, each in GOLDEN.items()
        if name.startswith("stack.weights.blocks.0.")
    }
    gates = [weights[f"xlstm.mlstm_cell.{name}.weight"] for name in ("igate", "fgate")]
    biases = [weights[f"xlstm.mlstm_cell.{name}.bias"] for name in ("igate", "fgate")]
    width = len(weights["xlstm.learnable_skip"])
    block = MLSTMBlock(8, heads=2, width=width).double()
    ours = {
        "norm.weight": 1 + weights["xlstm_norm.weight"],
        "up.weight": weights["xlstm.proj_up.weight"],
        "convolution.weight": weights["xlstm.conv1d.conv.weight"].squeeze(1).T.flip(0),
        "convolution.bias": weights["xlstm.conv1d.conv.bias"],
        "weight_qkv": torch.stack([weights[f"xlstm.{name}_proj.weight"] for name in "qkv"]),
        "gates.weight": torch.cat(gates),
        "gates.bias": torch.cat(biases),
        "head_norm.weight": 1 + weights["xlstm.mlstm_cell.outnorm.weight"],
        "skip": weights["xlstm.learnable_skip"],
        "down.weight": weights["xlstm.proj_down.weight"],
    }
    assert len(ours) == len(weights) - 4  # q, k, v are one, and the two gates
    block.load_state_dict(ours)
    y, _ = block.sequence(GOLDEN["stack.input"], block.initial_state(len(GOLDEN["stack.input"])))
    torch.testing.assert_close(y, GOLDEN["stack.between"], rtol=1e-4, atol=1e-4)


def test_the_gates_the_memory_and_the_norm_are_the_packages() -> None:
    """What stands in the middle of the block, against the package's steps, whose ε is ours."""
    numbers = {
        name.removeprefix("mlstm_cell."): each
        for name, each in GOLDEN.items()
        if name.startswith("mlstm_cell.")
    }
    qkv = torch.cat([numbers[name] for name in "qkv"], -1)
    gates = [
        linear(qkv, numbers[f"weights.{name}.weight"], numbers[f"weights.{name}.bias"])
        for name in ("igate", "fgate")
    ]
    memory, norm = MLSTMMemory(8, heads=2), HeadNorm(8, 2).double()
    norm.load_state_dict({"weight": 1 + numbers["weights.outnorm.weight"]})
    before = memory.initial_state(len(qkv), dtype=torch.float64)
    y, after = memory.sequence(torch.cat([qkv, *gates], -1), before)
    torch.testing.assert_close(norm(y), numbers["steps.output"], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(after.m, numbers["last.m"][..., 0, 0])
    torch.testing.assert_close(after.memory[:, :, :-1].mT, numbers["last.C"])


def test_sizes_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match="8 units cannot be parted into blocks of 3"):
        MLSTMBlock(4, block=3)
    with pytest.raises(ValueError, match="8 units cannot be parted into 3 heads"):
        MLSTMBlock(4, heads=3)
