"""recurra.nn's cells against torch.nn's: parameters, values, gradients, errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peers import B, H, I, assert_same, everything, tensors
from torch import Tensor, nn

import recurra.nn

CASES: list[tuple[str, dict[str, Any]]] = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu", "bias": False}),
    ("GRUCell", {}),
    ("GRUCell", {"bias": False}),
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
]
every_case = pytest.mark.parametrize(("kind", "options"), CASES)
every_kind = pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])


def pair(kind: str, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(2)
    theirs = getattr(nn, kind)(I, H, **options)
    torch.manual_seed(2)
    return theirs, getattr(recurra.nn, kind)(I, H, **options)


def state_of(kind: str, *lead: int, dtype: torch.dtype = torch.float32) -> Any:
    h, c = (torch.randn(*lead, H, dtype=dtype, requires_grad=True) for _ in range(2))
    return (h, c) if kind == "LSTMCell" else h


@every_case
def test_parameters_are_torchs(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(kind, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert repr(ours) == repr(theirs)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lead", [(B,), (0,), ()], ids=["rows", "no rows", "unbatched"])
def test_numbers_are_torchs(
    kind: str, options: dict[str, Any], dtype: torch.dtype, lead: tuple[int, ...]
) -> None:
    theirs, ours = pair(kind, dtype=dtype, **options)
    x, hx = torch.randn(*lead, I, dtype=dtype, requires_grad=True), state_of(kind, *lead, dtype=dtype)
    assert_same(everything(theirs, x, hx), everything(ours, x, hx), dtype)
    assert_same(everything(theirs, x), everything(ours, x), dtype)


@every_kind
def test_second_gradients_agree_with_finite_differences(kind: str) -> None:
    _, cell = pair(kind, dtype=torch.float64)
    x, hx = torch.randn(2, I, dtype=torch.float64, requires_grad=True), state_of(kind, 2, dtype=torch.float64)
    inputs = (x, *tensors(hx), *cell.parameters())

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors(cell(x, hx)))

    # Perturbed in place, so the closure sees them change.
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@every_kind
def test_rows_of_their_own_gradients(kind: str) -> None:
    _, cell = pair(kind, dtype=torch.float64)
    weights = {name: each.detach() for name, each in cell.named_parameters()}
    x = torch.randn(B, I, dtype=torch.float64)

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return tensors(torch.func.functional_call(cell, weights, (x,)))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    for row in range(B):
        for name, each in torch.func.grad(loss)(weights, x[row]).items():
            torch.testing.assert_close(found[name][row], each, rtol=1e-12, atol=1e-12)


@every_kind
def test_a_cell_repeated_is_the_layer(kind: str) -> None:
    layer = getattr(recurra.nn, kind.removesuffix("Cell"))(I, H)
    _, cell = pair(kind)
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in layer.state_dict().items()})
    x, hx, outputs = torch.randn(5, B, I), None, []
    for step in x:
        hx = cell(step, hx)
        outputs.append(tensors(hx)[0])
    torch.testing.assert_close(layer(x)[0], torch.stack(outputs), rtol=1e-5, atol=1e-6)


@every_kind
def test_misfits_are_told(kind: str) -> None:
    _, cell = pair(kind)
    with pytest.raises(ValueError, match=r"takes input of shape \(B, 3\) or \(3,\), not \(4, 6\)"):
        cell(torch.zeros(B, 2 * I))
    with pytest.raises(ValueError, match=r"not \(4, 1, 3\)"):
        cell(torch.zeros(B, 1, I))
    with pytest.raises(ValueError, match=r"the state must have shape \(4, 5\), not \(5, 5\)"):
        cell(torch.zeros(B, I), state_of(kind, B + 1))


def test_misfits_of_one_kind_are_told() -> None:
    with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu', not 'sin'"):
        recurra.nn.RNNCell(I, H, nonlinearity="sin")
    with pytest.raises(ValueError, match="the state has 2 tensors, not 3"):
        recurra.nn.LSTMCell(I, H)(torch.zeros(B, I), torch.zeros(3, B, H))
