"""What must hold for every cell's derivatives: first, second, forward-mode and mapped."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from cases import B, Case, H, I, T, random_state
from torch import Tensor, nn

from recurra import state
from recurra.cell import Cell

pytestmark = pytest.mark.usefixtures("poisoned_memory")


class Small(NamedTuple):
    """A small cell in float64 with what it takes, for derivatives."""

    cell: Cell
    x: Tensor
    before: Any
    noise: Any
    lengths: Tensor | None

    def leaves(self) -> list[Tensor]:
        return [self.x, *state.flatten(self.before).values(), *self.cell.parameters()]

    def outputs(self, *_: Tensor) -> tuple[Tensor, ...]:
        """The leaves are perturbed in place where finite differences are taken, so they need not be passed."""
        y, after = self.cell.sequence(self.x, self.before, self.lengths, self.noise)
        return y, *state.flatten(after).values()


def small(case: Case, lengths: tuple[int, ...] | None, training: bool) -> Small:
    cell = case.make(2, 4, seed=3).double().train(training)
    x = torch.randn(3, 3, cell.input_size, dtype=torch.float64, requires_grad=True)
    before = state.transform(lambda leaf: leaf.requires_grad_(), random_state(cell, 3))
    noise = cell.noise(3, 3, torch.Generator().manual_seed(4)) if training else None
    return Small(cell, x, before, noise, None if lengths is None else torch.tensor(lengths))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lengths", "training"), [((3, 1, 0), True), (None, False)], ids=["ragged-training", "whole-evaluation"]
)
def test_gradients_agree_with_finite_differences(
    case: Case, lengths: tuple[int, ...] | None, training: bool
) -> None:
    made = small(case, lengths, training)
    assert torch.autograd.gradcheck(made.outputs, made.leaves())


def test_second_gradients_agree_with_finite_differences(case: Case) -> None:
    made = small(case, (3, 1, 0), True)
    assert torch.autograd.gradgradcheck(made.outputs, made.leaves(), fast_mode=True)


def test_single_precision_differentiates_twice(case: Case) -> None:
    cell = case.make(I, H)
    x = torch.randn(B, T, cell.input_size, requires_grad=True)

    def penalty(cell: Cell, x: Tensor) -> Tensor:
        y, _ = cell.sequence(x, cell.initial_state(B, dtype=x.dtype), noise=noise)
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    noise = cell.noise(B, T, torch.Generator().manual_seed(4))
    found = penalty(cell, x)
    noise = None if noise is None else state.to(noise, torch.float64)
    expected = penalty(cell.double(), x.detach().double().requires_grad_())
    scale = expected.abs().max().item() + 1.0
    torch.testing.assert_close(found.double() / scale, expected / scale, rtol=1e-4, atol=1e-4)


def functional(made: Small) -> tuple[Any, tuple[Tensor, ...]]:
    """The sequence as a pure function of x, the state's leaves and the parameters, and these."""
    names = [name for name, _ in made.cell.named_parameters()]
    paths = list(state.flatten(made.before))

    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = made.cell

        def forward(self, x: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
            before = state.unflatten(made.before, dict(zip(paths, leaves, strict=True)))
            y, after = self.cell.sequence(x, before, made.lengths, made.noise)
            return y, *state.flatten(after).values()

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        leaves, parameters = rest[: len(paths)], rest[len(paths) :]
        named = {f"cell.{name}": each for name, each in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Sequence(), named, (x, *leaves))

    return function, tuple(each.detach() for each in made.leaves())


# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_agrees_with_finite_differences(case: Case) -> None:
    function, primals = functional(small(case, (3, 1, 0), False))
    tangents = tuple(torch.randn_like(each) for each in primals)
    _, found = torch.func.jvp(function, primals, tangents)
    step = 1e-6
    ahead, behind = (
        function(*(p + sign * step * t for p, t in zip(primals, tangents, strict=True))) for sign in (1, -1)
    )
    for tangent, one, two in zip(found, ahead, behind, strict=True):
        torch.testing.assert_close(tangent, (one - two) / (2 * step), rtol=1e-6, atol=1e-7)


def test_vmap_is_a_loop(case: Case) -> None:
    function, primals = functional(small(case, (3, 1, 0), False))
    many = [torch.stack([each, each + 0.1, each - 0.2]) for each in primals]
    found = torch.func.vmap(function)(*many)
    for number in range(3):
        expected = function(*(each[number] for each in many))
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one[number], two, rtol=1e-12, atol=1e-12)
