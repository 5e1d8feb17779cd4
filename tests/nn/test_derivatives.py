"""Derivatives of recurra.nn's layers beyond the first gradient, each against finite differences or a loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peers import KINDS, random_state, tensors
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

import recurra.nn

# torch itself uses torch.jit.script when forward mode first runs.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

every_kind = pytest.mark.parametrize("kind", KINDS)
ragged = pytest.mark.parametrize("lengths", [None, (4, 1, 0)], ids=["whole", "ragged"])
OPTIONS: list[dict[str, Any]] = [{}, {"bidirectional": True, "num_layers": 2}]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=["one", "four"])


def small(kind: str, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    return getattr(recurra.nn, kind)(2, 2, dtype=dtype, batch_first=True, **options)


def counted(lengths: tuple[int, ...] | None) -> Tensor | None:
    return None if lengths is None else torch.tensor(lengths)


def functional(layer: nn.Module, lengths: Tensor | None) -> Any:
    """The layer's outputs and last states as a function of input, states and parameters, and these."""
    x = torch.randn(3, 4, 2, dtype=torch.float64)
    states = [each.detach() for each in tensors(random_state(layer, 3, torch.float64))]
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        before, parameters = rest[: len(states)], dict(zip(names, rest[len(states) :], strict=True))
        hx = before if len(before) == 2 else before[0]
        return tuple(tensors(functional_call(layer, parameters, (x, hx), {"lengths": lengths})))

    inputs = [each.detach().requires_grad_() for each in (x, *states, *layer.parameters())]
    return run, inputs


@every_kind
@every_option
@ragged
@pytest.mark.parametrize("path", ["", "reference"])
def test_first_and_second_gradients_agree_with_finite_differences(
    kind: str,
    options: dict[str, Any],
    lengths: tuple[int, ...] | None,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    run, inputs = functional(small(kind, **options), counted(lengths))
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@every_kind
@ragged
def test_forward_mode_agrees_with_finite_differences(kind: str, lengths: tuple[int, ...] | None) -> None:
    run, inputs = functional(small(kind, bidirectional=True), counted(lengths))
    assert torch.autograd.gradcheck(
        run, inputs, check_forward_ad=True, check_backward_ad=False, fast_mode=True
    )


@every_kind
@ragged
def test_a_jvp_is_the_finite_difference(kind: str, lengths: tuple[int, ...] | None) -> None:
    run, inputs = functional(small(kind), counted(lengths))
    at = tuple(each.detach() for each in inputs)
    way = tuple(torch.randn_like(each) for each in at)
    _, tangents = jvp(run, at, way)
    ahead, behind = (
        run(*(each + sign * 1e-6 * step for each, step in zip(at, way, strict=True))) for sign in (1, -1)
    )
    for tangent, one, two in zip(tangents, ahead, behind, strict=True):
        assert tangent.abs().max() > 0.01
        torch.testing.assert_close(tangent, (one - two) / 2e-6, rtol=1e-6, atol=1e-8)


@every_kind
@ragged
def test_second_gradients_in_float32_are_those_in_float64(kind: str, lengths: tuple[int, ...] | None) -> None:
    layer = small(kind, torch.float32, bidirectional=True)

    def penalty(dtype: torch.dtype) -> list[Tensor]:
        layer.to(dtype)
        x = torch.linspace(-1, 1, 24, dtype=dtype).reshape(3, 4, 2).requires_grad_()
        y, _ = layer(x, lengths=counted(lengths))
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return list(torch.autograd.grad(first.square().sum(), [x, *layer.parameters()]))

    for one, two in zip(penalty(torch.float32), penalty(torch.float64), strict=True):
        torch.testing.assert_close(one.double(), two, rtol=1e-4, atol=1e-5)


@every_kind
@every_option
def test_vmap_over_inputs_is_the_loop(kind: str, options: dict[str, Any]) -> None:
    layer = small(kind, **options)
    x = torch.randn(5, 3, 4, 2, dtype=torch.float64)
    found = tensors(vmap(lambda each: layer(each))(x))
    loop = [tensors(layer(each)) for each in x]
    for number, each in enumerate(found):
        torch.testing.assert_close(each, torch.stack([one[number] for one in loop]), rtol=1e-12, atol=1e-12)


@every_kind
def test_vmap_over_weights_is_an_ensemble(kind: str) -> None:
    members = [small(kind) for _ in range(3)]
    stacked, _ = torch.func.stack_module_state(members)
    x = torch.randn(2, 4, 2, dtype=torch.float64)
    y = vmap(lambda weights: functional_call(members[0], weights, (x,))[0])(stacked)
    torch.testing.assert_close(y, torch.stack([member(x)[0] for member in members]), rtol=1e-12, atol=1e-12)


@every_kind
@pytest.mark.parametrize("steps", [None, (4, 1, 0)], ids=["whole", "ragged"])
@pytest.mark.parametrize("options", [*OPTIONS, {"layer_norm": True}], ids=["one", "four", "normed"])
def test_gradients_for_each_row_are_those_of_the_row(
    kind: str, options: dict[str, Any], steps: tuple[int, ...] | None
) -> None:
    layer = small(kind, **options)
    weights = {name: each.detach() for name, each in layer.named_parameters()}
    x, lengths = torch.randn(3, 4, 2, dtype=torch.float64), counted(steps)

    def loss(weights: dict[str, Tensor], row: Tensor, length: Tensor | None) -> Tensor:
        call = {} if length is None else {"lengths": length.unsqueeze(0)}
        y, _ = functional_call(layer, weights, (row.unsqueeze(0),), call)
        return y.square().sum()

    where = (None, 0, None if lengths is None else 0)
    found = vmap(grad(loss), where)(weights, x, lengths)
    for row in range(3):
        alone = grad(loss)(weights, x[row], None if lengths is None else lengths[row])
        for name, each in alone.items():
            torch.testing.assert_close(found[name][row], each, rtol=1e-12, atol=1e-12)


@every_kind
def test_jacobians_and_hessians_agree_whichever_way(kind: str) -> None:
    layer = small(kind)
    x = torch.randn(1, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(
        jacfwd(lambda x: layer(x)[0])(x), jacrev(lambda x: layer(x)[0])(x), rtol=1e-10, atol=1e-12
    )
    theirs = torch.autograd.functional.hessian(lambda x: layer(x)[0].square().sum(), x)
    torch.testing.assert_close(
        hessian(lambda x: layer(x)[0].square().sum())(x), theirs, rtol=1e-10, atol=1e-12
    )
