"""The memory recurrence: the chunked form against the definition, derivatives of every kind, forgetting, misfits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import normalize

from recurra import ops
from recurra.ops.memory.chunked import memory_chunked
from recurra.ops.memory.reference import max_plus_scan, memory, memory_step

Arguments = tuple[Any, ...]


def inputs(
    rows: int,
    steps: int,
    heads: int = 1,
    keys: int = 3,
    values: int = 2,
    *,
    channels: bool = False,
    turning: bool = True,
    forgetting: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Arguments:
    """Queries and keys of about length 1, a step that turns S without making it grow, log decays from 0 down."""
    shape = rows, steps, heads
    q, k, a = (normalize(torch.randn(*shape, keys, dtype=dtype), dim=-1) for _ in range(3))
    v = torch.randn(*shape, values, dtype=dtype)
    log_w = -forgetting * torch.rand(*shape, keys if channels else 1, dtype=dtype) ** 3
    b = -2 * torch.rand(*shape, 1, dtype=dtype) * a * log_w.exp()
    s0 = torch.randn(rows, heads, values, keys, dtype=dtype)
    every = (q, k, v, log_w, a if turning else None, b if turning else None, s0)
    return tuple(x if x is None else x.requires_grad_() for x in every)


def results(function: Any, arguments: Arguments) -> list[Tensor]:
    """The outputs, the last S, and the gradients."""
    o, s = function(*arguments)
    leaves = [x for x in arguments if x is not None]
    total = o.sin().sum() + s.cos().sum()
    return [o, s, *torch.autograd.grad(total, leaves, materialize_grads=True)]


def assert_same(found: list[Tensor], wanted: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        scale = max(1.0, other.abs().max().item()) if other.numel() else 1.0
        torch.testing.assert_close(one, other, rtol=0.0, atol=tolerance * scale)


@settings(max_examples=40)
@given(st.data())
def test_the_chunked_form_is_the_definition(data: st.DataObject) -> None:
    rows, heads, keys, values = (data.draw(st.integers(1, 4)) for _ in range(4))
    steps = data.draw(st.integers(0, 150), label="steps")
    arguments = inputs(
        rows,
        steps,
        heads,
        keys,
        values,
        channels=data.draw(st.booleans(), label="channels"),
        turning=data.draw(st.booleans(), label="turning"),
        forgetting=data.draw(st.sampled_from([0.0, 0.1, 1.0, 10.0, 1000.0]), label="forgetting"),
    )
    chunk = data.draw(st.sampled_from([1, 2, 16, 64]), label="chunk")
    found = results(lambda *each: memory_chunked(*each, chunk=chunk), arguments)
    assert_same(found, results(memory, arguments), 1e-12)


@pytest.mark.parametrize("forgetting", [0.1, 1.0, 1000.0])
@pytest.mark.parametrize("turning", [False, True])
@pytest.mark.parametrize("channels", [False, True])
def test_in_single_precision_too(channels: bool, turning: bool, forgetting: float) -> None:
    arguments = inputs(
        2, 100, 2, 8, 8, channels=channels, turning=turning, forgetting=forgetting, dtype=torch.float32
    )
    assert_same(results(memory_chunked, arguments), results(memory, arguments), 4e-6)


def test_the_definition_by_hand() -> None:
    q, k, v, log_w, a, b, s0 = (x.detach() for x in inputs(1, 4, channels=True))
    o, s = ops.memory(q, k, v, log_w, a, b, s0)
    expected = s0[0, 0]
    for t in range(4):
        q_t, k_t, v_t, w_t, a_t, b_t = (x[0, t, 0] for x in (q, k, v, log_w.exp(), a, b))
        expected = expected @ (torch.diag(w_t) + torch.outer(a_t, b_t)) + torch.outer(v_t, k_t)
        torch.testing.assert_close(o[0, t, 0], expected @ q_t, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(s[0, 0], expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("path", ["", "reference"])
def test_a_step_is_the_sequence_of_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    arguments = inputs(2, 1, 2)
    o, s = ops.memory(*arguments)
    step_o, step_s = memory_step(*(x[:, 0] for x in arguments[:-1]), arguments[-1])
    torch.testing.assert_close(o[:, 0], step_o)
    torch.testing.assert_close(s, step_s)


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("form", [memory, memory_chunked])
def test_what_is_wholly_forgotten_leaves_no_trace(form: Any, channels: bool) -> None:
    q, k, v, log_w, _, _, s0 = inputs(1, 40, channels=channels, turning=False)
    log_w = torch.where(torch.arange(40).reshape(1, 40, 1, 1) == 20, -torch.inf, log_w)
    o, s = form(q, k, v, log_w, None, None, s0)
    after = form(*(x[:, 21:] for x in (q, k, v, log_w)), None, None, v[:, 20, :, :, None] * k[:, 20, :, None])
    torch.testing.assert_close(o[:, 21:], after[0])
    torch.testing.assert_close(s, after[1])
    gradients = torch.autograd.grad(s.sum(), [v, s0, log_w])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[0][:, :20] == 0).all()
    assert (gradients[1] == 0).all()


def test_a_weak_decay_after_a_strong_one_keeps_its_digits() -> None:
    # Differences of sums over all 64 steps would leave the small decays without a digit.
    log_w = torch.full((1, 64, 1, 1), -1e-4)
    log_w[:, :8] = -1e6
    q = k = v = torch.ones(1, 64, 1, 1)
    o, _ = ops.memory(q, k, v, log_w, None, None, torch.zeros(1, 1, 1, 1))
    wanted, _ = memory(*(x.double() for x in (q, k, v, log_w)), None, None, torch.zeros(1, 1, 1, 1).double())
    torch.testing.assert_close(o.double(), wanted, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("turning", [False, True])
@pytest.mark.parametrize("channels", [False, True])
# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_every_derivative_of_the_chunked_form(channels: bool, turning: bool, steps: int) -> None:
    arguments = inputs(1, steps, 1, 2, 2, channels=channels, turning=turning)

    def chunked(*given: Tensor) -> tuple[Tensor, Tensor]:
        rest = iter(given)
        return memory_chunked(*(None if x is None else next(rest) for x in arguments), chunk=2)

    given = tuple(x for x in arguments if x is not None)
    assert gradcheck(chunked, given, check_forward_ad=True)
    assert gradgradcheck(chunked, given, fast_mode=True)


@pytest.mark.parametrize("channels", [False, True])
def test_vmap_of_the_chunked_form(channels: bool) -> None:
    many = [inputs(2, 5, 2, channels=channels) for _ in range(3)]
    found = torch.func.vmap(memory_chunked)(*(torch.stack(each) for each in zip(*many, strict=True)))
    for i, one in enumerate(many):
        for got, wanted in zip(found, memory(*one), strict=True):
            torch.testing.assert_close(got[i], wanted)


@pytest.mark.parametrize("path", ["", "reference"])
def test_padding_is_not_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", path)
    q, k, v, log_w, a, b, s0 = (x.detach() for x in inputs(3, 5, 2, channels=True))
    lengths = torch.tensor([5, 2, 0])
    padded = [
        torch.where(ops.ragged.valid(lengths, 5)[..., None, None], x, torch.nan)
        for x in (q, k, v, log_w, a, b)
    ]
    o, s = ops.memory(*padded, s0, lengths)
    for row, length in enumerate(lengths.tolist()):
        one = [x[row : row + 1, :length] for x in (q, k, v, log_w, a, b)]
        alone, last = ops.memory(*one, s0[row : row + 1])
        torch.testing.assert_close(o[row : row + 1, :length], alone)
        torch.testing.assert_close(s[row : row + 1], last)
        assert (o[row, length:] == 0).all()


def test_misfits_are_told() -> None:
    q, k, v, log_w, a, b, s0 = inputs(2, 3, 2)
    with pytest.raises(ValueError, match=r"memory takes q, k \(B, T, N, K\).*\(2, 3, 2, 2\)"):
        ops.memory(q, k[..., :2], v, log_w, a, b, s0)
    with pytest.raises(ValueError, match="s0"):
        ops.memory(q, k, v, log_w, a, b, s0.mT)
    with pytest.raises(ValueError, match="None"):
        ops.memory(q, k, v, log_w, a, None, s0)
    with pytest.raises(ValueError, match="log_w"):
        ops.memory(q, k, v, log_w.squeeze(-1), a, b, s0)
    with pytest.raises(ValueError, match="lengths"):
        ops.memory(q, k, v, log_w, a, b, s0, torch.tensor([4, 0]))


@given(steps=st.integers(0, 40), scale=st.sampled_from([0.1, 1.0, 100.0]))
@example(steps=64, scale=1.0)
def test_the_max_plus_scan_is_its_loop(steps: int, scale: float) -> None:
    log_f = -scale * torch.rand(2, steps, 3, dtype=torch.float64)
    log_i = scale * torch.randn(2, steps, 3, dtype=torch.float64)
    m = m0 = torch.randn(2, 3, dtype=torch.float64)
    found = max_plus_scan(log_f, log_i, m0)
    assert found.shape == log_i.shape
    for t in range(steps):
        m = torch.maximum(log_f[:, t] + m, log_i[:, t])
        torch.testing.assert_close(found[:, t], m, rtol=1e-13, atol=1e-13)
