"""Networks of tokens: a step loop is the sequence, rows do not touch, AWD-LSTM's dropouts, steps that export."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from recurra import state as states
from recurra.cells import CELLS, GRU, LSTM, LeakyIntegrator
from recurra.networks import AdaptiveSoftmaxHead, Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.networks.tokens import counting

B, T, V, E, H = 3, 5, 13, 6, 8
LENGTHS = torch.tensor([5, 0, 3])
VALID = torch.arange(T) < LENGTHS.unsqueeze(1)


def network_of(head: str = "tied", word_dropout: float = 0.0, **options: Any) -> TokenNetwork:
    stack = {key: options.pop(key) for key in ("dropout", "variational", "weight_drop") if key in options}
    embedding = Embedding(V, E, word_dropout=word_dropout)
    recurrent = Recurrent([LSTM(E, H), GRU(H, E)], **stack)
    heads = {
        "tied": lambda: SoftmaxHead(E, weight=embedding.weight),
        "adaptive": lambda: AdaptiveSoftmaxHead(E, V, [4, 8], shrink=2.0),
    }
    return TokenNetwork(embedding, recurrent, heads[head](), **options).double()


AWD: dict[str, Any] = {
    "dropout": 0.25,
    "variational": True,
    "weight_drop": 0.5,
    "word_dropout": 0.1,
    "input_dropout": 0.4,
    "output_dropout": 0.4,
}


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = (states.flatten(each) for each in (found, wanted))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def random_state(network: TokenNetwork, rows: int = B) -> Any:
    return states.transform(torch.randn_like, network.initial_state(rows))


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(V, (B, T))


@pytest.mark.parametrize("head", ["tied", "adaptive"])
def test_steps_are_the_sequence(head: str, tokens: Tensor) -> None:
    network = network_of(head).eval()
    before = random_state(network)
    hidden, after = network(tokens, before)
    now, steps = before, []
    for t in range(T):
        scores, now = network.step(tokens[:, t], now)
        steps.append(scores)
    assert_same(torch.stack(steps, 1), network.head(hidden))
    assert_same(now, after)
    assert steps[0].shape == (B, V)


@given(rows=st.integers(1, 4), steps=st.integers(0, 5), data=st.data())
def test_a_row_alone_is_the_row_in_a_batch(rows: int, steps: int, data: st.DataObject) -> None:
    network = network_of().eval()
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows)))
    tokens, before = torch.randint(V, (rows, steps)), random_state(network, rows)
    # What stands past a row's length is no token at all.
    padded = torch.where(torch.arange(steps) < lengths.unsqueeze(1), tokens, -100)
    hidden, after = network(padded, before, lengths)
    for row in range(rows):
        index, length = torch.tensor([row]), int(lengths[row])
        alone, last = network(tokens[index, :length], states.select(before, index))
        assert_same(hidden[index, :length], alone)
        assert (hidden[row, length:] == 0).all()
        assert_same(states.select(after, index), last)


def test_the_loss_is_the_mean_over_what_counts(tokens: Tensor) -> None:
    network, targets, weight = network_of().eval(), torch.randint(V, (B, T)), torch.rand(B, T)
    hidden, after = network(tokens, None, LENGTHS)
    each = -network.head.log_prob(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    padded = torch.where(VALID, targets, -100)
    loss, last = network.loss(tokens, padded, lengths=LENGTHS)
    torch.testing.assert_close(loss, each[VALID].mean())
    assert_same(last, after)
    loss, _ = network.loss(tokens, padded, lengths=LENGTHS, weight=weight)
    wanted = (each * weight)[VALID].sum() / weight[VALID].sum()
    torch.testing.assert_close(loss, wanted)


def test_what_counts() -> None:
    targets = torch.zeros(B, T, dtype=torch.int64)
    assert counting(targets, None, None) is None
    found = counting(targets, LENGTHS, None)
    assert found is not None
    assert torch.equal(found > 0, VALID)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_regularization_adds_to_the_loss_in_training(lengths: Tensor | None, tokens: Tensor) -> None:
    network = network_of(activation_regularization=2.0, temporal_regularization=3.0)
    targets = torch.randint(V, (B, T))
    hidden, _ = network(tokens, None, lengths)
    rows = [hidden[row, : T if lengths is None else int(lengths[row])] for row in range(B)]
    activation = torch.cat(rows).square().mean()
    temporal = torch.cat([row.diff(dim=0) for row in rows]).square().mean()
    trained, _ = network.loss(tokens, targets, lengths=lengths)
    plain, _ = network.eval().loss(tokens, targets, lengths=lengths)
    torch.testing.assert_close(trained, plain + 2 * activation + 3 * temporal)


RATES = ["input_dropout", "output_dropout", "word_dropout", "dropout", "weight_drop"]


@pytest.mark.parametrize("rate", [{rate: 0.5} for rate in RATES] + [AWD], ids=[*RATES, "all"])
def test_a_seed_decides_all_masks(rate: dict[str, Any], tokens: Tensor) -> None:
    network, targets = network_of(**rate), torch.randint(V, (B, T))
    before = torch.get_rng_state()
    one, two, three = (
        network.loss(tokens, targets, generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    network.step(tokens[:, 0], network.initial_state(B), torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    network.eval()
    assert torch.equal(network.loss(tokens, targets)[0], network.loss(tokens, targets)[0])


@pytest.mark.parametrize("variational", [False, True])
def test_inputs_and_outputs_are_dropped(variational: bool) -> None:
    """A stack that gives what it takes shows what enters the head."""
    embedding = Embedding(1, 400)
    torch.nn.init.ones_(embedding.weight)
    leaky = LeakyIntegrator(400, 400)
    network = TokenNetwork(
        embedding, Recurrent([leaky], variational=variational), SoftmaxHead(400, 2), input_dropout=0.25
    )
    entering = network._dropped(torch.ones(2, 30, 400), 0.25, None)
    assert (entering == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(entering, entering[:, :1].expand_as(entering)) == variational
    silent = network.eval()(torch.zeros(2, 3, dtype=torch.int64))[0]
    assert not torch.equal(network.train()(torch.zeros(2, 3, dtype=torch.int64))[0], silent)


def test_gradients(tokens: Tensor) -> None:
    network, targets = network_of("adaptive"), torch.randint(V, (B, T))
    before = tuple(states.flatten(random_state(network)).values())
    like = network.initial_state(B)

    def loss(*given_to: Tensor) -> Tensor:
        now = states.unflatten(like, dict(zip(states.flatten(like), given_to[: len(before)], strict=True)))
        return network.loss(tokens, targets, now, LENGTHS)[0]

    inputs = [*(each.requires_grad_() for each in before), *network.parameters()]
    torch.autograd.gradcheck(loss, inputs, fast_mode=True)


@pytest.mark.parametrize("head", ["tied", "adaptive"])
def test_a_step_is_traced_and_exported(head: str, tokens: Tensor) -> None:
    network = network_of(head).eval()
    before = random_state(network)
    wanted, after = network.step(tokens[:, 0], before)
    program = make_fx(lambda x, s: network.step(x, s))(tokens[:, 1], random_state(network))
    scores, now = program(tokens[:, 0], before)
    assert_same(scores, wanted)
    assert_same(now, after)

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor, state: Any) -> Any:
            return self.network.step(x, state)

    exported = torch.export.export(Step(), (tokens[:, 1], random_state(network))).module()
    scores, now = exported(tokens[:, 0], before)
    assert_same(scores, wanted)
    assert_same(now, after)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_a_step_of_any_cell_is_traced(cell: Any, tokens: Tensor) -> None:
    network = TokenNetwork(Embedding(V, E), Recurrent([cell(E, H)]), SoftmaxHead(H, V)).eval()
    before = random_state(network)
    program = make_fx(lambda x, s: network.step(x, s))(tokens[:, 1], network.initial_state(B))
    found, wanted = program(tokens[:, 0], before), network.step(tokens[:, 0], before)
    torch.testing.assert_close(found[0], wanted[0])


def test_parts_must_fit() -> None:
    with pytest.raises(ValueError, match="the embedding gives 6, the stack takes 5"):
        TokenNetwork(Embedding(V, E), Recurrent([GRU(5, H)]), SoftmaxHead(H, V))
    with pytest.raises(ValueError, match="gives 8, the head takes 6"):
        TokenNetwork(Embedding(V, E), Recurrent([GRU(E, H)]), SoftmaxHead(E, V))
    with pytest.raises(ValueError, match="input_dropout"):
        network_of(input_dropout=1.0)
