"""Griffin's block against its equations around the RG-LRU, which has a test of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recurra.networks.blocks import GriffinBlock


@pytest.mark.parametrize("options", [{}, {"width": 8, "heads": 2, "kernel": 2, "expansion": 2}])
def test_the_block_is_its_equations(options: dict[str, int]) -> None:
    block = GriffinBlock(4, **options).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    p = {name: each.detach().numpy() for name, each in block.named_parameters()}
    x = torch.randn(2, 7, 4, dtype=torch.float64)

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight

    def gelu(x: np.ndarray) -> np.ndarray:
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    u = norm(x.numpy(), p["norm.weight"])
    entering = u @ p["enter.weight"].T + p["enter.bias"]
    taps = p["convolution.weight"]
    padded = np.concatenate([np.zeros((2, len(taps) - 1, entering.shape[2])), entering], 1)
    convolved = p["convolution.bias"] + sum(
        tap * padded[:, len(taps) - 1 - back :][:, :7] for back, tap in enumerate(taps)
    )
    before = block.recurrence.initial_state(2)
    r = block.recurrence.sequence(torch.from_numpy(convolved), before)[0].detach().numpy()
    gate = gelu(u @ p["gate.weight"].T + p["gate.bias"])
    middle = x.numpy() + (gate * r) @ p["leave.weight"].T + p["leave.bias"]
    up = norm(middle, p["mlp_norm.weight"]) @ p["mlp.up.weight"].T + p["mlp.up.bias"]
    opening, value = np.split(up, 2, -1)
    wanted = middle + (gelu(opening) * value) @ p["mlp.down.weight"].T + p["mlp.down.bias"]
    y, _ = block.sequence(x, block.initial_state(2))
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-11, atol=1e-12)
    assert up.shape[-1] == 2 * 4 * options.get("expansion", 3)
