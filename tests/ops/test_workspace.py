"""The pool of working memory: what is lent comes back, once, and no more waits than it may."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from recurra.ops import workspace

LARGE = 2 * workspace.SMALL


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    gc.collect()
    workspace.clear()
    yield
    workspace.clear()


def test_memory_comes_back_with_the_last_tensor_that_shares_it() -> None:
    x = workspace.take(LARGE, 2)
    view, address = x[1:, 0], x.data_ptr()
    del x
    assert workspace.waiting() == 0
    del view
    assert workspace.waiting() >= 8 * LARGE
    again = workspace.take(2, LARGE)
    assert again.data_ptr() == address
    assert workspace.waiting() == 0


def test_numbers_begin_at_a_cache_line() -> None:
    for count in (LARGE, LARGE + 1, 3 * LARGE + 7):
        x = workspace.take(count)
        assert x.shape == (count,)
        assert x.dtype == torch.float32
        assert x.data_ptr() % 64 == 0


def test_what_autograd_saves_is_not_lent_again() -> None:
    weight = torch.ones(LARGE, requires_grad=True)
    x = workspace.take(LARGE).fill_(2.0)
    y = weight * x
    del x
    workspace.take(LARGE).fill_(3.0)
    assert torch.autograd.grad(y.sum(), weight)[0].eq(2.0).all()


def test_no_more_waits_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "BOUND", 16 * LARGE)
    lent = [workspace.take(LARGE + 1000 * number) for number in range(8)]
    del lent
    assert 0 < workspace.waiting() <= workspace.BOUND


def test_small_and_empty_ones_are_the_allocators() -> None:
    assert workspace.take(0, 5).shape == (0, 5)
    workspace.take(3)
    assert workspace.waiting() == 0


def test_fresh_memory_is_poisoned_where_torch_poisons_its_own(poisoned_memory: None) -> None:
    workspace.take(LARGE).zero_()
    assert workspace.take(LARGE).isnan().all()
