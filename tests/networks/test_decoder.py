"""The decoder with attention: steps are the sequence, rows do not touch, a memory that counts, steps that export."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from recurra import state as states
from recurra.cells import GRU, LSTM
from recurra.networks import (
    AdaptiveSoftmaxHead,
    Attention,
    AttentionDecoder,
    Embedding,
    Memory,
    Recurrent,
    SoftmaxHead,
)

B, T, S, V, E, O, M = 3, 4, 5, 13, 6, 8, 7  # noqa: E741
LENGTHS = torch.tensor([4, 0, 2])

feeding = pytest.mark.parametrize("input_feeding", [True, False])


def decoder(input_feeding: bool, **options: Any) -> AttentionDecoder:
    stack = {key: options.pop(key) for key in ("dropout", "variational", "weight_drop") if key in options}
    embedding = Embedding(V, E)
    recurrent = Recurrent([LSTM(E + (O if input_feeding else 0), O), GRU(O, O)], **stack)
    head = SoftmaxHead(O, weight=embedding.weight, projection_size=E)
    options["input_feeding"] = input_feeding
    return AttentionDecoder(embedding, recurrent, Attention(O, M, heads=2), head, **options).double()


def memory_of(network: AttentionDecoder, rows: int = B) -> Memory:
    lengths = torch.tensor([S, 0, 3, 1])[:rows]
    return network.attention.memory(torch.randn(rows, S, M, dtype=torch.float64), lengths)


def random_state(network: AttentionDecoder, rows: int = B) -> Any:
    return states.transform(torch.randn_like, network.initial_state(rows))


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = (states.flatten(each) for each in (found, wanted))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(V, (B, T))


@feeding
def test_steps_are_the_sequence(input_feeding: bool, tokens: Tensor) -> None:
    network = decoder(input_feeding).eval()
    memory, before = memory_of(network), random_state(network)
    hidden, after = network(tokens, memory, before)
    now, steps = before, []
    for t in range(T):
        scores, now = network.step(tokens[:, t], now, memory)
        steps.append(scores)
    assert_same(torch.stack(steps, 1), network.head(hidden))
    assert_same(now, after)


@feeding
@given(rows=st.integers(1, 4), steps=st.integers(0, 4), data=st.data())
def test_a_row_alone_is_the_row_in_a_batch(
    input_feeding: bool, rows: int, steps: int, data: st.DataObject
) -> None:
    network = decoder(input_feeding).eval()
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows)))
    memory, before = memory_of(network, rows), random_state(network, rows)
    tokens = torch.randint(V, (rows, steps))
    padded = torch.where(torch.arange(steps) < lengths.unsqueeze(1), tokens, -100)
    hidden, after = network(padded, memory, before, lengths)
    assert hidden.shape == (rows, steps, O)
    for row in range(rows):
        index, length = torch.tensor([row]), int(lengths[row])
        own = (states.select(each, index) for each in (memory, before))
        alone, last = network(tokens[index, :length], *own)
        assert_same(hidden[index, :length], alone)
        assert (hidden[row, length:] == 0).all()
        assert_same(states.select(after, index), last)


def test_what_a_step_computes(tokens: Tensor) -> None:
    network = decoder(True).eval()
    memory, before = memory_of(network), random_state(network)
    x = torch.cat([network.embedding.weight[tokens[:, 0]], before.fed], -1)
    h, stack = network.recurrent.step(x, before.stack)
    a = torch.tanh(torch.cat([network.attention(h, memory), h], -1) @ network.mixed.weight.T)
    scores, after = network.step(tokens[:, 0], before, memory)
    assert_same(after.fed, a)
    assert_same(after.stack, stack)
    assert_same(scores, a @ network.head.projection.T @ network.embedding.weight.T + network.head.bias)


@feeding
def test_the_loss_is_the_mean_over_what_counts(input_feeding: bool, tokens: Tensor) -> None:
    network, targets = decoder(input_feeding).eval(), torch.randint(V, (B, T))
    memory = memory_of(network)
    valid = torch.arange(T) < LENGTHS.unsqueeze(1)
    hidden, after = network(tokens, memory, None, LENGTHS)
    each = -network.head.log_prob(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    loss, last = network.loss(tokens, torch.where(valid, targets, -100), memory, lengths=LENGTHS)
    torch.testing.assert_close(loss, each[valid].mean())
    assert_same(last, after)


@feeding
def test_gradients_reach_all_parameters_and_the_memory(input_feeding: bool, tokens: Tensor) -> None:
    network, targets = decoder(input_feeding), torch.randint(V, (B, T))
    encoded = torch.randn(B, S, M, dtype=torch.float64, requires_grad=True)

    def loss(encoded: Tensor, *_: Tensor) -> Tensor:
        memory = network.attention.memory(encoded, torch.tensor([S, 0, 3]))
        return network.loss(tokens, targets, memory, lengths=LENGTHS)[0]

    torch.autograd.gradcheck(loss, [encoded, *network.parameters()], fast_mode=True)


@pytest.mark.parametrize("rate", ["input_dropout", "output_dropout", "dropout"])
@feeding
def test_a_seed_decides_all_masks(input_feeding: bool, rate: str, tokens: Tensor) -> None:
    network, targets = decoder(input_feeding, **{rate: 0.5}), torch.randint(V, (B, T))
    memory, before = memory_of(network), torch.get_rng_state()

    def drawn(seed: int) -> Tensor:
        return network.loss(tokens, targets, memory, generator=torch.Generator().manual_seed(seed))[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    state = network.initial_state(B)
    one, two = (
        network.step(tokens[:, 0], state, memory, torch.Generator().manual_seed(seed))[0] for seed in (1, 2)
    )
    assert not torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)


@feeding
def test_a_step_is_traced_and_exported(input_feeding: bool, tokens: Tensor) -> None:
    network = decoder(input_feeding).eval()
    before = random_state(network)

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor, state: Any, memory: Any) -> Any:
            return self.network.step(x, state, memory)

    with torch.no_grad():
        memory, other = memory_of(network), (tokens[:, 1], random_state(network), memory_of(network))
        wanted, after = network.step(tokens[:, 0], before, memory)
        programs = [
            make_fx(lambda x, s, m: network.step(x, s, m))(*other),
            torch.export.export(Step(), other).module(),
        ]
    for program in programs:
        assert torch.ops.recurra.attend.default in [node.target for node in program.graph.nodes]
        scores, now = program(tokens[:, 0], before, memory)
        assert_same(scores, wanted)
        assert_same(now, after)


def test_it_learns_to_copy_what_it_remembers() -> None:
    """Only the memory knows the words, so attention must find each in its place."""
    network = decoder(False).float().train()
    words = torch.nn.Embedding(V, M)
    optimizer = torch.optim.Adam([*network.parameters(), *words.parameters()], lr=0.02)
    places = torch.nn.functional.pad(torch.eye(3), (0, M - 3))
    for _ in range(300):
        source = torch.randint(1, V, (32, 3))
        memory = network.attention.memory(words(source) + 2 * places)
        entering = torch.nn.functional.pad(source[:, :-1], (1, 0))
        loss, _ = network.loss(entering, source, memory)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_parts_must_fit() -> None:
    embedding, head = Embedding(V, E), SoftmaxHead(O, V)
    with pytest.raises(ValueError, match="takes 6 and should take 14"):
        AttentionDecoder(embedding, Recurrent([GRU(E, O)]), Attention(O, M), head)
    with pytest.raises(ValueError, match="attention takes 4"):
        AttentionDecoder(embedding, Recurrent([GRU(E, O)]), Attention(4, M), head, input_feeding=False)
    rare = AdaptiveSoftmaxHead(9, V, [4])
    with pytest.raises(ValueError, match="the head 9"):
        AttentionDecoder(embedding, Recurrent([GRU(E, O)]), Attention(O, M), rare, input_feeding=False)
    for options in ({"variational": True}, {"weight_drop": 0.5}):
        with pytest.raises(ValueError, match="input_feeding=False"):
            decoder(True, **options)
        decoder(False, **options)
