"""xLSTM's sLSTM block against the package xlstm 2.0.6, whose numbers tests/golden/make_xlstm.py made."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn.functional import layer_norm

from recurra.networks.blocks import SLSTMBlock

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "xlstm.safetensors")


def test_the_block_is_the_packages() -> None:
    """The package keeps gains less one, and calls the input gate's matrix `fgate`, the forget gate's `igate`."""
    weights = {
        name.removeprefix("stack.weights.blocks.1."): each
        for name, each in GOLDEN.items()
        if name.startswith("stack.weights.blocks.1.")
    }
    gates = [weights[f"xlstm.{name}.weight"] for name in ("fgate", "igate", "zgate", "ogate")]
    block = SLSTMBlock(8, heads=2, expansion=1.5).double()
    block.load_state_dict(
        {
            "norm.weight": 1 + weights["xlstm_norm.weight"],
            "convolution.weight": weights["xlstm.conv1d.conv.weight"].squeeze(1).T.flip(0),
            "convolution.bias": weights["xlstm.conv1d.conv.bias"],
            "weight_gates": torch.stack(gates),
            "recurrence.weight_hh": GOLDEN["stack.slstm.recurrent_kernel"].permute(2, 0, 3, 1),
            "recurrence.bias": GOLDEN["stack.slstm.bias"].movedim(1, 0).flatten(),
            "head_norm.weight": 1 + weights["xlstm.group_norm.weight"],
            "mlp_norm.weight": 1 + weights["ffn_norm.weight"],
            "mlp.up.weight": weights["ffn.proj_up.weight"],
            "mlp.down.weight": weights["ffn.proj_down.weight"],
        }
    )
    x = GOLDEN["stack.between"]
    y, _ = block.sequence(x, block.initial_state(len(x)))
    y = layer_norm(y, (8,), 1 + GOLDEN["stack.weights.post_blocks_norm.weight"])
    torch.testing.assert_close(y, GOLDEN["stack.output"], rtol=1e-10, atol=1e-12)


def test_the_heads_are_four_where_they_can_be() -> None:
    found = [SLSTMBlock(size).weight_gates.shape[1] for size in (8, 6, 5)]
    assert found == [4, 2, 1]
