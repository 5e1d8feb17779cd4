"""Heads: what they compute, losses that are means over what counts, and one parameter where weights are tied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recurra.networks import AdaptiveSoftmaxHead, Embedding, QuantileHead, SoftmaxHead

D, V = 8, 11
HEADS = {
    "softmax": lambda: SoftmaxHead(D, V),
    "projected": lambda: SoftmaxHead(D, V, projection_size=3, bias=False),
    "adaptive": lambda: AdaptiveSoftmaxHead(D, V, [4, 7], shrink=2.0, bias=True),
    "quantile": lambda: QuantileHead(D, [0.1, 0.4, 0.5, 0.9]),
}
TOKENS = ["softmax", "projected", "adaptive"]


def head_of(name: str) -> Any:
    return HEADS[name]().double()


def target_of(name: str, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64) if name == "quantile" else torch.randint(V, shape)


@pytest.mark.parametrize("name", TOKENS)
@given(shape=st.lists(st.integers(0, 3), max_size=3))
def test_probabilities_sum_to_one(name: str, shape: list[int]) -> None:
    head, h = head_of(name), torch.randn(*shape, D, dtype=torch.float64)
    found = head.log_prob(h)
    assert found.shape == (*shape, V)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(shape, dtype=torch.float64))
    torch.testing.assert_close(head(h).log_softmax(-1), found)


@pytest.mark.parametrize("name", TOKENS)
def test_the_loss_is_the_mean_of_the_targets_logarithms(name: str) -> None:
    head, h, target = head_of(name), torch.randn(3, 40, D, dtype=torch.float64), target_of(name, 3, 40)
    each = -head.log_prob(h).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(head.loss(h, target), each.mean())
    weight = torch.rand(3, 40)
    torch.testing.assert_close(head.loss(h, target, weight), (each * weight).sum() / weight.sum())


@pytest.mark.parametrize("name", HEADS)
def test_what_weighs_nothing_is_not_read(name: str) -> None:
    head, h, target = head_of(name), torch.randn(4, 3, D, dtype=torch.float64), target_of(name, 4, 3)
    weight = torch.arange(12).reshape(4, 3) % 3 != 1
    wanted = head.loss(h[weight], target[weight])
    poisoned = torch.where(weight.unsqueeze(-1), h, torch.nan).requires_grad_()
    found = head.loss(poisoned, torch.where(weight, target, -7), weight)
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found, poisoned)
    assert gradient.isfinite().all()
    assert head.loss(h, target, torch.zeros(4, 3)).item() == 0
    assert head.loss(h[:0], target[:0]).item() == 0


@pytest.mark.parametrize("name", HEADS)
def test_gradients(name: str) -> None:
    head, h, target = head_of(name), torch.randn(7, D, dtype=torch.float64), target_of(name, 7)
    weight = torch.rand(7, dtype=torch.float64)
    given_to = [h.requires_grad_(), *head.parameters()]
    torch.autograd.gradcheck(lambda *_: head(h), given_to)
    torch.autograd.gradcheck(lambda *_: head.loss(h, target, weight), given_to)


@pytest.mark.parametrize("name", HEADS)
def test_a_row_alone_is_the_row_in_a_batch(name: str) -> None:
    head, h = head_of(name), torch.randn(5, 2, D, dtype=torch.float64)
    torch.testing.assert_close(head(h[3]), head(h)[3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", HEADS)
def test_targets_and_weights_have_the_outputs_shape(name: str) -> None:
    head, h = head_of(name), torch.randn(4, 3, D, dtype=torch.float64)
    with pytest.raises(ValueError, match="must have one shape"):
        head.loss(h, target_of(name, 3, 4))
    with pytest.raises(ValueError, match="must have one shape"):
        head.loss(h, target_of(name, 4, 3), torch.ones(4))
    for weight in (-1.0, torch.nan):
        with pytest.raises(ValueError, match="0 or more"):
            head.loss(h, target_of(name, 4, 3), torch.full((4, 3), weight))


@pytest.mark.parametrize("name", HEADS)
def test_a_generator_decides_the_first_weights(name: str) -> None:
    kinds: dict[str, Any] = {
        "softmax": lambda g: SoftmaxHead(D, V, generator=g),
        "projected": lambda g: SoftmaxHead(D, V, projection_size=3, generator=g),
        "adaptive": lambda g: AdaptiveSoftmaxHead(D, V, [4], generator=g),
        "quantile": lambda g: QuantileHead(D, [0.5], generator=g),
    }
    before = torch.get_rng_state()
    one, two = (kinds[name](torch.Generator().manual_seed(3)).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], two[key]) for key in one)


# torch's takes no generator and has no weights; its parameters are ours by name.
def test_the_adaptive_softmax_is_torchs() -> None:
    ours = AdaptiveSoftmaxHead(D, V, [4, 7], shrink=2.0)
    theirs = nn.AdaptiveLogSoftmaxWithLoss(D, V, [4, 7], div_value=2.0)
    theirs.load_state_dict(ours.state_dict())
    h, target = torch.randn(50, D), target_of("adaptive", 50)
    torch.testing.assert_close(ours.log_prob(h), theirs.log_prob(h))
    torch.testing.assert_close(ours.loss(h, target), theirs(h, target).loss)


@pytest.mark.parametrize("cutoffs", [[], [0], [V], [4, 4], [7, 4]])
def test_cutoffs_must_rise(cutoffs: list[int]) -> None:
    with pytest.raises(ValueError, match="cutoffs must rise"):
        AdaptiveSoftmaxHead(D, V, cutoffs)


def test_a_cluster_without_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="leave cluster 2 nothing"):
        AdaptiveSoftmaxHead(D, V, [4, 7])


def test_a_softmax_head_needs_sizes_that_fit() -> None:
    embedding = Embedding(V, 3)
    with pytest.raises(ValueError, match=r"weight of shape \(11, 3\); projection_size=3"):
        SoftmaxHead(D, weight=embedding.weight)
    with pytest.raises(ValueError, match="12 tokens"):
        SoftmaxHead(D, 12, weight=embedding.weight, projection_size=3)
    with pytest.raises(ValueError, match="vocabulary"):
        SoftmaxHead(D)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = Embedding(V, 3)
        self.head = SoftmaxHead(D, weight=self.embedding.weight, projection_size=3)


def test_a_tied_weight_is_one_parameter_and_saved_once(tmp_path: Path) -> None:
    network = Tied().double()
    assert network.head.weight is network.embedding.weight
    names = ["embedding.weight", "head.projection", "head.bias"]
    assert [name for name, _ in network.named_parameters()] == names
    loss = network.head.loss(torch.randn(5, D, dtype=torch.float64), torch.randint(V, (5,)))
    loss.backward()
    assert network.embedding.weight.grad is not None
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    # What the training loop and model folders write: a shared parameter comes once.
    save_file({name: each.detach() for name, each in network.named_parameters()}, tmp_path / "weights")
    other = Tied().double()
    other.load_state_dict(load_file(tmp_path / "weights"), strict=False)
    assert torch.equal(other.head.weight, network.head.weight)


@given(values=st.lists(st.floats(-30, 30), min_size=5, max_size=5), q=st.integers(1, 5))
def test_quantiles_never_cross(values: list[float], q: int) -> None:
    head = QuantileHead(1, [(i + 1) / 6 for i in range(q)])
    with torch.no_grad():
        head.bias.copy_(torch.tensor(values[:q]))
        found = head(torch.randn(4, 1))
    assert found.shape == (4, q)
    assert (found.diff(dim=-1) >= 0).all()


def test_the_pinball_loss_leads_to_the_quantiles() -> None:
    head = QuantileHead(1, [0.1, 0.5, 0.9])
    sample, h = torch.randn(4000), torch.zeros(4000, 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        head.loss(h, sample).backward()
        optimizer.step()
    wanted = sample.quantile(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(head(h[0]).detach(), wanted, rtol=0, atol=0.1)


@pytest.mark.parametrize("levels", [[], [0.0], [1.0], [0.5, 0.5], [0.9, 0.1]])
def test_levels_must_rise(levels: list[float]) -> None:
    with pytest.raises(ValueError, match="levels must rise"):
        QuantileHead(D, levels)
