"""Plain layers on the extension: the values and gradients of the definition, on every variant, whatever the shapes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra import native
from recurra.ops import workspace
from recurra.ops.dense import cpu, reference
from recurra.ops.dense.order import in_order
from recurra.ops.dense.reference import GRUWeights, LSTMWeights, RNNWeights

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="the extension was not built"),
    pytest.mark.usefixtures("poisoned_memory"),
]

VARIANTS = [] if not native.available() else native.extension().variants()
CELLS = ["tanh", "relu", "lstm", "gru"]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Iterator[str]:
    before = native.extension().variant()
    native.extension().use(request.param)
    yield request.param
    native.extension().use(before)


class Case(NamedTuple):
    """A layer with drawn tensors: x, h0, ih, hh, then what the cell has."""

    cell: str
    tensors: list[Tensor]
    lengths: Tensor | None
    reverse: bool

    def run(self, fast: bool, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        x, h0, ih, hh, *rest = tensors
        where: tuple[Any, ...] = (self.lengths, self.reverse)
        if self.cell == "lstm":
            bias, c0 = rest
            run = cpu.lstm if fast else in_order(reference.lstm)
            return run(x, (h0, c0), LSTMWeights(ih, hh, bias), *where, (0.0, 0.0), None)
        if self.cell == "gru":
            run = cpu.gru if fast else in_order(reference.gru)
            return run(x, (h0,), GRUWeights(ih, hh, *rest), *where, True, 0.0, None)
        run = cpu.rnn if fast else in_order(reference.rnn)
        return run(x, (h0,), RNNWeights(ih, hh, *rest), *where, self.cell, 0.0, None)


def made(
    cell: str, rows: int, steps: int, inputs: int, units: int, ragged: bool, reverse: bool, scale: float = 1.0
) -> Case:
    gates = {"lstm": 4, "gru": 3}.get(cell, 1)
    shapes = [
        (rows, steps, inputs),
        (rows, units),
        (gates * units, inputs),
        (gates * units, units),
        (gates * units,),
    ]
    shapes += {"lstm": [(rows, units)], "gru": [(units,)]}.get(cell, [])
    tensors = [torch.randn(shape) * (scale if number == 0 else 0.5) for number, shape in enumerate(shapes)]
    tensors[3] /= units**0.5
    lengths = torch.randint(0, steps + 1, (rows,)) if ragged else None
    return Case(cell, tensors, lengths, reverse)


def results(case: Case, fast: bool, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, last states, the gradients of all tensors, and the outputs without gradients."""
    tensors = [each.to(dtype, copy=True).requires_grad_() for each in case.tensors]
    outputs = case.run(fast, tensors)
    weights = torch.Generator().manual_seed(1)
    grads = [torch.randn(each.shape, generator=weights, dtype=torch.float64).to(dtype) for each in outputs]
    found = torch.autograd.grad(outputs, tensors, grads)
    with torch.no_grad():
        return [*outputs, *found, *case.run(fast, tensors)]


def assert_the_definition(case: Case, rtol: float = 2e-5) -> None:
    for fast, slow in zip(results(case, True), results(case, False, torch.float64), strict=True):
        assert fast.shape == slow.shape
        atol = rtol * max(1.0, slow.abs().max().item() if slow.numel() else 0.0)
        torch.testing.assert_close(fast.double(), slow, rtol=rtol, atol=atol)


@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "backward"])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_extension_is_the_definition(cell: str, ragged: bool, reverse: bool, variant: str) -> None:
    for rows, steps, inputs, units in (
        (1, 1, 1, 1),
        (3, 7, 5, 17),
        (19, 4, 3, 33),
        (2, 3, 4, 300),
        (170, 9, 3, 5),
    ):
        assert_the_definition(made(cell, rows, steps, inputs, units, ragged, reverse))


@pytest.mark.parametrize("reverse", [False, True], ids=["onward", "backward"])
@pytest.mark.parametrize("cell", CELLS)
def test_rows_may_all_be_empty(cell: str, reverse: bool, variant: str) -> None:
    case = made(cell, 2, 3, 4, 17, False, reverse)
    assert_the_definition(case._replace(lengths=torch.zeros(2, dtype=torch.long)))


