"""The sampled softmax beside the whole one."""

from __future__ import annotations

import pytest
import torch

from recurra.cells import GRU
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.networks.sampled import SampledSoftmax


@pytest.fixture
def head() -> SoftmaxHead:
    made = SoftmaxHead(6, 50, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(made.bias, generator=torch.Generator().manual_seed(1))
    return made


def test_its_sum_over_the_vocabulary_is_without_bias(head: SoftmaxHead) -> None:
    generator = torch.Generator().manual_seed(2)
    h, target = torch.randn(4, 6, generator=generator), torch.tensor([0, 3, 20, 49])
    sampled = SampledSoftmax(head, torch.arange(50, 0, -1), exact=5, drawn=10)
    with torch.no_grad():
        scores = head(h)
        own = scores.gather(1, target[:, None]).squeeze(1)
        for row in (1, 3):
            sums = torch.stack(
                [
                    (
                        sampled.loss(h[row : row + 1], target[row : row + 1], generator=generator) + own[row]
                    ).exp()
                    for _ in range(1500)
                ]
            )
            error = sums.std() / 1500**0.5
            assert abs(sums.mean() - scores[row].exp().sum()) < 4 * error


def test_with_enough_tokens_it_is_the_whole_loss(head: SoftmaxHead) -> None:
    h, target = torch.randn(8, 6), torch.randint(50, (8,))
    sampled = SampledSoftmax(head, torch.ones(50), exact=20, drawn=30)
    torch.testing.assert_close(sampled.loss(h, target), head.loss(h, target))


def test_a_network_of_tokens_takes_it_with_lengths_and_weights(head: SoftmaxHead) -> None:
    embedding = Embedding(50, 6)
    network = TokenNetwork(embedding, Recurrent([GRU(6, 6)]), head).double()
    sampled = SampledSoftmax(head, torch.ones(50), exact=20, drawn=30)
    tokens, targets = torch.randint(50, (2, 3, 5))
    given = {"lengths": torch.tensor([5, 0, 3]), "weight": torch.rand(3, 5, dtype=torch.float64)}
    found, _ = network.loss(tokens, targets, **given, sampled=sampled)
    torch.testing.assert_close(found, network.loss(tokens, targets, **given)[0])
    part = SampledSoftmax(head, torch.arange(50, 0, -1), exact=20, drawn=10)
    one, two = (
        network.loss(tokens, targets, **given, generator=torch.Generator().manual_seed(3), sampled=part)[0]
        for _ in range(2)
    )
    assert one == two
    other = torch.where(torch.arange(5) < given["lengths"][:, None], targets, 0)  # past a row's length
    again, _ = network.loss(tokens, other, **given, generator=torch.Generator().manual_seed(3), sampled=part)
    assert again == one


def test_gradients_reach_what_was_drawn_and_what_was_meant(head: SoftmaxHead) -> None:
    sampled = SampledSoftmax(head, torch.arange(50, 0, -1), exact=4, drawn=2)
    sampled.loss(torch.randn(1, 6), torch.tensor([40])).backward()
    moved = head.weight.grad.abs().sum(1) > 0
    assert moved[:4].all()
    assert moved[40]
    assert moved.sum() <= 7


def test_misfits_are_refused(head: SoftmaxHead) -> None:
    with pytest.raises(ValueError, match="as many frequencies"):
        SampledSoftmax(head, torch.ones(49))
    with pytest.raises(ValueError, match="counts of 1 or more"):
        SampledSoftmax(head, torch.ones(50), exact=0)
