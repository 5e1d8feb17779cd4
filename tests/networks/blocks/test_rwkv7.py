"""RWKV-7's layers against the package rwkv7-hf 0.9.0, whose numbers tests/golden/make_rwkv7_hf.py made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import layer_norm

from recurra.cell import Windowed
from recurra.networks.blocks import RWKV7Block

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "rwkv7_hf.safetensors")
LAYERS, HEADS, SIZE = 2, 2, 16
LORAS = {"decay": "w_lora", "rate": "a_lora", "gate": "g_lora", "residual": "v_lora"}
MATRICES = {"receptance": "r_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}


def assert_same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-11)


def ours(layer: int) -> dict[str, Tensor]:
    """The package's weights of a layer under our names."""
    theirs = {
        name.removeprefix(f"weights.layers.{layer}."): each
        for name, each in GOLDEN.items()
        if name.startswith(f"weights.layers.{layer}.")
    }
    time_mix = {
        "shift": torch.stack([theirs[f"attn.x_{each}"].flatten() for each in "rwkvag"]),
        "norm_weight": theirs["attn.g_norm.weight"],
        "norm_bias": theirs["attn.g_norm.bias"],
    }
    time_mix |= {name: theirs[f"attn.{name}"] for name in ("k_k", "k_a", "r_k")}
    time_mix |= {mine: theirs[f"attn.{name}.weight"] for mine, name in MATRICES.items()}
    for mine, name in LORAS.items():
        for part, key in (("down", "0.weight"), ("up", "2.weight"), ("bias", "2.bias")):
            if (found := theirs.get(f"attn.{name}.lora.{key}")) is not None:
                time_mix[f"{mine}.{part}"] = found
    channel_mix = {
        "shift": theirs["ffn.x_k"],
        "key": theirs["ffn.key.weight"],
        "value": theirs["ffn.value.weight"],
    }
    parts = {
        f"time_mix{layer}": time_mix,
        f"channel_mix{layer}": channel_mix,
        f"norms.{layer}": {each: theirs[f"attn_norm.{each}"] for each in ("weight", "bias")},
        f"channel_norms.{layer}": {each: theirs[f"ffn_norm.{each}"] for each in ("weight", "bias")},
    }
    if layer == 0:
        parts["entry_norm"] = {each: theirs[f"pre_norm.{each}"] for each in ("weight", "bias")}
    # The six shifts are one here; every other tensor of theirs has its own.
    assert sum(len(each) for each in parts.values()) == len(theirs) - 5
    return {f"{part}.{name}": each for part, given in parts.items() for name, each in given.items()}


@pytest.fixture
def block() -> RWKV7Block:
    made = RWKV7Block(
        SIZE, heads=HEADS, layers=LAYERS, expansion=1.5, ranks=(3, 4, 5, 2), entry_norm=True
    ).double()
    made.load_state_dict({name: each for layer in range(LAYERS) for name, each in ours(layer).items()})
    return made


def initial(block: RWKV7Block) -> Any:
    """The package's given state; the first layer's v of the step before is not in it, and not read."""
    state = []
    for layer in range(LAYERS):
        theirs = {
            name: GOLDEN[f"initial.layers.{layer}.{name}"]
            for name in ("recurrent", "attention_shift", "ffn_shift")
        }
        last = theirs["attention_shift"]
        last = torch.cat([last, torch.full_like(last, 7.0)], -1) if layer else last
        state.append(Windowed(last.unsqueeze(1), theirs["recurrent"].mT))
        state.append(Windowed(theirs["ffn_shift"].unsqueeze(1), ()))
    return tuple(state)


@pytest.mark.parametrize("case", ["from_zeros", "from_initial", "ragged"])
def test_the_block_is_the_packages_layers(block: RWKV7Block, case: str) -> None:
    x = GOLDEN["input"]
    before = block.initial_state(len(x)) if case == "from_zeros" else initial(block)
    lengths = GOLDEN["lengths"] if case == "ragged" else None
    y, after = block.sequence(x, before, lengths)
    y = layer_norm(y, (SIZE,), GOLDEN["weights.norm.weight"], GOLDEN["weights.norm.bias"])
    going = (GOLDEN[f"{case}.output"] != 0).any(-1, keepdim=True)
    assert_same(torch.where(going, y, 0.0), GOLDEN[f"{case}.output"])
    for layer in range(LAYERS):
        time_mix, channel_mix = after[2 * layer], after[2 * layer + 1]
        wanted = f"{case}.last.layers.{layer}"
        assert_same(time_mix.inner.mT, GOLDEN[f"{wanted}.recurrent"])
        assert_same(time_mix.rows[:, 0, :SIZE], GOLDEN[f"{wanted}.attention_shift"])
        assert_same(channel_mix.rows[:, 0], GOLDEN[f"{wanted}.ffn_shift"])


def test_there_is_at_least_one_layer() -> None:
    with pytest.raises(ValueError, match="layers must be at least 1, not 0"):
        RWKV7Block(4, layers=0)


def test_parameters_drawn_anew_are_as_at_first() -> None:
    block = RWKV7Block(4, layers=2, generator=torch.Generator().manual_seed(1))
    before = {name: each.clone() for name, each in block.state_dict().items()}
    for layer in range(2):
        cell = block.get_submodule(f"time_mix{layer}")
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.fill_(9.0)
        cell.reset_parameters()
        for name, each in cell.state_dict().items():
            drawn = name in MATRICES or name.endswith(".up")
            assert drawn or torch.equal(each, before[f"time_mix{layer}.{name}"])
            assert (each != 9.0).all()
