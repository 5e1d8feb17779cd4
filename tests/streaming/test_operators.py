"""Each operation of the engine, over shapes drawn by Hypothesis: the engine and NumPy's definition against torch."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as f

from recurra import ops
from recurra.networks import AdaptiveSoftmaxHead, QuantileHead, SoftmaxHead
from recurra.streaming.lower import lower
from recurra.streaming.packed import Packed, PackedMatrix
from recurra.streaming.program import Program
from recurra.streaming.reference import ALONG, MAPS, REDUCTIONS, Reference
from recurra.streaming.run import Engine
from recurra.streaming.weights import pack

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

native = importlib.import_module("recurra._native")


few = settings(max_examples=8)  # each traces a network, which takes a while


@pytest.fixture(autouse=True)
def variant() -> Iterator[None]:
    before = native.variant()
    yield
    native.use(before)


def engine_of(program: Program) -> Engine:
    matrices = [
        PackedMatrix("float32", each.shape, pack(each, "float32")[0], np.zeros(0, np.uint8))
        for each in program.matrices
    ]
    return Engine(Packed.of(program, matrices, {}), threads=1)


def check(
    function: Callable[..., Any],
    *shapes: tuple[int, ...],
    low: float = -3.0,
    high: float = 3.0,
    atol: float = 1e-5,
) -> Program:
    """`function` of tensors (1, …) in torch, in the engine and in NumPy, for three rows; to `atol` of one another."""
    rows = 3
    x = [torch.empty(rows, *shape).uniform_(low, high) for shape in shapes]
    names = [f"x{number}" for number in range(len(x))]
    program = lower(
        lambda *inputs: (function(*inputs),),
        {name: each[:1] for name, each in zip(names, x, strict=True)},
        {},
    )
    wanted = torch.cat([function(*(each[row : row + 1] for each in x)) for row in range(rows)]).numpy()
    reference = Reference(program, rows).step(*(each.numpy() for each in x))[0]
    np.testing.assert_allclose(reference.reshape(wanted.shape), wanted, rtol=1e-5, atol=atol)
    engine = engine_of(program)
    sessions = [engine.session() for _ in range(rows)]
    for name in native.variants():
        native.use(name)
        found = engine.step(sessions, *(each.reshape(rows, -1).numpy() for each in x))
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-5, atol=atol, err_msg=name)
    return program


sizes = st.integers(1, 19)

MAPPED: dict[str, tuple[Callable[..., Tensor], int, float, float]] = {
    "copy": (lambda x: x.clone(), 1, -3, 3),
    "add": (lambda x, y: torch.add(x, y, alpha=2), 2, -3, 3),
    "subtract": (lambda x, y: torch.sub(x, y, alpha=0.5), 2, -3, 3),
    "multiply": (torch.mul, 2, -3, 3),
    "divide": (torch.div, 2, 0.5, 3),
    "maximum": (torch.maximum, 2, -3, 3),
    "minimum": (torch.minimum, 2, -3, 3),
    "less": (lambda x, y: torch.where(x < y, 1.0, 0.0), 2, -3, 3),
    "greater": (lambda x, y: torch.where(x > y, 1.0, 0.0), 2, -3, 3),
    "where": (lambda x, y: torch.where(x > 0.5, x, y), 2, -3, 3),
    "negative": (torch.neg, 1, -3, 3),
    "absolute": (torch.abs, 1, -3, 3),
    "sign": (torch.sign, 1, -3, 3),
    "exp": (torch.exp, 1, -3, 3),
    "expm1": (torch.expm1, 1, -3, 3),
    "log": (torch.log, 1, 0.1, 9),
    "log1p": (torch.log1p, 1, -0.9, 9),
    "sin": (torch.sin, 1, -9, 9),
    "cos": (torch.cos, 1, -9, 9),
    "erf": (f.gelu, 1, -3, 3),
    "sqrt": (torch.sqrt, 1, 0, 9),
    "rsqrt": (torch.rsqrt, 1, 0.1, 9),
    "reciprocal": (torch.reciprocal, 1, 0.1, 9),
    "sigmoid": (torch.sigmoid, 1, -30, 30),
    "tanh": (torch.tanh, 1, -9, 9),
    "relu": (torch.relu, 1, -3, 3),
    "softplus": (f.softplus, 1, -40, 40),
}


def test_every_operation_is_here() -> None:
    assert set(MAPPED) == set(MAPS)
    assert set(ALONG) | set(REDUCTIONS) == {
        *("cumulate", "softmax", "log_softmax", "normalize", "sum", "greatest", "contract")
    }


@pytest.mark.parametrize("op", MAPPED)
@few
@given(shape=st.lists(sizes, min_size=1, max_size=4))
def test_number_by_number(op: str, shape: list[int]) -> None:
    function, count, low, high = MAPPED[op]
    program = check(function, *[tuple(shape)] * count, low=low, high=high)
    assert op in {each.op for each in program.instructions}


@pytest.mark.parametrize(
    "function",
    [
        f.silu,
        f.elu,
        f.logsigmoid,
        lambda x: f.gelu(x, approximate="tanh"),
        lambda x: f.softplus(x, beta=2),
        lambda x: x.square() - x.pow(2) + 1.0 - x.clamp(-1, 1).clamp(min=-0.5).clamp(max=0.5),
        lambda x: torch.lerp(x, x.flip(-1), 0.3) - 2.0,
        lambda x: torch.zeros_like(x) + torch.ones_like(x) * x,
        lambda x: 1.0 - x,
        lambda x: torch.addcmul(x, x.tanh(), x, value=-0.5),
    ],
)
@few
@given(shape=st.lists(sizes, min_size=1, max_size=3))
def test_what_is_made_of_several(function: Callable[[Tensor], Tensor], shape: list[int]) -> None:
    check(function, tuple(shape))


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-40, -0.0, 88.5, -104.0]
)
@pytest.mark.parametrize("op", sorted(set(MAPPED) - {"sin", "cos"}))
def test_numbers_at_the_edge(op: str, value: float) -> None:
    function, count, _, _ = MAPPED[op]
    program = lower(lambda *x: (function(*x),), {f"x{n}": torch.ones(1, 5) for n in range(count)}, {})
    x = torch.tensor([[value, 0.25, value, 1.0, 2.0]])
    wanted = function(*[x] * count).numpy()
    engine = engine_of(program)
    found = engine.step([engine.session()], *[x.numpy()] * count)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1.3e-38)


@few
@given(st.lists(sizes, min_size=1, max_size=3), st.data())
def test_broadcast(shape: list[int], data: st.DataObject) -> None:
    other = tuple(data.draw(st.sampled_from([1, size])) for size in shape)
    constant = torch.randn(shape[-1])
    check(lambda x, y: x * y + constant, tuple(shape), other)


@few
@given(st.lists(st.integers(1, 7), min_size=2, max_size=4), st.data())
def test_seen_from_another_side(shape: list[int], data: st.DataObject) -> None:
    """Views cost nothing and mean what torch means by them, also where a copy has to be made of one."""
    axes = data.draw(st.permutations(range(1, len(shape) + 1)))
    cut = data.draw(st.integers(0, shape[0] - 1))

    def function(x: Tensor) -> Tensor:
        y = x[:, cut:].permute(0, *axes)
        parts = torch.cat([y * 2, y.flip(1), torch.ones(1, *y.shape[1:])], 1)
        return torch.stack([parts.reshape(1, -1), parts.transpose(1, 2).reshape(1, -1)], 2)

    check(function, tuple(shape))


@few
@given(st.lists(sizes, min_size=1, max_size=3), st.data())
def test_along_an_axis(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(1, len(shape)))
    check(lambda x: x.cumsum(axis) + x.softmax(axis) + x.log_softmax(axis), tuple(shape))
    check(
        lambda x: x + x.sum(axis, keepdim=True) + x.mean(axis, keepdim=True) + x.amax(axis, keepdim=True),
        tuple(shape),
    )
    check(
        lambda x: x.flatten(1).sum(1, keepdim=True) + x.flatten(1).mean(-1, keepdim=True),
        tuple(shape),
        atol=1e-5 * max(1.0, math.prod(shape) ** 0.5),  # thousands of numbers, added in another order
    )


@few
@given(sizes, sizes, st.integers(2, 19))
def test_norms(groups: int, channels: int, units: int) -> None:
    gain, bias = torch.randn(units), torch.randn(units)
    check(lambda x: f.layer_norm(x, (units,), gain, bias, 1e-3), (channels, units))
    check(lambda x: f.layer_norm(x, (channels, units)), (channels, units))
    check(lambda x: f.rms_norm(x, (units,), gain, 1e-3), (channels, units))
    wide = torch.randn(groups * units)
    check(lambda x: f.group_norm(x, groups, wide, wide.flip(0), 1e-3), (groups * units,))


@few
@given(sizes, sizes, sizes, sizes)
def test_products(a: int, b: int, c: int, d: int) -> None:
    weight, bias, many = torch.randn(b, c), torch.randn(b), torch.randn(d, c, b)
    check(lambda x: f.linear(x, weight, bias), (c,))
    check(lambda x: f.linear(x, weight) + f.linear(x.tanh(), weight, bias), (c,))
    check(lambda x: f.linear(x, weight, bias), (a, c))
    check(lambda x: (weight @ x.transpose(0, 1)).transpose(0, 1) + 1.0, (c,))
    check(lambda x: torch.einsum("bdc,dce->bde", x, many), (d, c))
    check(lambda x, y: x @ y, (a, c), (c, b))
    check(lambda x, y: x @ y.transpose(1, 2), (a, c), (b, c))
    check(lambda x, y: (x @ y[..., None]).squeeze(-1), (d, a, c), (d, c))
    check(lambda x, y: torch.einsum("bik,bjk->bij", x, y), (a, c), (b, c))
    check(lambda x: f.linear(x, weight) * x.sum(-1, keepdim=True), (c,))


@few
@given(sizes, st.integers(3, 30))
def test_heads(size: int, count: int) -> None:
    levels = [(each + 1) / (count + 1) for each in range(count)]
    with torch.no_grad():
        check(QuantileHead(size, levels), (size,))
        check(SoftmaxHead(size, count), (size,))
        check(AdaptiveSoftmaxHead(size, count, (1, count // 2 + 1), shrink=1.0), (size,))


@few
@given(st.integers(1, 40), sizes)
def test_embeddings_and_tied_weights(vocabulary: int, size: int) -> None:
    weight = torch.randn(vocabulary, size)
    program = lower(
        lambda token: (f.linear(f.embedding(token, weight), weight),),
        {"token": torch.zeros(1, dtype=torch.long)},
        {},
        vocabulary,
    )
    assert len(program.matrices) == 1
    engine = engine_of(program)
    tokens = np.arange(vocabulary)
    found = engine.step([engine.session() for _ in tokens], tokens)
    np.testing.assert_allclose(found, (weight @ weight.T).numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        Reference(program, vocabulary).step(tokens)[0].reshape(vocabulary, -1), found, rtol=1e-4, atol=1e-4
    )


def test_what_the_engine_does_not_know_is_named() -> None:
    with pytest.raises(NotImplementedError, match=r"aten\.lgamma"):
        check(torch.lgamma, (3,))
    with pytest.raises(NotImplementedError, match="at most 4 axes"):
        check(lambda x: x.permute(0, 5, 4, 3, 2, 1).clone(), (2, 3, 2, 3, 2))
