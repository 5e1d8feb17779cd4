"""The sLSTM against the package xlstm 2.0.6, whose numbers tests/golden/make_xlstm.py made, and its extremes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from recurra.cells.slstm import SLSTM, SLSTMState

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "xlstm.safetensors")
HEADS, SIZE = 2, 4
UNITS = HEADS * SIZE


def golden(part: str) -> tuple[SLSTM, dict[str, Tensor]]:
    """The package's cell, which takes the gates' inputs as they are, and the numbers of one of its runs."""
    numbers = {name.removeprefix(f"{part}."): each for name, each in GOLDEN.items() if name.startswith(part)}
    cell = SLSTM(4 * UNITS, UNITS, heads=HEADS, project_input=False).double()
    with torch.no_grad():
        cell.weight_hh.copy_(numbers["recurrent_kernel"].permute(2, 0, 3, 1))
        cell.bias.copy_(numbers["bias"].movedim(1, 0).flatten())
    return cell, numbers


def assert_same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("part", ["slstm", "slstm_large"])
def test_the_cell_is_the_packages(part: str) -> None:
    cell, numbers = golden(part)
    x = numbers["input"].flatten(2)
    y, after = cell.sequence(x, cell.initial_state(len(x)))
    assert_same(y, numbers["output"].flatten(2))
    assert_same(torch.stack(after, 1), numbers["last"])
    state = cell.initial_state(len(x))
    for t, wanted in enumerate(numbers["states"].unbind(1)):
        _, state = cell.step(x[:, t], state)
        assert_same(torch.stack(state, 1), wanted)
    y, after = cell.sequence(numbers["next.input"].flatten(2), after)
    assert_same(y, numbers["next.output"].flatten(2))
    assert_same(torch.stack(after, 1), numbers["next.last"])


def test_the_stabilizer_changes_no_output() -> None:
    cell = SLSTM(3, 6, heads=3).double()
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    _, (h, c, n, m) = cell.sequence(x, cell.initial_state(2))
    other = SLSTMState(h, 8 * c, 8 * n, m - math.log(8))
    assert_same(cell.sequence(x, other)[0], cell.sequence(x, SLSTMState(h, c, n, m))[0])


def test_a_fresh_row_beside_an_old_one_is_as_alone() -> None:
    """Where the package asks whether every n of the batch is zero, a row depends on its mates."""
    cell, numbers = golden("slstm")
    x = numbers["next.input"].flatten(2)[:2]
    fresh, old = cell.initial_state(1), SLSTMState(*numbers["last"][:1].unbind(1))
    mixed = SLSTMState(*(torch.cat(pair) for pair in zip(fresh, old, strict=True)))
    y, after = cell.sequence(x, mixed)
    for row, state in enumerate((fresh, old)):
        alone, end = cell.sequence(x[row : row + 1], state)
        assert_same(y[row : row + 1], alone)
        assert_same(torch.stack(after)[:, row : row + 1], torch.stack(end))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_gates_stay_finite(dtype: torch.dtype) -> None:
    cell = SLSTM(24, 6, project_input=False).to(dtype)
    x = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype)
    x = torch.cartesian_prod(x, x).repeat_interleave(6, 1)
    x = torch.cat([x, x], 1).unsqueeze(1).expand(-1, 5, -1).clone().requires_grad_()
    y, after = cell.sequence(x, cell.initial_state(len(x)))
    total = y.sum() + after.c.sum() + after.n.sum()
    gradients = torch.autograd.grad(total, [x, *cell.parameters()])
    assert all(each.isfinite().all() for each in (y, *after, *gradients))
    assert (after.n >= 1).all()


def test_misfits_are_told() -> None:
    with pytest.raises(ValueError, match="6 units cannot be parted into 4 heads"):
        SLSTM(3, 6, heads=4)
    with pytest.raises(ValueError, match="24 inputs go in, not 6"):
        SLSTM(6, 6, project_input=False)
