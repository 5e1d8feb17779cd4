"""Beam search: against all sequences there are, against a plain beam, ties, sentences beside one another, a network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.cells import GRU
from recurra.decoding import Hypothesis, beam_search
from recurra.errors import InputError, UsageError
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.networks.stepper import Stepper

Model = Callable[[tuple[int, ...]], np.ndarray]
END = 0


def drawn(seed: int, vocabulary: int, spread: float = 2.0, grain: float = 0.0) -> Model:
    """Log-probabilities that depend on all tokens before; with a grain many are equal, and -∞ at times."""

    def log_probabilities(tokens: tuple[int, ...]) -> np.ndarray:
        x = np.random.default_rng([seed, *tokens]).normal(0, spread, vocabulary)
        if grain:
            x = np.round(x / grain) * grain
            return np.where(x < -spread, -np.inf, np.minimum(x, 0.0))
        return x - np.logaddexp.reduce(x)

    return log_probabilities


class Prefixes:
    """A step over models, one for each sentence: what it keeps are the tokens so far."""

    def __init__(self, *models: Model) -> None:
        self.rows: list[tuple[Model, tuple[int, ...]]] = [(model, ()) for model in models]

    def __call__(self, parents: np.ndarray | None, tokens: np.ndarray) -> np.ndarray:
        before = self.rows if parents is None else [self.rows[parent] for parent in parents]
        self.rows = [(model, (*prefix, int(t))) for (model, prefix), t in zip(before, tokens, strict=True)]
        return np.array([model(prefix) for model, prefix in self.rows])


def penalty(length: int, alpha: float) -> float:
    return ((5 + length) / 6) ** alpha


def total(model: Model, start: int, tokens: tuple[int, ...]) -> float:
    sequence = (start, *tokens, END)
    return sum(float(model(sequence[:i])[sequence[i]]) for i in range(1, len(sequence)))


def every_sequence(
    model: Model, vocabulary: int, most: int, alpha: float, least: int = 0, banned: tuple[int, ...] = ()
) -> list[tuple[float, tuple[int, ...]]]:
    letters = [token for token in range(vocabulary) if token != END and token not in banned]
    found = [
        (total(model, 1, tokens) / penalty(length + 1, alpha), tokens)
        for length in range(least, most + 1)
        for tokens in itertools.product(letters, repeat=length)
    ]
    return sorted(found, key=lambda each: -each[0])


def plain_beam(model: Model, start: int, most: int, width: int, n_best: int, alpha: float) -> list[Any]:
    """The same search, as one would write it first; to the very end, without stopping early."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[tuple[int, ...], float]] = []
    for _ in range(most + 1):
        longer = []
        for tokens, sum_ in live:
            log = model((start, *tokens))
            ended.append((tokens, sum_ + log[END]))
            longer += [((*tokens, t), sum_ + log[t]) for t in range(len(log)) if t != END]
        live = sorted((each for each in longer if each[1] > -np.inf), key=lambda each: -each[1])[:width]
    ended = [(tokens, sum_ / penalty(len(tokens) + 1, alpha)) for tokens, sum_ in ended if sum_ > -np.inf]
    return sorted(ended, key=lambda each: -each[1])[:n_best]


@settings(max_examples=40)
@given(
    st.integers(0, 2**32),
    st.integers(2, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    st.data(),
)
def test_a_beam_wide_enough_finds_the_best_of_all_sequences(
    seed: int, vocabulary: int, most: int, alpha: float, data: st.DataObject
) -> None:
    model = drawn(seed, vocabulary)
    least = data.draw(st.integers(0, most))
    banned = data.draw(st.sampled_from([(), (1,)])) if vocabulary > 2 else ()
    want = every_sequence(model, vocabulary, most, alpha, least, banned)[:5]
    (got,) = beam_search(
        Prefixes(model),
        [1],
        end=END,
        max_length=most,
        min_length=least,
        width=vocabulary**most,
        n_best=5,
        alpha=alpha,
        banned=banned,
        early_stop=False,
    )
    assert [each.tokens for each in got] == [tokens for _, tokens in want]
    assert [each.score for each in got] == pytest.approx([score for score, _ in want], rel=1e-12)
    assert [each.log_probability for each in got] == pytest.approx(
        [total(model, 1, each.tokens) for each in got], rel=1e-12
    )


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(2, 6),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.sampled_from([0.0, 0.5, 2.0]),
)
def test_it_is_the_plain_beam(
    seed: int, vocabulary: int, most: int, width: int, n_best: int, alpha: float, grain: float
) -> None:
    model = drawn(seed, vocabulary, grain=grain)
    (got,) = beam_search(
        Prefixes(model),
        [1],
        end=END,
        max_length=most,
        width=width,
        n_best=n_best,
        alpha=alpha,
        early_stop=False,
    )
    assert [(each.tokens, each.score) for each in got] == plain_beam(model, 1, most, width, n_best, alpha)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=5), st.booleans(), st.data())
