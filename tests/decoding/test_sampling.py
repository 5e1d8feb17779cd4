"""Sampling: C++ takes the definition's token, each setting does what it says, draws follow the distribution."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding import Random, Sampling, choose, unpack
from recurra.decoding.sampling import _weights
from recurra.errors import InputError, UsageError

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
    sampling = Sampling(
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
        "sampling": sampling,
        "history": draw(st.lists(tokens, max_size=12)),
        "random": Random(draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 9))),
        "allowed": mask,
    }


def native_settings(sampling: Sampling) -> Any:
    made = native.Settings()
    for field in dataclasses.fields(Sampling):
        value = getattr(sampling, field.name)
        setattr(made, field.name, 0 if value is None else value)
    return made


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


@pytest.fixture
def each_variant() -> Iterator[list[str]]:
    before = native.variant()
    yield native.variants()
    native.use(before)


def count_tokens(draws: int, logits: Any, sampling: Sampling, **others: Any) -> np.ndarray:
    random = Random(3)
    tokens = [choose(logits, sampling, [], random, **others) for _ in range(draws)]
    return np.bincount(tokens, minlength=len(logits))


@needs_extension
@settings(max_examples=200)
@given(cases())
def test_cpp_takes_the_token_of_the_definition(case: dict[str, Any]) -> None:
    assert native_choose(**case) == plain_choose(**case)


@needs_extension
def test_every_variant_takes_the_same_token_from_a_large_vocabulary(each_variant: list[str]) -> None:
    generator = np.random.default_rng(0)
    every = [
        Sampling(),
        Sampling(temperature=0.0),
        Sampling(top_k=40, top_p=0.9),
        Sampling(top_k=2000),
        Sampling(top_p=0.9, repetition_penalty=1.3),
        Sampling(top_p=0.999, temperature=30.0),
        Sampling(min_p=0.05),
    ]
    for seed, (spread, sampling) in enumerate(itertools.product([0.01, 3.0], every)):
        case = {"logits": generator.normal(0, spread, 10_000), "sampling": sampling, "random": Random(seed)}
        case["history"] = generator.integers(0, 10_000, 300)
        want = plain_choose(**case)
        for variant in each_variant:
            native.use(variant)
            assert native_choose(**case) == want, (variant, sampling)


def test_weights_are_the_exponentials_and_the_same_bits_everywhere() -> None:
    logits = -np.arange(10_000, dtype=np.float32) / 256
    weights = _weights(logits, 0.7)
    assert weights / 2**40 == pytest.approx(np.exp(logits.astype(float) / 0.7), abs=1e-12)
    # native/tests/check_sampler.cpp has the same number.
    assert int((weights * np.arange(1, 10_001)).sum()) == 35505712203204173


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=2.0, top_k=5),
        Sampling(top_p=0.8),
        Sampling(min_p=0.2),
        Sampling(banned=[7, 3]),
        Sampling(temperature=1.5, top_k=6, top_p=0.9, min_p=0.1),
    ],
    ids=str,
)
def test_draws_follow_the_distribution(sampling: Sampling) -> None:
    logits = np.array([1.0, -2.0, 0.5, 3.0, -0.5, 2.5, 0.0, 2.0])
    p = np.exp(np.where(np.isin(np.arange(8), sampling.banned), -np.inf, logits) / sampling.temperature)
    order = np.argsort(-p)
    p[order[sampling.top_k or 8 :]] = 0
    p /= p.sum()
    p[order[1:][p[order].cumsum()[:-1] >= sampling.top_p]] = 0
    p[p < sampling.min_p * p.max()] = 0
    p /= p.sum()
    draws = 3000
    counts = count_tokens(draws, logits, sampling)
    assert counts[p == 0].sum() == 0
    chi_square = ((counts - draws * p)[p > 0] ** 2 / (draws * p[p > 0])).sum()
    degrees = (p > 0).sum() - 1
    # Wilson & Hilferty's approximation; 3.09 standard deviations are 1 in 1000.
    assert ((chi_square / degrees) ** (1 / 3) - 1 + 2 / (9 * degrees)) / math.sqrt(2 / (9 * degrees)) < 3.09


LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40)
SEEDS = st.integers(0, 2**64 - 1)


@given(LOGITS, SEEDS)
def test_each_way_to_keep_one_token_is_greedy(logits: list[float], seed: int) -> None:
    greedy = choose(logits, Sampling(temperature=0.0), [], Random(seed))
    assert greedy == int(np.float32(logits).argmax())
    assert choose(logits, Sampling(top_k=1), [], Random(seed)) == greedy
    assert choose(logits, Sampling(top_p=1e-300), [], Random(seed)) == greedy
    one = np.arange(len(logits)) == seed % len(logits)
    assert choose(logits, Sampling(), [], Random(seed), one) == seed % len(logits)


@given(LOGITS, SEEDS, st.data())
def test_banned_and_masked_tokens_never_come(logits: list[float], seed: int, data: st.DataObject) -> None:
    count = len(logits)
    banned = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    left = mask & ~np.isin(np.arange(count), list(banned))
    for temperature in (0.0, 1.0, 50.0):
        sampling = Sampling(temperature=temperature, banned=sorted(banned))
        if left.any():
            assert left[choose(logits, sampling, [], Random(seed), mask)]
        else:
            with pytest.raises(InputError, match="no token is left"):
                choose(logits, sampling, [], Random(seed), mask)


class Given(Random):
    """A random number that is chosen: at the ends of the range."""

    def next(self) -> float:
        return self.seed / 2**53


def test_the_least_and_the_greatest_number_take_the_first_and_the_last_token_that_may_come() -> None:
    sampling = Sampling(banned=[0, 4], min_p=0.5)
    logits = [9.0, 1.0, 1.2, 1.1, 9.0]
    assert choose(logits, sampling, [], Given(0)) == 1
    assert choose(logits, sampling, [], Given(2**53 - 1)) == 3


def test_forced_tokens_come_first_and_take_a_number_each() -> None:
    random = Random(5)
    sampling = Sampling(forced=[2, 0, 2], temperature=0.0)
    tokens = [choose([0.0, 9.0, -np.inf], sampling, [], random) for _ in range(5)]
    assert tokens == [2, 0, 2, 1, 1]
    assert random.count == 5


def test_a_mask_that_forbids_the_forced_token_is_an_error() -> None:
    with pytest.raises(InputError, match="does not allow the token that is forced"):
        choose([0.0, 1.0], Sampling(forced=[1]), [], Random(0), np.array([True, False]))


def test_the_repetition_penalty_counts_each_earlier_token_once_within_its_window() -> None:
    logits = [2.0, 1.5, -1.0, -1.2]
    greedy = functools.partial(choose, logits, random=Random(0))
    penalty = {"temperature": 0.0, "repetition_penalty": 1.5}
    assert greedy(sampling=Sampling(**penalty), history=[]) == 0
    assert greedy(sampling=Sampling(**penalty), history=[0]) == 1  # 2 / 1.5 is less than 1.5
    assert greedy(sampling=Sampling(**penalty), history=[0, 1, 1, 1]) == 0
    assert greedy(sampling=Sampling(**penalty, repetition_window=1), history=[0, 2]) == 0
    assert greedy(sampling=Sampling(**penalty, repetition_window=2), history=[0, 3]) == 1
    banned = Sampling(**penalty, banned=[0, 1])
    assert greedy(sampling=banned, history=[2]) == 3  # -1 · 1.5 is less than -1.2


@given(SEEDS, st.integers(0, 2**40))
def test_the_numbers_are_a_function_of_seed_and_count(seed: int, count: int) -> None:
    random = Random(seed, count)
    number = random.next()
    assert 0 <= number < 1
    assert random == Random(seed, count + 1)
    assert Random(seed, count).next() == number
    if native is not None:
        other = native.Random(seed, count)
        assert other.next() == number
        assert (other.seed, other.count) == (seed, count + 1)


def test_the_numbers_are_spread_evenly_also_over_seeds() -> None:
    one = Random(0)
    for numbers in ([one.next() for _ in range(20_000)], [Random(seed).next() for seed in range(20_000)]):
        counts, _ = np.histogram(numbers, 100, (0, 1))
        assert ((counts - 200) ** 2 / 200).sum() < 149  # chi-square with 99 degrees: 1 in 1000
    seeds = [[Random(seed, count).next() for count in range(200)] for seed in range(50)]
    assert abs(np.corrcoef(seeds) - np.eye(50)).max() < 0.35


def test_what_ends_a_sequence() -> None:
    sampling = Sampling(stop=[3], max_tokens=5)
    assert sampling.ends(3, 1)
    assert not sampling.ends(2, 4)
    assert sampling.ends(2, 5)
    assert not Sampling().ends(3, 10**9)
    if native is not None:
        made = native_settings(sampling)
        ended = [native.ends(made, t, native.Random(0, n)) for t, n in [(3, 1), (2, 4), (2, 5)]]
        assert ended == [True, False, True]
        assert not native.ends(native_settings(Sampling()), 3, native.Random(0, 10**9))


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.0), Sampling(forced=[1])], ids=str)
def test_logits_that_are_no_numbers_are_an_error(odd: float, sampling: Sampling) -> None:
    for place in (0, 17, 19):
        logits = np.zeros(20, np.float32)
        logits[place] = odd
        random = Random(0)
        with pytest.raises(InputError, match=f"logit of token {place} is not a number"):
            choose(logits, sampling, [], random)
        assert random.count == 0
        if native is not None:
            assert native_choose(logits, sampling, [], random) == (NOT_NUMBERS, 0)


def test_tokens_outside_of_the_vocabulary_are_refused() -> None:
    for sampling in (Sampling(banned=[4]), Sampling(forced=[4]), Sampling(stop=[4])):
        with pytest.raises(UsageError, match=r"must be in the vocabulary, 0 … 3 \(found '4'\)"):
            choose(np.zeros(4), sampling, [], Random(0))
        if native is not None:
            assert "not in the vocabulary" in native_settings(sampling).check(4)
    for token in (-1, 4):
        with pytest.raises(UsageError, match="an earlier token"):
            choose(np.zeros(4), Sampling(repetition_penalty=1.1), [token], Random(0))
        if native is not None:
            penalized = Sampling(repetition_penalty=1.1)
            assert native_choose(np.zeros(4), penalized, [token], Random(0)) == (NOT_A_TOKEN, 0)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": -1.0}, "temperature must be 0, which is greedy"),
    ({"temperature": 1e-4}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": float("inf")}, "temperature"),
    ({"top_k": -1}, "top_k must be a whole number, 0 or more"),
    ({"top_p": 0.0}, "top_p must be a number above 0, at most 1"),
    ({"top_p": 1.1}, "top_p"),
    ({"min_p": -0.1}, "min_p must be a number 0 … 1"),
    ({"min_p": float("nan")}, "min_p"),
    ({"repetition_penalty": 0.9}, "repetition_penalty must be a number 1 … 1000"),
    ({"repetition_window": -1}, "repetition_window"),
    ({"max_tokens": -1}, "max_tokens must be a whole number, 1 or more"),
    ({"banned": [-1]}, "every token in banned"),
    ({"forced": [-1]}, "every token in forced"),
    ({"stop": [-1]}, "every token in stop"),
    ({"forced": [3], "banned": [1, 3]}, "both forced and banned"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=str)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Sampling(**wrong)
    if native is not None:
        made = native.Settings()
        assert made.check(10) is None
        for name, value in wrong.items():
            setattr(made, name, value)
        assert made.check(10)


@pytest.mark.parametrize("wrong", [{"top_k": 1.5}, {"top_p": "0.9"}, {"stop": ["a"]}, {"max_tokens": 0}])
def test_settings_of_another_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be"):
        Sampling(**wrong)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True])
def test_seeds_out_of_range_are_refused(seed: Any) -> None:
    with pytest.raises(UsageError, match="seed must be"):
        Random(seed)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.sampled_from(["u1", "<u4", ">u4", "<u8"]))
def test_masks_of_bits_are_those_of_booleans(mask: list[bool], kind: str) -> None:
    whole = np.zeros(-(-len(mask) // 64) * 64, bool)
    whole[: len(mask)] = mask
    packed = np.packbits(whole, bitorder="little").view(kind.replace(">", "<")).astype(kind)
    packed = packed[: -(-len(mask) // (8 * packed.dtype.itemsize))]
    assert unpack(packed, len(mask)).tolist() == mask
    assert unpack(mask, len(mask)).tolist() == mask
    with pytest.raises(UsageError, match="must be"):
        unpack(packed, len(mask) + 64)


def test_masks_of_other_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="booleans, or bits"):
        unpack([1, 0, 1], 3)
