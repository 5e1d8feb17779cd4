from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import UsageError
from recurra.training import Recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 1.5),
        ("steps", True),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("warmup", -1),
        ("weight_decay", -0.1),
        ("clip", 0.0),
        ("average", 1.0),
        ("average", -0.1),
        ("evaluate_every", 0),
        ("patience", 0),
        ("max_seconds", 0),
        ("checkpoint_seconds", -1),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_number_out_of_range_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        Recipe(**{name: value})
    assert str(value) in str(caught.value)


@given(st.integers(1, 300), st.integers(0, 400))
def test_the_rate_warms_up_to_the_learning_rate_and_falls_to_a_hundredth(steps: int, warmup: int) -> None:
    recipe = Recipe(steps=steps, warmup=warmup, learning_rate=0.5)
    rates = [recipe.rate(step) for step in range(1, steps + 1)]
    top = min(warmup, steps // 2)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert all(0 < rate <= 0.5 for rate in rates)
    assert rates[-1] == pytest.approx(0.005)
    if top:
        assert rates[top - 1] == pytest.approx(0.5)
