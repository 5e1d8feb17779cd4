from __future__ import annotations

import math

import pytest
import torch

from recurra.bench import limits

pytestmark = pytest.mark.usefixtures("one_thread")


def test_rates_are_numbers() -> None:
    assert 0 < limits.product_rate([(8, 4, 6), (4, 8, 6)], seconds=0.01) < math.inf
    assert 0 < limits.read_rate(4 << 10, seconds=0.01) < math.inf
    assert 0 < limits.read_rate(64 << 20, seconds=0.01) < math.inf


@pytest.mark.slow
def test_the_machine_is_measured_with_one_thread_and_with_all() -> None:
    found = limits.limits(1)
    assert found.by == "torch"
    assert list(found.read) == ["L1", "L2", "L3", "memory"]
    for rates in (found.matrix_product, *found.read.values()):
        assert all(rate is not None and rate > 0 for rate in rates.values())
        assert list(rates) == ["one_thread", "all_threads"]


def test_the_levels_grow() -> None:
    sizes = list(limits._levels().values())
    assert sizes == sorted(sizes)
    assert all(size % 4 == 0 and size > 0 for size in sizes)


@pytest.mark.parametrize("count", [3, None])
def test_threads_are_put_back_also_after_an_error(count: int | None) -> None:
    before = torch.get_num_threads()

    def interrupted() -> None:
        with limits.threads(count):
            assert torch.get_num_threads() == (count or before)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert torch.get_num_threads() == before


def test_the_machine_has_a_name_and_a_core() -> None:
    assert limits.cpu()
    assert limits.cores() >= 1
