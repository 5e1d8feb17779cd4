"""The linear layer in reused memory: torch's numbers, derivatives of every kind, and where it is taken."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from recurra import native, ops
from recurra.ops import product, workspace

VARIANTS = native.extension().variants() if native.available() else [None]
ROUNDED = {"rtol": 1e-5, "atol": 1e-4}  # sums of hundreds, in another order
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
    torch.testing.assert_close(found, wanted, **ROUNDED)
    for one, two in zip(
        torch.autograd.grad(found, arguments, grad), torch.autograd.grad(wanted, arguments, grad), strict=True
    ):
        torch.testing.assert_close(one, two, **ROUNDED)
    with torch.no_grad():
        torch.testing.assert_close(ops.linear(*arguments), wanted, **ROUNDED)


@settings(max_examples=60)
@given(
    rows=st.integers(0, 50),
    depth=st.integers(0, 300),
    columns=st.integers(0, 70),
    turned=st.tuples(st.booleans(), st.booleans()),
    starts=st.booleans(),
    variant=st.sampled_from(VARIANTS),
)
def test_a_product_is_torchs(
    rows: int, depth: int, columns: int, turned: tuple[bool, bool], starts: bool, variant: str | None
) -> None:
    a, b = (
        torch.randn(shape[::-1]).t() if turn else torch.randn(shape)
        for shape, turn in zip(((rows, depth), (depth, columns)), turned, strict=True)
    )
    start = torch.randn(columns) if starts else None
    wanted = a.double() @ b.double() + (start.double() if start is not None else 0.0)
    before = native.extension().variant() if variant else None
    try:
        if variant:
            native.extension().use(variant)
        found = product.times(a, b, start, own=variant is not None)
    finally:
        if variant:
            native.extension().use(before)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("strange", ["every other", "expanded"])
def test_matrices_may_lie_anyhow(strange: str) -> None:
    a = torch.randn(300, 160)[:, ::2] if strange == "every other" else torch.randn(1, 1).expand(300, 80)
    b = torch.randn(80, 75)
    own = native.available()
    torch.testing.assert_close(product.times(a, b, own=own), a @ b, **ROUNDED)


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
