"""mLSTM and RWKV-7 against xlstm 2.0.6 and rwkv7-hf 0.9.0, whose numbers the makers in tests/golden/ wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from recurra.cell import Windowed
from recurra.cells import MLSTM, RWKV7
from recurra.cells.mlstm import MLSTMMemory, MLSTMState

FOLDER = Path(__file__).parents[1] / "golden"
HEADS = 2


def part(file: str, name: str) -> dict[str, Tensor]:
    """The numbers below `name`."""
    found = load_file(FOLDER / f"{file}.safetensors")
    return {key.removeprefix(f"{name}."): each for key, each in found.items() if key.startswith(f"{name}.")}


def assert_same(found: Tensor, wanted: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def mlstm_inputs(numbers: dict[str, Tensor]) -> Tensor:
    """The memory's input (B, T, 3H + 2N) from tensors (B, heads, T, ·)."""
    return torch.cat(
        [numbers[name].transpose(1, 2).flatten(2) for name in ("q", "k", "v", "igate", "fgate")], -1
    )


def mlstm_state(c: Tensor, n: Tensor, m: Tensor) -> MLSTMState:
    """Ours from theirs: C (B, heads, k, v), n (B, heads, k, 1), m (B, heads, 1, 1)."""
    return MLSTMState(torch.cat([c, n], -1).mT, m[..., 0, 0])


@pytest.mark.parametrize("start", ["from_zeros", "from_initial"])
@pytest.mark.parametrize("name", ["mlstm", "mlstm_large"])
def test_the_mlstm_is_the_packages(name: str, start: str) -> None:
    numbers = part("xlstm", name)
    x = mlstm_inputs(numbers)
    cell = MLSTMMemory(numbers["q"].shape[-1] * HEADS, heads=HEADS)
    before = cell.initial_state(len(x), dtype=torch.float64)
    if start == "from_initial":
        before = mlstm_state(*(numbers[f"from_initial.{each}"] for each in "Cnm"))
    last = mlstm_state(*(numbers[f"{start}.last.{each}"] for each in "Cnm"))
    y, after = cell.sequence(x, before)
    wanted = numbers[f"{start}.output_eps"].transpose(1, 2).flatten(2)
    assert_same(y, wanted)
    assert_same(after.memory, last.memory)
    assert_same(after.m, last.m)
    state, steps = before, []
    for t in range(x.shape[1]):
        y_t, state = cell.step(x[:, t], state)
        steps.append(y_t)
    assert_same(torch.stack(steps, 1), wanted)


def test_the_mlstm_cell_projects_and_gates() -> None:
    """MLSTM is MLSTMMemory on W x + b, times the output gate."""
    cell = MLSTM(3, 6, heads=HEADS).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    z = x @ cell.weight.T + cell.bias
    inner = MLSTMMemory(6, heads=HEADS)
    h, last = inner.sequence(z[..., :-6], inner.initial_state(2, dtype=torch.float64))
    y, after = cell.sequence(x, cell.initial_state(2))
    assert_same(y, z[..., -6:].sigmoid() * h)
    assert_same(after.memory, last.memory)


def test_huge_gates_leave_the_mlstm_finite() -> None:
    cell = MLSTM(3, 6, heads=HEADS)
    with torch.no_grad():
        cell.weight.mul_(1000.0)
        cell.bias.mul_(1000.0)
    x = 100 * torch.randn(2, 200, 3)
    y, after = cell.sequence(x, cell.initial_state(2))
    assert y.isfinite().all()
    assert after.memory.isfinite().all()
    assert after.m.isfinite().all()


def rwkv7(numbers: dict[str, Tensor]) -> RWKV7:
    """Our cell with the weights of a layer's `attn`; every one of theirs is used, and every one of ours set."""
    units = numbers["k_k"].numel()
    theirs = {
        "receptance": numbers["r_proj.weight"],
        "key": numbers["k_proj.weight"],
        "value": numbers["v_proj.weight"],
        "output": numbers["o_proj.weight"],
        "shift": torch.stack([numbers[f"x_{each}"].flatten() for each in "rwkvag"]),
        "k_k": numbers["k_k"],
        "k_a": numbers["k_a"],
        "r_k": numbers["r_k"],
        "norm_weight": numbers["g_norm.weight"],
        "norm_bias": numbers["g_norm.bias"],
    }
    for ours, lora in (("decay", "w_lora"), ("rate", "a_lora"), ("gate", "g_lora")):
        theirs[f"{ours}.down"] = numbers[f"{lora}.lora.0.weight"]
        theirs[f"{ours}.up"] = numbers[f"{lora}.lora.2.weight"]
    theirs |= {"decay.bias": numbers["w_lora.lora.2.bias"], "rate.bias": numbers["a_lora.lora.2.bias"]}
    assert len(theirs) == len(numbers) - 5  # six shifts in one
    ranks = (len(numbers[f"{lora}.lora.0.weight"]) for lora in ("w_lora", "a_lora", "g_lora"))
    cell = RWKV7(units, units, heads=HEADS, ranks=tuple(ranks)).double()
    cell.load_state_dict(theirs)
    return cell


def test_rwkv7_is_the_packages_time_mix() -> None:
    cell = rwkv7(part("rwkv7_hf", "weights.layers.0.attn"))
    numbers = part("rwkv7_hf", "time_mix.0")
    x = load_file(FOLDER / "rwkv7_hf.safetensors")["input"]
    initial = part("rwkv7_hf", "initial.layers.0")
    before = Windowed(initial["attention_shift"].unsqueeze(1), initial["recurrent"].mT)
    y, after = cell.sequence(x, before)
    assert_same(y, numbers["output"])
    assert_same(after.inner.mT, numbers["last.recurrent"])
    assert_same(after.rows[:, 0], numbers["last.attention_shift"])
    state, steps = before, []
    for t in range(x.shape[1]):
        y_t, state = cell.step(x[:, t], state)
        steps.append(y_t)
    assert_same(torch.stack(steps, 1), numbers["output"])
