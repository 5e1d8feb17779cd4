"""The functions on states: what they promise, on states of any build."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra import state


class Pair(NamedTuple):
    h: Tensor
    c: Any


def leaf(rows: int) -> Any:
    shapes = st.lists(st.integers(0, 3), max_size=2)
    return shapes.map(lambda shape: torch.randn(rows, *shape))


def states(rows: int) -> Any:
    return st.recursive(
        leaf(rows),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(tuple),
            st.builds(Pair, leaf(rows), inner),
            st.builds(Pair, inner, inner),
        ),
        max_leaves=5,
    )


def equal(a: Any, b: Any) -> bool:
    """Whether two states are built alike, of the same types, and hold the same bits."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))


@given(states(3))
def test_flatten_and_unflatten_are_inverse(s: Any) -> None:
    assert equal(state.unflatten(s, state.flatten(s)), s)


@given(states(4))
def test_rows_taken_apart_and_joined_are_the_state(s: Any) -> None:
    rows = [state.select(s, torch.tensor([row])) for row in range(4)]
    assert equal(state.cat(rows), s)


@given(states(4))
def test_put_changes_the_rows_it_names_and_nothing_else(s: Any) -> None:
    before = state.transform(Tensor.clone, s)
    index = torch.tensor([2, 0])
    changed = state.put(s, index, state.transform(lambda leaf: leaf[index] + 1, s))
    assert equal(s, before)
    assert equal(state.select(changed, torch.tensor([1, 3])), state.select(s, torch.tensor([1, 3])))
    assert equal(state.select(changed, index), state.transform(lambda leaf: leaf + 1, state.select(s, index)))


@given(states(3))
def test_where_takes_rows_and_lets_nothing_through(s: Any) -> None:
    mask = torch.tensor([True, False, True])
    nan = state.transform(lambda leaf: torch.full_like(leaf, torch.nan), s)
    mixed = state.where(mask, s, nan)
    assert equal(state.select(mixed, mask), state.select(s, mask))
    assert all(leaf.isnan().all() for leaf in state.flatten(state.select(mixed, ~mask)).values())


@given(states(2))
def test_select_may_repeat_rows(s: Any) -> None:
    index = torch.tensor([1, 1, 0])
    assert equal(state.select(s, index), state.transform(lambda leaf: leaf[[1, 1, 0]], s))


def test_paths_are_fields_and_positions() -> None:
    h = torch.zeros(2, 1)
    assert list(state.flatten((Pair(h, (h, h)), h))) == ["0.h", "0.c.0", "0.c.1", "1"]
    assert list(state.flatten(h)) == ["state"]
    assert state.flatten(()) == {}


def test_detach_cuts_the_graph_and_to_casts() -> None:
    h = torch.ones(2, 3, requires_grad=True)
    s = (h * 2, Pair(h * 3, h * 4))
    assert not any(leaf.requires_grad for leaf in state.flatten(state.detach(s)).values())
    assert {leaf.dtype for leaf in state.flatten(state.to(s, torch.float64)).values()} == {torch.float64}
    assert isinstance(state.to(s, "cpu")[1], Pair)


def test_at_takes_one_step_of_noise() -> None:
    noise = (torch.arange(6).reshape(2, 3), None)[0]
    assert state.at(noise, 1).tolist() == [1, 4]
    assert state.at(None, 1) is None


LIKE = Pair(torch.zeros(2, 3), (torch.zeros(2, 1),))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"h": torch.zeros(2, 3)}, "the state lacks c.0"),
        ({"h": torch.zeros(2, 3), "c.0": torch.zeros(2, 1), "d": torch.zeros(2)}, "unexpected d"),
        (
            {"h": torch.zeros(2, 4), "c.0": torch.zeros(2, 1)},
            r"h must be torch.float32 \(batch, 3\), not .* \(2, 4\)",
        ),
        ({"h": torch.zeros(2, 3), "c.0": torch.zeros(())}, r"c.0 must be"),
        ({"h": torch.zeros(2, 3).double(), "c.0": torch.zeros(2, 1)}, "not torch.float64"),
        ({"h": torch.zeros(2, 3), "c.0": torch.zeros(5, 1)}, r"disagree about the batch: \[2, 5\]"),
    ],
)
def test_unflatten_tells_what_does_not_fit(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        state.unflatten(LIKE, tensors)


def test_rows_are_counted() -> None:
    state.check_rows(LIKE, 2)
    with pytest.raises(
        ValueError, match=r"the state's h must have 3 rows as the input does, not shape \(2, 3\)"
    ):
        state.check_rows(LIKE, 3)
    with pytest.raises(ValueError, match=r"c must have 2 rows"):
        state.check_rows(Pair(torch.zeros(2), torch.zeros(())), 2)


def test_unflatten_takes_another_batch() -> None:
    assert state.unflatten(LIKE, {"h": torch.ones(7, 3), "c.0": torch.ones(7, 1)}).h.shape == (7, 3)


def test_unlike_states_are_told() -> None:
    h = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="differ in structure: a Pair of 2 against a tuple of 1"):
        state.cat([Pair(h, h), (h,)])
    with pytest.raises(ValueError, match="differ in structure"):
        state.where(torch.tensor([True, False]), h, (h,))
    with pytest.raises(ValueError, match="at least one"):
        state.cat([])
    with pytest.raises(TypeError, match="not list"):
        state.detach([h])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not dict"):
        state.flatten(({"h": h},))  # type: ignore[dict-item]