def test_sentences_beside_one_another_are_as_alone(
    seeds: list[int], early_stop: bool, data: st.DataObject
) -> None:
    models = [drawn(seed, 5, grain=data.draw(st.sampled_from([0.0, 0.5]))) for seed in seeds]
    starts = [data.draw(st.integers(0, 4)) for _ in seeds]
    most = [data.draw(st.integers(1, 6)) for _ in seeds]
    options: dict[str, Any] = {"end": END, "width": 3, "n_best": 2, "early_stop": early_stop}
    together = beam_search(Prefixes(*models), starts, max_length=most, **options)
    for i, model in enumerate(models):
        assert (
            together[i] == beam_search(Prefixes(model), starts[i : i + 1], max_length=most[i], **options)[0]
        )


def test_equal_sequences_come_in_the_order_of_their_tokens() -> None:
    def uniform(tokens: tuple[int, ...]) -> np.ndarray:
        return np.full(4, np.log(0.25))

    (got,) = beam_search(
        Prefixes(uniform), [1], end=END, max_length=2, min_length=2, width=9, n_best=9, alpha=0.6
    )
    assert [each.tokens for each in got] == list(itertools.product([1, 2, 3], repeat=2))


def test_stopping_early_saves_steps_and_finds_what_ends_first() -> None:
    steps = []

    def model(tokens: tuple[int, ...]) -> np.ndarray:
        steps.append(len(tokens))
        return np.log([0.9, 0.05, 0.05] if len(tokens) > 3 else [0.01, 0.98, 0.01])

    (got,) = beam_search(Prefixes(model), [1], end=END, max_length=50, width=2)
    assert got[0].tokens == (1, 1, 1)
    assert max(steps) == 4


def test_without_stopping_early_a_long_sequence_may_win_by_its_length_alone() -> None:
    def model(tokens: tuple[int, ...]) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log([0.6, 0.4] if len(tokens) == 1 else [float(len(tokens) == 6), 1.0])

    options: dict[str, Any] = {"end": END, "max_length": 5, "alpha": 1.0}
    (stopped,) = beam_search(Prefixes(model), [1], **options)
    (best,) = beam_search(Prefixes(model), [1], early_stop=False, **options)
    assert stopped[0].tokens == ()
    assert best[0].tokens == (1, 1, 1, 1, 1)
    assert best[0].score == pytest.approx(np.log(0.4) / (11 / 6))
    assert best[0].score > stopped[0].score == pytest.approx(np.log(0.6))


def test_what_has_probability_0_is_not_found() -> None:
    def never_ends(tokens: tuple[int, ...]) -> np.ndarray:
        return np.array([-np.inf, 0.0, -np.inf])

    assert beam_search(Prefixes(never_ends), [1], end=END, max_length=3) == [[]]
    assert beam_search(Prefixes(never_ends), [1], end=END, max_length=3, banned=[1]) == [[]]
    (got,) = beam_search(Prefixes(never_ends), [1], end=1, max_length=3, n_best=4)
    assert got == [Hypothesis((), 0.0, 0.0)]


def test_no_sentences_give_no_results() -> None:
    assert beam_search(Prefixes(), [], end=END, max_length=3) == []


def network_of(vocabulary: int) -> TokenNetwork:
    stack = Recurrent([GRU(6, 8)])
    return TokenNetwork(Embedding(vocabulary, 6), stack, SoftmaxHead(8, vocabulary)).double().eval()


def test_a_network_in_torch_is_searched_through_its_states() -> None:
    network = network_of(7)

    @torch.no_grad()
    def whole(tokens: tuple[int, ...]) -> np.ndarray:
        hidden, _ = network(torch.tensor([tokens]))
        return network.head(4 * hidden[:, -1]).log_softmax(-1).squeeze(0).numpy()

    class Sharper:
        def step(self, tokens: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
            y, state = network.recurrent.step(network.embedding(tokens), state)
            return network.head(4 * y), state

    starts = [1, 2, 3]
    options: dict[str, Any] = {"end": END, "max_length": 6, "width": 4, "n_best": 3}
    got = beam_search(Stepper(Sharper(), network.initial_state(3, dtype=torch.float64)), starts, **options)
    want = beam_search(Prefixes(whole, whole, whole), starts, **options)
    assert [[each.tokens for each in one] for one in got] == [[each.tokens for each in one] for one in want]
    flat = [each.score for one in want for each in one]
    assert [each.score for one in got for each in one] == pytest.approx(flat, rel=1e-9)
    assert len(flat) == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width must be a whole number, 1 or more"),
        ({"n_best": 0}, "n_best must be"),
        ({"max_length": 0}, "max_length must be"),
        ({"max_length": 2, "min_length": 3}, "max_length must be a whole number, 3 or more"),
        ({"max_length": [3, 3]}, "max_length must be one number or 1"),
        ({"alpha": -1.0}, "alpha must be"),
        ({"alpha": float("nan")}, "alpha must be"),
        ({"banned": [END]}, "the end is banned"),
        ({"banned": [-1]}, "every banned token must be"),
        ({"banned": [9]}, "must be \\(1, more than 9\\)"),
        ({"start": [[1]]}, "start must have one token"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, Any], words: str) -> None:
    arguments = {"start": [1], "end": END, "max_length": 3} | options
    with pytest.raises(UsageError, match=words):
        beam_search(Prefixes(drawn(0, 4)), **arguments)


def test_a_network_of_nan_is_an_error() -> None:
    with pytest.raises(InputError, match="not numbers"):
        beam_search(Prefixes(lambda tokens: np.array([0.0, np.nan])), [1], end=END, max_length=3)
