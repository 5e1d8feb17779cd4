from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.bench.timing import Times, check_alike, geometric_mean, take_turns, training_step
from recurra.errors import RecurraError


def test_ways_take_turns_and_every_call_is_timed() -> None:
    called: list[str] = []
    times = take_turns(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")}, budget=0.0, rounds=(3, 9)
    )
    assert called == ["a", "b"] * 3
    assert all(len(each.seconds) == 3 and min(each.seconds) > 0 for each in times.values())


def test_a_budget_that_is_not_used_up_ends_at_the_most_rounds() -> None:
    times = take_turns({"a": lambda: None}, budget=60.0, rounds=(1, 5))
    assert len(times["a"].seconds) == 5


def test_the_median_is_not_moved_by_one_slow_round() -> None:
    times = Times((0.2, 0.1, 9.0))
    assert (times.median, times.fastest) == (0.2, 0.1)


def test_a_training_step_gives_what_backward_gives() -> None:
    layer, x, grad = torch.nn.Linear(3, 2), torch.randn(4, 3, requires_grad=True), torch.randn(4, 2)
    y, *grads = training_step(lambda: layer(x), [x, *layer.parameters()], grad)()
    expected = layer(x)
    expected.backward(grad)
    assert torch.equal(y, expected)
    assert not y.requires_grad
    for found, wanted in zip(grads, (x, *layer.parameters()), strict=True):
        torch.testing.assert_close(found, wanted.grad)


@given(st.floats(-1e3, 1e3), st.floats(0.0, 0.1))
def test_what_differs_is_measured_by_the_largest_magnitude(size: float, share: float) -> None:
    wanted = torch.tensor([0.0, size, 1e3], dtype=torch.float64)
    found = wanted + torch.tensor([share * 1e3, 0.0, 0.0], dtype=torch.float64)
    assert check_alike({"a": [wanted], "b": [found]}, 0.11) == pytest.approx(share)


@pytest.mark.parametrize("wrong", [[1.0, 2.1], [1.0, math.nan], [1.0], [math.inf, 2.0]])
def test_ways_that_differ_are_refused(wrong: list[float]) -> None:
    with pytest.raises(RecurraError, match=r"wrong .*first"):
        check_alike(
            {
                "first": [torch.tensor([1.0, 2.0])],
                "right": [torch.tensor([1.0, 2.0])],
                "wrong": [torch.tensor(wrong)],
            }
        )


def test_a_missing_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        check_alike({"a": [torch.ones(1), torch.ones(1)], "b": [torch.ones(1)]})


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8))
def test_the_geometric_mean_lies_within_and_turns_with_the_ratio(ratios: list[float]) -> None:
    mean = geometric_mean(ratios)
    assert min(ratios) * (1 - 1e-9) <= mean <= max(ratios) * (1 + 1e-9)
    assert geometric_mean(1 / ratio for ratio in ratios) == pytest.approx(1 / mean)


def test_no_ratios_have_no_mean() -> None:
    assert math.isnan(geometric_mean([]))
