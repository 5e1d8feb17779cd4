"""The chain beside the sum over all sequences of tags, written out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.decoding import Chain
from recurra.networks import LinearChainCRF

SHAPES = st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(1, 4), st.integers(0, 2**16))


def drawn(rows: int, steps: int, tags: int, seed: int = 0) -> tuple[LinearChainCRF, Tensor, Tensor]:
    """A chain with weights that matter, scores whose padding is NaN, and lengths."""
    generator = torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(tags).double()
    for weight in crf.parameters():
        torch.nn.init.normal_(weight, generator=generator)
    scores = torch.randn(rows, steps, tags, dtype=torch.float64, generator=generator)
    lengths = torch.randint(0, steps + 1, (rows,), generator=generator)
    scores[torch.arange(steps) >= lengths[:, None]] = torch.nan
    return crf, scores, lengths


def chain_of(crf: LinearChainCRF) -> Chain:
    return Chain(*(weight.detach().numpy() for weight in (crf.transitions, crf.start, crf.end)))


def enumerated(crf: LinearChainCRF, scores: Tensor) -> dict[tuple[int, ...], float]:
    """The score of every sequence of tags for one row's scores (T, K)."""
    found, weights = {}, chain_of(crf)
    for path in product(range(crf.tags), repeat=len(scores)):
        total = sum(float(scores[t, tag]) for t, tag in enumerate(path))
        total += sum(float(weights.transitions[a, b]) for a, b in pairwise(path))
        if path:
            total += float(weights.start[path[0]] + weights.end[path[-1]])
        found[path] = total
    return found


@given(SHAPES)
def test_the_sum_is_that_over_all_sequences(shape: tuple[int, int, int, int]) -> None:
    crf, scores, lengths = drawn(*shape)
    wanted = [
        np.logaddexp.reduce(list(enumerated(crf, row[:length]).values()))
        for row, length in zip(scores, lengths, strict=True)
    ]
    np.testing.assert_allclose(crf(scores, lengths).detach(), wanted, rtol=1e-10, atol=1e-10)


@given(SHAPES)
def test_probabilities_are_those_of_the_sequences(shape: tuple[int, int, int, int]) -> None:
    crf, scores, lengths = drawn(*shape)
    tags = torch.randint(crf.tags, scores.shape[:2])
    found = crf.log_prob(scores, tags, lengths).detach()
    for row, length in enumerate(lengths):
        every = enumerated(crf, scores[row, :length])
        wanted = every[tuple(tags[row, :length].tolist())] - np.logaddexp.reduce(list(every.values()))
        np.testing.assert_allclose(found[row], wanted, rtol=1e-10, atol=1e-10)
    steps = max(1, int(lengths.sum()))
    torch.testing.assert_close(crf.loss(scores, tags, lengths).detach(), -found.sum() / steps)


@given(SHAPES)
def test_the_best_tags_and_each_tags_probability_are_those_of_the_sequences(
    shape: tuple[int, int, int, int],
) -> None:
    crf, scores, lengths = drawn(*shape)
    chain = chain_of(crf)
    best = chain.best(scores.numpy(), lengths.numpy())
    marginals = chain.marginals(scores.numpy(), lengths.numpy())
    for row, length in enumerate(lengths.tolist()):
        every = enumerated(crf, scores[row, :length])
        assert tuple(best[row, :length]) == max(every, key=lambda path: every[path])
        assert (best[row, length:] == -1).all()
        total = np.logaddexp.reduce(list(every.values()))
        wanted = np.zeros((scores.shape[1], crf.tags))
        for path, score in every.items():
            for t, tag in enumerate(path):
                wanted[t, tag] += np.exp(score - total)
        np.testing.assert_allclose(marginals[row], wanted, rtol=1e-8, atol=1e-12)


def test_gradients_are_right_and_do_not_read_the_padding() -> None:
    crf, scores, lengths = drawn(3, 4, 3, seed=1)
    assert sorted(lengths.tolist()) != [4, 4, 4]
    scores.requires_grad_()
    tags = torch.randint(3, (3, 4))
    weights = tuple(crf.parameters())

    def loss(scores: Tensor, *weights: Tensor) -> Tensor:
        names = dict(zip(dict(crf.named_parameters()), weights, strict=True))
        both = torch.func.functional_call(crf, names, (scores, lengths))
        return both.sum() + torch.stack([crf.loss(scores, tags, lengths)]).sum()

    whole = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (whole, *weights))
    crf.loss(scores, tags, lengths).backward()
    assert scores.grad is not None
    assert not scores.grad.isnan().any()
    assert all(weight.grad is not None and not weight.grad.isnan().any() for weight in weights)


def test_a_row_is_the_same_alone_and_in_a_batch() -> None:
    crf, scores, lengths = drawn(3, 4, 3, seed=2)
    together = crf(scores, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(crf(scores[row : row + 1, :length])[0], together[row])


def test_forbidden_transitions_are_never_taken() -> None:
    weights = np.zeros((2, 2))
    weights[0, 1] = -np.inf
    chain = Chain(weights, np.array([0.0, -np.inf]), np.zeros(2))
    scores = np.array([[[0.0, 5.0], [0.0, 5.0], [0.0, 5.0]]])
    assert chain.best(scores).tolist() == [[0, 0, 0]]
    np.testing.assert_array_equal(chain.marginals(scores)[0, :, 1], 0.0)


def test_long_sequences_neither_overflow_nor_vanish() -> None:
    crf, scores, _ = drawn(1, 2000, 3)
    scores = torch.randn(1, 2000, 3, dtype=torch.float64) * 100
    assert crf(scores).isfinite().all()
    np.testing.assert_allclose(chain_of(crf).marginals(scores.numpy()).sum(2), 1.0)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 5, 1)])
def test_misfits_are_refused(shape: tuple[int, ...]) -> None:
    crf = LinearChainCRF(5)
    with pytest.raises(ValueError, match=r"takes scores \(B, T, 5\)"):
        crf(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"takes scores \(B, T, 5\)"):
        chain_of(crf).best(np.zeros(shape))


def test_misfitting_tags_lengths_and_weights_are_refused() -> None:
    crf = LinearChainCRF(2)
    with pytest.raises(ValueError, match="tags must be"):
        crf.log_prob(torch.zeros(1, 3, 2), torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="lengths"):
        crf(torch.zeros(1, 3, 2), torch.tensor([4]))
    with pytest.raises(ValueError, match="lengths"):
        chain_of(crf).best(np.zeros((1, 3, 2)), np.array([4]))
    with pytest.raises(ValueError, match="a tag at least"):
        LinearChainCRF(0)
    with pytest.raises(ValueError, match="has weights"):
        Chain(np.zeros((2, 3)), np.zeros(2), np.zeros(2))
