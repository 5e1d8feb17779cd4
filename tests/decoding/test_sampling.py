"""Sampling: C++ takes the definition's token, each setting does what it says, draws follow the distribution."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import Random, Sampling, choose
from recurra.errors import InputError

try:
    native: Any = importlib.import_module("recurra._native")
except ImportError:
    native = None
needs_extension = pytest.mark.skipif(native is None, reason="the extension was not built")

NOT_NUMBERS, NOTHING_ALLOWED, NOT_A_TOKEN = -1, -2, -3

FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, -3.0, -np.inf, 3.4e38, -3.4e38, 1e-45, 20.0]),
    st.floats(-30, 30, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Logits, settings, history and a mask that may leave nothing."""
    count = draw(st.integers(1, 300))
    tokens = st.integers(0, count - 1)
    if draw(st.booleans()):  # many, in a few lines of Hypothesis's budget
        generator = np.random.default_rng(draw(st.integers(0, 2**32)))
        logits = generator.normal(0, draw(st.sampled_from([0.0, 0.1, 1.0, 4.0, 100.0])), count)
        logits = logits.round(draw(st.integers(0, 8)))
    else:
        logits = np.array(draw(st.lists(FLOATS, min_size=count, max_size=count)))
    some = st.lists(tokens, max_size=4)
    forced = draw(some)
    settings = Sampling(
        temperature=draw(st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-3, 1e3))),
        top_k=draw(st.one_of(st.just(0), st.integers(0, count + 1))),
        top_p=draw(st.one_of(st.just(1.0), st.floats(0, 1, exclude_min=True))),
        min_p=draw(st.one_of(st.just(0.0), st.floats(0, 1))),
        repetition_penalty=draw(st.one_of(st.just(1.0), st.floats(1, 3), st.floats(1, 1000))),
        repetition_window=draw(st.integers(0, 5)),
        banned=[token for token in draw(some) if token not in forced],
        forced=forced,
    )
    mask = draw(st.one_of(st.none(), st.integers(0, 2**32), st.just(-1)))
    if mask is not None:
        share = draw(st.sampled_from([0.02, 0.5, 0.98]))
        mask = np.random.default_rng(mask).random(count) < share if mask >= 0 else np.zeros(count, bool)
    return {
        "logits": logits.astype(np.float32),
        "sampling": settings,
        "history": draw(st.lists(tokens, max_size=12)),
        "random": Random(draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 9))),
        "allowed": mask,
    }


def native_settings(sampling: Sampling) -> Any:
    settings = native.Settings()
    for name in Sampling.__dataclass_fields__:
        setattr(
            settings, name, getattr(sampling, name) or 0 if name == "max_tokens" else getattr(sampling, name)
        )
    return settings


def native_choose(
    logits: Any, sampling: Sampling, history: Any, random: Random, allowed: Any = None
) -> tuple[int, int]:
    numbers = native.Random(random.seed, random.count)
    bits = None if allowed is None else np.packbits(allowed, bitorder="little")
    history = np.array(history, dtype=np.int64)
    token = native.choose(native_settings(sampling), np.asarray(logits, np.float32), bits, history, numbers)
    return token, numbers.count


def plain_choose(**case: Any) -> tuple[int, int]:
    random = Random(case["random"].seed, case["random"].count)
    try:
        return choose(**case | {"random": random}), random.count
    except InputError:
        return NOTHING_ALLOWED, random.count


@needs_extension
@given(cases())
def test_cpp_takes_the_token_of_the_definition(case: dict[str, Any]) -> None:
    assert native_choose(**case) == plain_choose(**case)
