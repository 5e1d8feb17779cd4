from __future__ import annotations

import pytest
import torch
from torch import nn

from recurra.training.average import Average, load, snapshot, tensors


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.count = nn.Buffer(torch.zeros(2, dtype=torch.int64))


def test_a_shared_tensor_comes_once() -> None:
    assert sorted(tensors(Tied())) == ["count", "first.bias", "first.weight", "second.bias"]


def test_the_average_follows_its_definition() -> None:
    network = Tied()
    average = Average(network, 0.3)
    expected = network.first.bias.detach().clone()
    for number in range(6):
        with torch.no_grad():
            network.first.bias.add_(number)
            network.count.add_(1)
        decay = min(0.3, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * network.first.bias.detach()
        average.update(network)
    torch.testing.assert_close(average.weights["first.bias"], expected)
    assert average.weights["count"].tolist() == [6, 6]


def test_without_decay_the_average_is_the_last_weights() -> None:
    network = Tied()
    average = Average(network, 0.0)
    with torch.no_grad():
        network.first.weight.mul_(3)
    average.update(network)
    assert torch.equal(average.weights["first.weight"], network.first.weight)


def test_load_copies_in_place_and_refuses_another_shape() -> None:
    network, other = Tied(), Tied()
    kept = network.first.weight
    load(network, snapshot(other))
    assert network.first.weight is kept
    assert torch.equal(kept, other.first.weight)
    with pytest.raises(ValueError, match=r"first\.bias has the shape \(1,\), not \(2,\)"):
        load(network, snapshot(other) | {"first.bias": torch.zeros(1)})
    with pytest.raises(KeyError):
        load(network, {})
