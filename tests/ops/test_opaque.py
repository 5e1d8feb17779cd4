"""Elman, LSTM and GRU as operators of torch.library: what torch asks of an operator, and their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from recurra import ops

B, T, I, H, R = 3, 4, 2, 5, 3  # noqa: E741 - the legend of the whole project
LENGTHS = torch.tensor([4, 0, 2])


def arguments(name: str, dtype: torch.dtype, lengths: Tensor | None, flags: tuple[Any, ...]) -> list[Any]:
    """What an operator takes, without biases and projection where a flag says so."""

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype, requires_grad=True)

    bare, *rest = flags
    blocks = {"rnn": 1, "gru": 3, "lstm": 4}[name]
    recurrent = R if name == "lstm" and not bare else H
    states = [drawn(B, recurrent), drawn(B, H)] if name == "lstm" else [drawn(B, H)]
    matrices = [drawn(blocks * H, I), drawn(blocks * H, recurrent)]
    biases = {"rnn": [(H,)], "gru": [(3 * H,), (H,)], "lstm": [(4 * H,), (R, H)]}[name]
    optional = [None if bare else drawn(*shape) for shape in biases]
    return [drawn(B, T, I), *states, *matrices, *optional, lengths, *rest]


# Without the optional tensors or with, reverse, and each operator's own flag.
CASES = [
    ("rnn", (False, False, "tanh")),
    ("rnn", (True, True, "relu")),
    ("gru", (False, False, True)),
    ("gru", (True, True, True)),
    ("gru", (False, True, False)),
    ("lstm", (False, False)),
    ("lstm", (True, True)),
]
every_case = pytest.mark.parametrize(("name", "flags"), CASES)
ragged = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])


def operator(name: str) -> Any:
    return getattr(torch.ops.recurra, name).default


def eager(name: str, given: list[Any]) -> tuple[Tensor, ...]:
    """The same through `recurra.ops`."""
    x = given[0]
    if name == "rnn":
        h, ih, hh, bias, lengths, reverse, nonlinearity = given[1:]
        weights = ops.RNNWeights(ih, hh, bias)
        return ops.rnn(x, h, weights, lengths, reverse=reverse, nonlinearity=nonlinearity)
    if name == "gru":
        h, ih, hh, bias, bias_hn, lengths, reverse, after = given[1:]
        return ops.gru(
            x, h, ops.GRUWeights(ih, hh, bias, bias_hn), lengths, reverse=reverse, reset_after=after
        )
    h, c, ih, hh, bias, projection, lengths, reverse = given[1:]
    return ops.lstm(x, h, c, ops.LSTMWeights(ih, hh, bias, projection), lengths, reverse=reverse)


def results(outputs: tuple[Tensor, ...], given: list[Any]) -> list[Tensor]:
    """The outputs and the gradients of everything that has one."""
    leaves = [each for each in given if isinstance(each, Tensor) and each.requires_grad]
    total = sum((each.sin() * (1 + number)).sum() for number, each in enumerate(outputs))
    assert isinstance(total, Tensor)
    return [*outputs, *torch.autograd.grad(total, leaves)]


@every_case
@ragged
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_finds_no_fault(
    name: str, flags: tuple[Any, ...], lengths: Tensor | None, dtype: torch.dtype
) -> None:
    torch.library.opcheck(operator(name), arguments(name, dtype, lengths, flags))


@every_case
@ragged
@pytest.mark.parametrize("path", ["", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_ops(
    name: str,
    flags: tuple[Any, ...],
    lengths: Tensor | None,
    dtype: torch.dtype,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = arguments(name, dtype, lengths, flags)
    found = results(operator(name)(*given), given)
    monkeypatch.setenv("RECURRA_OPS", path)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(found, results(eager(name, given), given), rtol=tolerance, atol=tolerance)


@every_case
@pytest.mark.parametrize(("rows", "steps"), [(B, T), (0, T), (B, 0), (0, 0)])
def test_fake_tensors_have_the_shapes_of_real_ones(
    name: str, flags: tuple[Any, ...], rows: int, steps: int
) -> None:
    given = arguments(name, torch.float32, None, flags)
    given = [each.detach() if isinstance(each, Tensor) else each for each in given]
    given[0] = given[0][:rows, :steps]
    states = 2 if name == "lstm" else 1
    given[1 : 1 + states] = [each[:rows] for each in given[1 : 1 + states]]
    real = operator(name)(*given)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        faked = [mode.from_tensor(each) if isinstance(each, Tensor) else each for each in given]
        fake = operator(name)(*faked)
    assert [(each.shape, each.dtype) for each in fake] == [(each.shape, each.dtype) for each in real]


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_gradients_that_nobody_asks_for_are_none(name: str) -> None:
    flags = next(flags for which, flags in CASES if which == name)
    given = arguments(name, torch.float32, LENGTHS, flags)
    given[1:] = [each.detach() if isinstance(each, Tensor) else each for each in given[1:]]
    outputs = operator(name)(*given)
    outputs[0].sum().backward()
    assert given[0].grad is not None
    assert (given[0].grad[1] == 0).all()  # the row without steps
    assert all(each.grad is None for each in given[1:] if isinstance(each, Tensor))


@every_case
def test_nan_in_the_padding_leaves_no_trace(name: str, flags: tuple[Any, ...]) -> None:
    given = arguments(name, torch.float64, LENGTHS, flags)
    expected = results(operator(name)(*given), given)
    with torch.no_grad():
        given[0].copy_(ops.ragged.fill(given[0], LENGTHS, float("nan")))
    for one, two in zip(results(operator(name)(*given), given), expected, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_lengths_are_checked_when_the_program_runs(name: str) -> None:
    flags = next(flags for which, flags in CASES if which == name)
    with pytest.raises(ValueError, match=r"lengths must lie in 0 … 4"):
        operator(name)(*arguments(name, torch.float32, LENGTHS + 1, flags))
