from __future__ import annotations

import pytest
import torch

from recurra.cells import GRU
from recurra.language.generation.dynamic import dynamic_evaluation, gradient_sizes
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork

TOKENS = torch.tensor([1, 2, 3, 4, 5, 6] * 20)


def network() -> TokenNetwork:
    generator = torch.Generator().manual_seed(0)
    embedding = Embedding(8, 8, generator=generator)
    head = SoftmaxHead(8, weight=embedding.weight)
    return TokenNetwork(embedding, Recurrent([GRU(8, 8, generator=generator)]), head).eval()


def static(net: TokenNetwork) -> float:
    with torch.no_grad():
        loss, _ = net.loss(TOKENS[None, :-1], TOKENS[None, 1:])
    return loss.item()


@pytest.mark.parametrize("window", [1, 5, 7, 200])
def test_without_a_rate_it_is_static_evaluation(window: int) -> None:
    net = network()
    sizes = gradient_sizes(net, TOKENS, window=10)
    found = dynamic_evaluation(net, TOKENS, sizes=sizes, rate=0.0, window=window)
    assert found == pytest.approx(static(network()), rel=1e-4)
    assert static(net) == pytest.approx(static(network()), rel=1e-6)


def test_what_comes_again_becomes_less_surprising() -> None:
    net = network()
    sizes = gradient_sizes(net, TOKENS, window=5)
    told: list[tuple[int, float]] = []
    found = dynamic_evaluation(
        net, TOKENS, sizes=sizes, rate=0.01, decay=0.0, window=5, told=lambda *row: told.append(row)
    )
    assert found < static(network()) - 0.1
    assert told[-1] == (len(TOKENS) - 1, pytest.approx(found))
    assert static(net) < found


def test_a_text_is_told_before_it_is_learnt() -> None:
    net = network()
    sizes = gradient_sizes(net, TOKENS, window=5)
    found = dynamic_evaluation(net, TOKENS[:6], sizes=sizes, rate=0.1, window=5)
    with torch.no_grad():
        expected, _ = network().loss(TOKENS[None, :5], TOKENS[None, 1:6])
    assert found == pytest.approx(expected.item(), rel=1e-5)


def test_the_decay_brings_the_weights_back() -> None:
    moved = []
    for decay in (0.0, 0.5):
        net = network()
        sizes = [torch.ones_like(each) for each in net.parameters()]
        dynamic_evaluation(net, TOKENS, sizes=sizes, rate=0.05, decay=decay, window=5)
        before = network().embedding.weight
        moved.append(float((net.embedding.weight - before).norm().detach()))
    assert moved[1] < 0.7 * moved[0]


def test_the_sizes_are_root_mean_squares() -> None:
    net = network()
    (first, *_), total, windows = gradient_sizes(net, TOKENS[:21], window=10), 0.0, (0, 10)
    for start in windows:
        part = TOKENS[start : start + 11][None]
        loss, _ = net.loss(part[:, :-1], part[:, 1:])
        (gradient,) = torch.autograd.grad(loss, [net.embedding.weight])
        total = total + gradient.square()
    torch.testing.assert_close(first, (total / 2).sqrt())
