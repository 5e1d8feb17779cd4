"""Embeddings: a vector for each token, and whole words dropped."""

from __future__ import annotations

import pytest
import torch

from recurra.networks import Embedding

V, E = 50, 4


def test_a_token_gives_its_row() -> None:
    embedding = Embedding(V, E, word_dropout=0.5, scale=2.0).eval()
    tokens = torch.randint(V, (3, 5))
    assert torch.equal(embedding(tokens), embedding.weight[tokens] * 2)
    assert torch.equal(embedding(tokens[0, 0]), embedding.weight[tokens[0, 0]] * 2)


def test_a_dropped_word_is_dropped_wherever_it_stands() -> None:
    embedding, tokens = Embedding(V, E, word_dropout=0.4), torch.arange(V).repeat(4, 10)
    x = embedding(tokens, torch.Generator().manual_seed(0))
    words = x.reshape(40, V, E)
    assert torch.equal(words, words[:1].expand_as(words))
    dropped = (words[0] == 0).all(-1)
    assert 0.2 < dropped.float().mean() < 0.6
    torch.testing.assert_close(words[0][~dropped], embedding.weight[~dropped] / 0.6)
    (gradient,) = torch.autograd.grad(x.sum(), embedding.weight)
    assert torch.equal((gradient == 0).all(-1), dropped)


def test_a_generator_draws_masks_and_weights() -> None:
    before = torch.get_rng_state()
    embeddings = [
        Embedding(V, E, word_dropout=0.5, generator=torch.Generator().manual_seed(i)) for i in (1, 1)
    ]
    tokens = torch.arange(V)
    one, two, three = (
        each(tokens, torch.Generator().manual_seed(seed))
        for each, seed in zip((*embeddings, embeddings[0]), (5, 5, 6), strict=True)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0 and 4"):
        Embedding(0, E)
    with pytest.raises(ValueError, match="word_dropout"):
        Embedding(V, E, word_dropout=1.0)
