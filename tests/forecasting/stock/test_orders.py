from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.forecasting.stock.orders import (
    cut_to_budget,
    orderable,
    orderables,
    waste_limit,
    waste_probability,
)

packs = st.integers(1, 24)


@settings(max_examples=200)
@given(st.floats(0, 1000), packs, st.integers(0, 100), st.one_of(st.just(np.inf), st.floats(0, 500)))
def test_an_order_is_nothing_or_packs_of_at_least_the_minimum(
    quantity: float, pack: int, minimum: int, most: float
) -> None:
    order = orderable(quantity, pack=pack, minimum=minimum, most=most)
    assert order % pack == 0
    assert order == 0 or minimum <= order <= most + 1e-6
    if most == np.inf and quantity > 0:
        assert order >= quantity - 1e-6
        assert order < max(quantity, minimum) + pack
    assert quantity > 0 or order == 0


def test_without_packs_any_amount_is_ordered() -> None:
    assert orderable(2.345, pack=0, minimum=1) == 2.345
    assert orderable(0.5, pack=0, minimum=1) == 1
    assert orderable(0.5, pack=0, minimum=1, most=0.7) == 0


def test_waste() -> None:
    demand = np.arange(1, 101)
    assert waste_limit(demand, 10, 0.5) == 40
    assert waste_probability(demand, 10, 40) == pytest.approx(0.49)
    assert waste_probability(demand, 10, 0) == 0
    assert waste_limit(demand, 80, 0.5) == 0


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), budget=st.floats(0, 500), items=st.integers(1, 5))
def test_the_budget_is_kept_and_packs_and_minima_too(seed: int, budget: float, items: int) -> None:
    generator = np.random.default_rng(seed)
    pack = generator.integers(1, 7, items).astype(float)
    minima = generator.integers(0, 20, items).astype(float)
    quantities = np.array(
        [
            orderable(q, pack=p, minimum=m)
            for q, p, m in zip(generator.poisson(30, items), pack, minima, strict=True)
        ]
    )
    prices = generator.uniform(0.5, 5, items)
    shortages = [generator.poisson(q + 1, 100).astype(float) for q in quantities]
    kept = cut_to_budget(
        budget, quantities, shortages, prices=prices, values=prices, packs=pack, minima=minima
    )
    assert kept @ prices <= budget * (1 + 1e-9)
    assert (kept <= quantities + 1e-9).all()
    np.testing.assert_allclose(kept % pack, 0, atol=1e-9)
    assert ((kept == 0) | (kept >= minima)).all()
    if quantities @ prices <= budget:
        np.testing.assert_array_equal(kept, quantities)


def test_money_goes_where_it_avoids_most() -> None:
    # One piece of the first item is surely missed, of the second in one of ten futures; the third is dear.
    shortages = [np.full(10, 3.0), np.r_[np.zeros(9), 3.0], np.full(10, 3.0)]
    arguments = {"packs": np.ones(3), "minima": np.zeros(3), "values": np.ones(3)}
    kept = cut_to_budget(5, np.full(3, 3.0), shortages, prices=np.array([1.0, 1, 10]), **arguments)
    assert kept.tolist() == [3, 2, 0]


def test_large_orders_are_cut_in_parts() -> None:
    kept = cut_to_budget(
        5e5, np.array([1e6]), [np.full(10, 2e6)], prices=np.ones(1), values=np.ones(1), packs=np.ones(1),
        minima=np.zeros(1),
    )  # fmt: skip
    assert 4.8e5 < kept[0] <= 5e5


@settings(max_examples=100, deadline=None)
@given(
    quantities=st.lists(st.floats(-20, 500), min_size=1, max_size=6),
    pack=st.sampled_from([0.0, 1.0, 6.0, 0.25]),
    minimum=st.sampled_from([0.0, 10.0]),
)
def test_many_orders_are_those_of_each(quantities: list[float], pack: float, minimum: float) -> None:
    rounded = [round(quantity, 6) for quantity in quantities]
    found = orderables(np.array(quantities), pack=np.array(pack), minimum=np.array(minimum))
    expected = [orderable(quantity, pack=pack, minimum=minimum) for quantity in rounded]
    assert found.tolist() == pytest.approx(expected)
    assert orderables(np.array([1e-9]), pack=np.array(6.0), minimum=np.array(10.0)).tolist() == [0]
