"""Attention over a memory: the paper's equation, rows of unlike lengths, one operator in traced programs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import scaled_dot_product_attention

from recurra import state as states
from recurra.networks import Attention, Memory
from recurra.ops.attention import attend

B, T, S, Q, E = 3, 2, 5, 4, 6
LENGTHS = torch.tensor([5, 0, 3])


def attention(**options: Any) -> Attention:
    return Attention(Q, E, **{"heads": 2, **options}).double()


@pytest.fixture
def encoded() -> Tensor:
    return torch.randn(B, S, E, dtype=torch.float64)


@pytest.fixture
def query() -> Tensor:
    return torch.randn(B, T, Q, dtype=torch.float64)


@given(
    rows=st.integers(0, 3),
    steps=st.integers(0, 3),
    places=st.integers(0, 5),
    heads=st.sampled_from([1, 2, 4]),
)
def test_it_is_torchs_attention_of_each_row(rows: int, steps: int, places: int, heads: int) -> None:
    query, keys, values = (
        torch.randn(rows, n, d).double() for n, d in ((steps, 8), (places, 8), (places, 4))
    )
    lengths = torch.randint(0, places + 1, (rows,))
    found = attend(query, keys, values, lengths, heads)
    assert found.shape == (rows, steps, 4)
    for row in range(rows):
        length = int(lengths[row])
        q, k, v = (
            x[row, :n].unflatten(-1, (heads, x.shape[-1] // heads)).transpose(0, 1)
            for x, n in ((query, steps), (keys, length), (values, length))
        )
        wanted = (
            scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
            if length
            else torch.zeros(steps, 4)
        )
        torch.testing.assert_close(found[row], wanted.double())


def test_one_step_is_a_step_of_all(query: Tensor, encoded: Tensor) -> None:
    module = attention()
    memory = module.memory(encoded, LENGTHS)
    steps = torch.stack([module(query[:, t], memory) for t in range(T)], 1)
    torch.testing.assert_close(steps, module(query, memory), rtol=1e-12, atol=1e-12)


def test_a_row_alone_is_the_row_in_a_batch(query: Tensor, encoded: Tensor) -> None:
    module = attention(attention_size=10, heads=5)
    memory = module.memory(encoded, LENGTHS)
    found = module(query, memory)
    for row in range(B):
        index, length = torch.tensor([row]), int(LENGTHS[row])
        wanted = module(query[index], states.select(memory, index))
        torch.testing.assert_close(found[index], wanted, rtol=1e-12, atol=1e-12)
        short = module.memory(encoded[index, :length])
        torch.testing.assert_close(found[index], module(query[index], short), rtol=1e-12, atol=1e-12)


def test_padding_is_not_read_and_nothing_gives_zeros(query: Tensor, encoded: Tensor) -> None:
    module = attention()
    there = (torch.arange(S) < LENGTHS.unsqueeze(1)).unsqueeze(-1)
    poisoned = torch.where(there, encoded, torch.nan).requires_grad_()
    found = module(query, module.memory(poisoned, LENGTHS))
    assert torch.equal(found, module(query, module.memory(encoded, LENGTHS)))
    assert (found[1] == 0).all()
    gradients = torch.autograd.grad(found.square().sum(), [poisoned, *module.parameters()])
    assert all(each.isfinite().all() for each in gradients)
    assert (gradients[0][~there.expand_as(encoded)] == 0).all()


def test_gradients(query: Tensor, encoded: Tensor) -> None:
    module = attention()
    inputs = [query.requires_grad_(), encoded.requires_grad_(), *module.parameters()]

    def run(query: Tensor, encoded: Tensor, *_: Tensor) -> Tensor:
        return module(query, module.memory(encoded, LENGTHS))

    torch.autograd.gradcheck(run, inputs)
    torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def test_large_scores_stay_finite(encoded: Tensor) -> None:
    module = attention().float()
    memory = module.memory(1e18 * encoded.float(), LENGTHS)
    assert module(1e18 * torch.randn(B, Q), memory).isfinite().all()


@pytest.mark.parametrize("steps", [0, T])
def test_it_is_one_operator_in_a_program_without_gradients(
    steps: int, query: Tensor, encoded: Tensor
) -> None:
    module = attention().eval()
    memory = states.detach(module.memory(encoded, LENGTHS))
    asked = query if steps else query[:, 0]
    wanted = module(asked, memory)
    with torch.no_grad():
        programs = [
            make_fx(lambda q, m: module(q, m))(torch.randn_like(asked), memory),
            torch.export.export(module, (torch.randn_like(asked), memory)).module(),
        ]
    for program in programs:
        assert torch.ops.recurra.attend.default in [node.target for node in program.graph.nodes]
        torch.testing.assert_close(program(asked, memory), wanted)
    # With gradients the operator would lose them.
    program = make_fx(lambda q, m: module(q, m))(torch.randn_like(asked), memory)
    assert torch.ops.recurra.attend.default not in [node.target for node in program.graph.nodes]
    torch.testing.assert_close(program(asked, memory), wanted)


def test_making_the_memory_is_traced(query: Tensor, encoded: Tensor) -> None:
    module = attention().eval()
    program = make_fx(lambda x, n: tuple(module.memory(x, n)))(
        torch.randn_like(encoded), torch.tensor([1, 2, 3])
    )
    for found, wanted in zip(program(encoded, LENGTHS), module.memory(encoded, LENGTHS), strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_operator_keeps_torchs_rules(query: Tensor, encoded: Tensor) -> None:
    arguments = (query, encoded[..., :4].contiguous(), encoded.contiguous(), LENGTHS, 2)
    torch.library.opcheck(torch.ops.recurra.attend.default, arguments)


def test_what_does_not_fit_is_refused(query: Tensor, encoded: Tensor) -> None:
    module = attention()
    memory = module.memory(encoded)
    assert memory.lengths.tolist() == [S] * B
    with pytest.raises(ValueError, match=r"takes \(B, S, 6\)"):
        module.memory(query)
    with pytest.raises(ValueError, match="lengths must lie in"):
        module.memory(encoded, torch.tensor([6, 0, 0]))
    with pytest.raises(ValueError, match="attend takes"):
        module(query[:2], memory)
    with pytest.raises(ValueError, match="attend takes"):
        module(query, Memory(memory.keys, memory.values[:, :2], memory.lengths))
    with pytest.raises(ValueError, match="4 units cannot be parted into 3 heads"):
        Attention(Q, E, heads=3)
