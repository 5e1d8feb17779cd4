"""Vectors of words from their letters: with torch as without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.networks import CharacterFeatures
from recurra.text.characters import CharacterGrams, pooled, shape

WORDS = st.lists(st.text(max_size=80), max_size=5)


@given(WORDS, WORDS)
def test_torch_and_numpy_give_the_same(learned: list[str], words: list[str]) -> None:
    grams = CharacterGrams.learn(learned, least=1)
    features = CharacterFeatures(grams.size, 3).eval()
    bags = grams.bags(words)
    with torch.no_grad():
        found = features(torch.from_numpy(bags.grams), torch.from_numpy(bags.starts)).numpy()
    assert found.shape == (len(words), 3)
    np.testing.assert_allclose(found, pooled(features.weight.detach().numpy(), bags), rtol=1e-5, atol=1e-6)


@given(WORDS)
def test_a_word_is_the_same_beside_others(words: list[str]) -> None:
    grams = CharacterGrams.learn(words, least=1)
    weight = np.random.default_rng(0).normal(size=(grams.size, 4)).astype(np.float32)
    together = pooled(weight, grams.bags(words))
    for word, vector in zip(words, together, strict=True):
        np.testing.assert_allclose(pooled(weight, grams.bags([word]))[0], vector, rtol=1e-5, atol=1e-6)


def test_pieces_hold_the_beginning_the_end_and_the_shape() -> None:
    grams = CharacterGrams.learn(["sing", "ring"], longest=3, least=2)
    assert set(grams.grams) == {"\x01x", "\x02", "\x03", "g\x03", "ng\x03", "i", "n", "g", "in", "ng", "ing"}
    assert grams.ids("king")[0] == 0
    assert len(grams.ids("king")) == len(grams.grams) + 1
    assert grams.ids("\u4e2d").tolist()[1:] == [grams.grams.index(g) + 1 for g in ("\x01x", "\x02", "\x03")]


def test_a_piece_counts_as_often_as_it_comes() -> None:
    grams = CharacterGrams.learn(["aaa"], longest=1, least=1)
    assert np.count_nonzero(grams.ids("aaa") == grams.grams.index("a") + 1) == 3


def test_the_most_frequent_pieces_are_kept_and_order_does_not_matter() -> None:
    words = ["anna", "annb", "annc", "d"]
    few = CharacterGrams.learn(words, most=4, least=1)
    assert len(few.grams) == 4
    assert few == CharacterGrams.learn(reversed(words), most=4, least=1)
    assert few == CharacterGrams(few.grams)


def test_a_very_long_word_is_read_at_both_ends() -> None:
    long = "a" + "x" * 10_000 + "z"
    assert len(CharacterGrams.learn([long], least=1).ids(long)) < 500
    grams = CharacterGrams.learn(["az"], least=1, longest=2)
    assert {grams.grams[n - 1] for n in grams.ids(long)[1:]} >= {"\x02a", "z\x03"}


def test_shapes_are_runs_of_kinds() -> None:
    assert [shape(word) for word in ("O'Neill's", "1999", "iPhone7", "", "...")] == [
        "X-Xx-x",
        "0",
        "xXx0",
        "",
        "-",
    ]


def test_dropout_drops_pieces_in_training_only_and_keeps_the_mean() -> None:
    features = CharacterFeatures(1, 1, dropout=0.5)
    torch.nn.init.ones_(features.weight)
    grams, starts = torch.zeros(40_000, dtype=torch.long), torch.arange(0, 40_000, 4)
    found = features(grams, starts)
    assert found.std() > 0.1
    torch.testing.assert_close(found.mean(), torch.tensor(2.0), rtol=0.05, atol=0.0)
    torch.testing.assert_close(features.eval()(grams, starts), torch.full((10_000, 1), 2.0))
    one, other = (features.train()(grams, starts, torch.Generator().manual_seed(3)) for _ in range(2))
    torch.testing.assert_close(one, other)


def test_misfits_are_refused() -> None:
    with pytest.raises(ValueError, match="a piece and a number"):
        CharacterFeatures(0, 3)
    with pytest.raises(ValueError, match="dropout"):
        CharacterFeatures(2, 3, dropout=1.0)
    with pytest.raises(ValueError, match="twice"):
        CharacterGrams(["a", "a"])
    with pytest.raises(ValueError, match="in order"):
        CharacterGrams(["a"], 3, 2)
