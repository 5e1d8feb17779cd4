"""The Gated DeltaNet's block against its equations around the cell, which has a test of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.networks.blocks import GatedDeltaNetBlock


def test_the_block_is_its_equations() -> None:
    heads, size = 2, 4
    block = GatedDeltaNetBlock(size, heads=heads).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    p = {name: each.detach().numpy() for name, each in block.named_parameters()}
    x = torch.randn(2, 7, size, dtype=torch.float64)

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    u = norm(x.numpy(), p["norm.weight"])
    state = block.recurrence.initial_state(2)
    o = block.recurrence.sequence(torch.from_numpy(u), state)[0].detach().numpy()
    assert o.shape == (2, 7, 6)
    read = norm(o.reshape(2, 7, heads, 3), p["head_norm.weight"]).reshape(2, 7, 6)
    middle = x.numpy() + (read * silu(u @ p["gate.weight"].T)) @ p["leave.weight"].T
    gate, value = np.split(norm(middle, p["mlp_norm.weight"]) @ p["mlp.up.weight"].T, 2, -1)
    wanted = middle + (silu(gate) * value) @ p["mlp.down.weight"].T
    y, _ = block.sequence(x, block.initial_state(2))
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-11, atol=1e-12)


def test_values_are_twice_as_long_as_keys() -> None:
    recurrence = GatedDeltaNetBlock(16, heads=3).recurrence
    assert (recurrence.heads, recurrence.key_size, recurrence.value_size) == (3, 4, 8)
    assert recurrence.window == 3


def test_heads_that_do_not_divide_the_width_are_told() -> None:
    with pytest.raises(ValueError, match="5 units cannot be parted into 2 heads"):
        GatedDeltaNetBlock(4, heads=2, width=5)