@pytest.mark.parametrize("cell", CELLS)
def test_two_threads_give_the_same(cell: str, variant: str) -> None:
    torch.set_num_threads(2)  # the folder's fixture sets it back
    for rows, units in ((1, 160), (40, 48), (17, 200), (300, 17)):
        for ragged in (False, True):
            assert_the_definition(made(cell, rows, 6, 8, units, ragged, ragged))


@settings(max_examples=60)
@given(
    cell=st.sampled_from(CELLS),
    rows=st.integers(1, 20),
    steps=st.integers(1, 9),
    inputs=st.integers(1, 9),
    units=st.integers(1, 70),
    ragged=st.booleans(),
    reverse=st.booleans(),
    variant=st.sampled_from(VARIANTS),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 30.0]),
)
def test_drawn_shapes(
    cell: str,
    rows: int,
    steps: int,
    inputs: int,
    units: int,
    ragged: bool,
    reverse: bool,
    variant: str,
    scale: float,
) -> None:
    before = native.extension().variant()
    native.extension().use(variant)
    try:
        assert_the_definition(made(cell, rows, steps, inputs, units, ragged, reverse, scale), rtol=1e-4)
    finally:
        native.extension().use(before)


@pytest.mark.parametrize("cell", CELLS)
def test_inputs_may_lie_anywhere_in_memory(cell: str) -> None:
    case = made(cell, 5, 6, 7, 20, True, False)
    strewn = [torch.stack([each, each], -1)[..., 0] for each in case.tensors]
    assert not any(each.is_contiguous() for each in strewn if each.numel() > 1)
    for found, expected in zip(
        results(case._replace(tensors=strewn), True), results(case, True), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_in_its_row(cell: str, value: float, variant: str) -> None:
    case = made(cell, 5, 6, 7, 20, False, False)
    clean = results(case, True)[0]
    case.tensors[0][2, 3, 1] = value
    y = results(case, True)[0]
    others = [0, 1, 3, 4]
    torch.testing.assert_close(y[others], clean[others], rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(y[2, :3], clean[2, :3], rtol=2e-6, atol=1e-6)
    expected = results(case, False)[0]
    assert torch.equal(y[2].isnan(), expected[2].isnan())
    assert value == float("inf") or y[2, 3:].isnan().all()


@pytest.mark.parametrize("cell", CELLS)
def test_padding_never_enters(cell: str) -> None:
    case = made(cell, 5, 6, 7, 20, True, True)
    clean = results(case, True)
    past = torch.arange(6) >= case.lengths.unsqueeze(1)
    case.tensors[0][past] = float("nan")
    for found, expected in zip(results(case, True), clean, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_is_float32_between_rounded_ends(cell: str) -> None:
    case = made(cell, 3, 5, 4, 16, True, False)
    rounded = [each.bfloat16() for each in case.tensors]
    found = case.run(True, rounded)
    expected = case.run(True, [each.float() for each in rounded])
    for half, whole in zip(found, expected, strict=True):
        assert half.dtype == torch.bfloat16
        assert torch.equal(half, whole.bfloat16())


@pytest.mark.parametrize("cell", CELLS)
def test_the_second_derivative_is_the_definitions(cell: str) -> None:
    case = made(cell, 3, 4, 3, 5, True, True)
    found = []
    for fast, dtype in ((True, torch.float32), (False, torch.float64)):
        tensors = [each.to(dtype, copy=True).requires_grad_() for each in case.tensors]
        first = torch.autograd.grad(case.run(fast, tensors)[0].square().sum(), tensors, create_graph=True)
        found.append(torch.autograd.grad(sum(each.square().sum() for each in first), tensors))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(
            fast.double(), slow, rtol=1e-3, atol=1e-4 * max(1.0, slow.abs().max().item())
        )


def test_a_kept_graph_can_be_differentiated_again() -> None:
    case = made("lstm", 4, 20, 8, 64, True, False)
    tensors = [each.requires_grad_() for each in case.tensors]
    y = case.run(True, tensors)[0]
    first = torch.autograd.grad(y.sum(), tensors, retain_graph=True)
    for once, again in zip(first, torch.autograd.grad(y.sum(), tensors), strict=True):
        assert torch.equal(once, again)


def test_working_memory_comes_back_with_the_graph() -> None:
    gc.collect()
    workspace.clear()
    case = made("gru", 16, 100, 8, 64, False, False)
    y = case.run(True, [each.requires_grad_() for each in case.tensors])[0]
    held = workspace.waiting()
    y.sum().backward()
    del y
    gc.collect()
    assert workspace.waiting() > held
    before = workspace.waiting()
    for _ in range(5):
        case.run(True, case.tensors)[0].sum().backward()
    gc.collect()
    assert workspace.waiting() == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
def test_two_at_once_are_one_after_the_other(cell: str, ragged: bool, threads: int) -> None:
    torch.set_num_threads(threads)  # the folder's fixture sets it back
    ahead = made(cell, 3, 40, 6, 64, ragged, False)
    back = made(cell, 3, 40, 6, 64, False, True)._replace(lengths=ahead.lengths)
    back.tensors[0] = ahead.tensors[0]
    name, options = (cell, ((0.0, 0.0), None)) if cell == "lstm" else (cell, (True, 0.0, None))
    if cell in ("tanh", "relu"):
        name, options = "rnn", (cell, 0.0, None)
    found = []
    for at_once in (True, False):
        layers = []
        tensors = [[each.clone().requires_grad_() for each in case.tensors] for case in (ahead, back)]
        for case, (x, h0, ih, hh, bias, *rest) in zip((ahead, back), tensors, strict=True):
            weights: Any = {"lstm": LSTMWeights, "gru": GRUWeights}.get(name, RNNWeights)(ih, hh, bias)
            states = (h0, *rest) if name == "lstm" else (h0,)
            weights = weights._replace(bias_hn=rest[0]) if name == "gru" else weights
            layers.append((x, states, weights, case.lengths, case.reverse, *options))
        runs = cpu.both(name, *layers) if at_once else [cpu.both(name, each)[0] for each in layers]
        total = sum((number + 1) * each.square().sum() for run in runs for number, each in enumerate(run))
        flat = [each for half in tensors for each in half]
        found.append([*(each for run in runs for each in run), *torch.autograd.grad(total, flat)])
    for once, apart in zip(*found, strict=True):
        torch.testing.assert_close(once, apart, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wrong", [1, 2, 3, 4])
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_what_does_not_fit_never_reaches_the_extension(cell: str, wrong: int) -> None:
    x, h0, ih, hh, bias, *rest = made(cell, 3, 4, 5, 6, False, False).tensors
    parts = [x, h0, ih, hh, bias]
    parts[wrong] = parts[wrong][:-1]
    x, h0, ih, hh, bias = parts
    if cell == "lstm":
        assert not cpu.fits_lstm(x, (h0, rest[0]), LSTMWeights(ih, hh, bias), None, False, (0.0, 0.0), None)
    elif cell == "gru":
        assert not cpu.fits_gru(x, (h0,), GRUWeights(ih, hh, bias), None, False, True, 0.0, None)
    else:
        assert not cpu.fits_rnn(x, (h0,), RNNWeights(ih, hh, bias), None, False, "tanh", 0.0, None)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_alone_has_the_same_bits_as_in_a_batch(cell: str, variant: str) -> None:
    case = made(cell, 9, 7, 3, 40, False, False)
    with torch.no_grad():
        y = case.run(True, case.tensors)[0]
        for row in range(9):
            by_row = {0, 1, 5} if cell == "lstm" else {0, 1}
            alone = [
                each[row : row + 1] if number in by_row else each for number, each in enumerate(case.tensors)
            ]
            assert torch.equal(case.run(True, alone)[0][0], y[row])
