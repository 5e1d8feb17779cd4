"""The cross entropy: torch's own values and gradients, every derivative, bad targets, and where it is taken."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra import ops
from recurra.ops import losses

native = pytest.mark.skipif(not ops.native_available(), reason="the extension was not built")


def drawn(rows: int, classes: int, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    return spread * torch.randn(rows, classes), torch.randint(classes, (rows,))


def both(scores: Tensor, target: Tensor, grad: Tensor) -> list[tuple[Tensor, Tensor]]:
    found = []
    for function in (losses.cross_entropy, losses.reference):
        x = scores.clone().requires_grad_()
        y = function(x, target)
        found.append((y, torch.autograd.grad(y, x, grad)[0]))
    return found


@native
@pytest.mark.usefixtures("poisoned_memory")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 90), st.sampled_from([0.0, 1.0, 30.0]))
def test_it_is_torchs(rows: int, classes: int, spread: float) -> None:
    scores, target = drawn(rows, classes, spread)
    assert losses.fits(scores, target)
    for one, two in zip(*both(scores, target, torch.randn(rows)), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=2e-5)


@native
@pytest.mark.usefixtures("poisoned_memory")
def test_many_classes_and_any_memory() -> None:
    scores, target = drawn(2 * 37, 10_003)
    grad = torch.randn(37)
    for one, two in zip(*both(scores[::2], target[::2], grad), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=2e-5)
    with torch.no_grad():
        torch.testing.assert_close(ops.cross_entropy(scores, target), losses.reference(scores, target))


@native
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_stays_in_its_row(value: float) -> None:
    scores, target = drawn(3, 20)
    target[1] = 5
    scores[1, 4] = value
    (ours, gradient), (theirs, wanted) = both(scores, target, torch.ones(3))
    torch.testing.assert_close(ours, theirs, equal_nan=True)
    torch.testing.assert_close(gradient, wanted, equal_nan=True)
    scores[1] = value
    torch.testing.assert_close(
        losses.cross_entropy(scores, target), losses.reference(scores, target), equal_nan=True
    )


@pytest.mark.parametrize("target", [-1, 4, -100])
@pytest.mark.parametrize("forced", ["", "reference"])
def test_a_target_that_is_no_class_is_an_error(
    target: int, forced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_OPS", forced)
    with pytest.raises(IndexError, match=f"Target {target} is out of bounds"):
        ops.cross_entropy(torch.zeros(2, 4), torch.tensor([0, target]))


@native
def test_second_derivatives_are_torchs() -> None:
    scores, target = drawn(5, 7)

    def penalty(function: object) -> Tensor:
        x = scores.clone().requires_grad_()
        (first,) = torch.autograd.grad(function(x, target).sin().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    torch.testing.assert_close(penalty(losses.cross_entropy), penalty(losses.reference))


@native
def test_gradients_may_come_in_batches() -> None:
    scores, target = drawn(5, 7)
    x, grads = scores.requires_grad_(), torch.randn(3, 5)
    y = ops.cross_entropy(x, target)
    (found,) = torch.autograd.grad(y, x, grads, is_grads_batched=True, retain_graph=True)
    for number in range(3):
        (wanted,) = torch.autograd.grad(y, x, grads[number], retain_graph=True)
        torch.testing.assert_close(found[number], wanted)


def test_compiled_programs_and_transforms_take_the_reference() -> None:
    scores, target = drawn(5, 7)
    wanted = losses.reference(scores, target)
    exported = torch.export.export(_Loss(), (scores, target)).module()
    torch.testing.assert_close(exported(scores, target), wanted)
    gradient = torch.func.grad(lambda x: ops.cross_entropy(x, target).sum())(scores)
    torch.testing.assert_close(gradient.sum(-1), torch.zeros(5), atol=1e-5, rtol=0)


def test_only_plain_scores_are_taken() -> None:
    scores, target = drawn(5, 7)
    assert not losses.fits(scores.double(), target)
    assert not losses.fits(scores.bfloat16(), target)
    assert not losses.fits(scores, target.int())
    assert not losses.fits(scores[0], target[0])
    assert not losses.fits(scores.to("meta"), target.to("meta"))
    torch.testing.assert_close(
        ops.cross_entropy(scores.double(), target), losses.reference(scores.double(), target)
    )


class _Loss(torch.nn.Module):
    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return ops.cross_entropy(scores, target)
