"""The linear layer in reused memory: torch's own, derivatives of every kind, and where it is taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recurra import ops
from recurra.ops import product, workspace

LARGE = (3, 300, 80), (75, 80)  # x's shape and the weight's


def inputs(biased: bool) -> list[Tensor]:
    x, weight = torch.randn(LARGE[0], requires_grad=True), torch.randn(LARGE[1], requires_grad=True)
    return [x, weight, *([torch.randn(LARGE[1][0], requires_grad=True)] if biased else [])]


@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_it_is_torchs(biased: bool, layout: str) -> None:
    arguments = inputs(biased)
    assert product.fits(*arguments[:2], arguments[2] if biased else None)
    if layout == "transposed":
        arguments[0] = torch.randn(LARGE[0][::-1]).permute(2, 1, 0).requires_grad_()
    grad = torch.randn(*LARGE[0][:2], LARGE[1][0])
    found, wanted = (function(*arguments) for function in (ops.linear, functional.linear))
    torch.testing.assert_close(found, wanted)
    for one, two in zip(
        torch.autograd.grad(found, arguments, grad), torch.autograd.grad(wanted, arguments, grad), strict=True
    ):
        torch.testing.assert_close(one, two)
    with torch.no_grad():
        torch.testing.assert_close(ops.linear(*arguments), wanted)


def test_second_derivatives_are_torchs() -> None:
    def penalty(function: object) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(function(*arguments).sin().sum(), arguments, create_graph=True)
        return torch.autograd.grad(sum(each.square().mean() for each in first), arguments)

    arguments = [each.detach().mul(0.1).requires_grad_() for each in inputs(True)]
    for one, two in zip(penalty(ops.linear), penalty(functional.linear), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_gradients_may_come_in_batches() -> None:
    arguments = inputs(True)
    y, grads = ops.linear(*arguments), torch.randn(2, *LARGE[0][:2], LARGE[1][0])
    found = torch.autograd.grad(y, arguments, grads, is_grads_batched=True, retain_graph=True)
    for number in range(2):
        for one, two in zip(
            found, torch.autograd.grad(y, arguments, grads[number], retain_graph=True), strict=True
        ):
            torch.testing.assert_close(one[number], two, rtol=1e-4, atol=1e-4)


def test_only_large_results_on_the_cpu_in_single_precision_are_taken() -> None:
    x, weight = torch.empty(LARGE[0]), torch.empty(LARGE[1])
    assert product.fits(x, weight, None)
    assert not product.fits(x[:1], weight, None)
    assert not product.fits(x.double(), weight.double(), None)
    assert not product.fits(x.to("meta"), weight.to("meta"), None)
    assert not product.fits(x[:0], weight, None)
    assert not product.fits(torch.empty(5, 0), torch.empty(5, 0), None)
    with torch.autocast("cpu"):
        assert not product.fits(x, weight, None)


def test_its_memory_comes_back() -> None:
    x, weight = torch.randn(LARGE[0]), torch.randn(LARGE[1])
    workspace.clear()
    y = ops.linear(x, weight)
    assert workspace.waiting() == 0
    del y
    assert workspace.waiting() > 0
