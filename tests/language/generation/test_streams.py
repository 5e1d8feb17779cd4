from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.cells import GRU
from recurra.language.generation.data import Line, Pieces
from recurra.language.generation.streams import NextToken, Streams, mean_loss
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork


def documents(count: int = 30, length: int = 40) -> Pieces:
    tokens = np.random.default_rng(0).integers(1, 20, count * length)
    start = np.arange(count) * length
    return Pieces(tokens, start, start + length, np.array([[0]]), np.zeros(count, np.int64))


def network() -> TokenNetwork:
    generator = torch.Generator().manual_seed(0)
    embedding = Embedding(20, 8, generator=generator)
    head = SoftmaxHead(8, weight=embedding.weight)
    return TokenNetwork(embedding, Recurrent([GRU(8, 8, generator=generator)]), head)


def test_rows_go_on_where_they_were() -> None:
    source = Streams(documents(), rows=4, steps=16, seed=1)
    before = source.next()
    assert before.fresh.all()
    for _ in range(10):
        after = source.next()
        assert torch.equal(after.tokens[:, 0], before.tokens[:, -1])
        assert torch.equal(after.fresh | (after.tokens[:, 0] != 0), torch.ones(4, dtype=torch.bool))
        before = after


def test_an_epoch_reads_almost_everything_once_and_the_next_one_in_another_order() -> None:
    source = Streams(documents(), rows=4, steps=16, seed=1)
    epochs: list[list[torch.Tensor]] = [[], []]
    while source.epoch < 2:
        batch = source.next()
        if source.epoch < 2:
            epochs[source.epoch].append(batch.tokens[:, :-1])
    read = [torch.cat(parts, 1) for parts in epochs]
    assert read[0].numel() >= documents().size - 4 * 17
    assert not torch.equal(*(each[:, : min(map(len, read[0]))] for each in read))


def test_a_source_goes_on_from_where_another_was() -> None:
    source, other = (Streams(documents(), rows=3, steps=8, seed=2) for _ in range(2))
    for _ in range(50):
        source.next()
    other.load_state_dict(source.state_dict())
    for _ in range(200):
        mine, theirs = source.next(), other.next()
        assert torch.equal(mine.tokens, theirs.tokens)
        assert torch.equal(mine.fresh, theirs.fresh)


@pytest.mark.parametrize("length", [2, 5, 70])
def test_a_short_text_is_enough(length: int) -> None:
    source = Streams(documents(1, length), rows=32, steps=64, seed=0)
    for _ in range(5):
        assert source.next().tokens.numel()


def test_the_mean_loss_is_that_of_every_token() -> None:
    with torch.no_grad():
        found = mean_loss(network().eval(), documents(), rows=1)
        tokens = torch.from_numpy(Line(documents()).read(0, documents().size))[None]
        expected, _ = network().eval().loss(tokens[:, :-1], tokens[:, 1:])
    assert found == pytest.approx(expected.item(), rel=1e-5)
    assert NextToken(None).evaluate(network()) is None
