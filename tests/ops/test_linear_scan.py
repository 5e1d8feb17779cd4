"""The diagonal recurrence: the extension against the definition, derivatives of every kind, and misfits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from recurra import ops
from recurra.ops.diagonal import cpu, reference

needs_extension = pytest.mark.skipif(not ops.native_available(), reason="the extension was not built")


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def inputs(rows: int, steps: int, units: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    shape = rows, steps, units
    return random(*shape, dtype=dtype), random(*shape, dtype=dtype), random(rows, units, dtype=dtype)


def by_hand(a: Any, b: Any, h0: Any, length: int) -> list[float]:
    """One unit of one row, in Python's own numbers."""
    h, result = h0, []
    for t, (decay, value) in enumerate(zip(a, b, strict=True)):
        h = decay * h + value if t < length else h
        result.append(h)
    return result


@pytest.mark.parametrize("path", ["reference", "native"])
def test_the_definition(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "native" and not ops.native_available():
        pytest.skip("the extension was not built")
    monkeypatch.setenv("RECURRA_OPS", path)
    a, b, h0 = inputs(2, 5, 3)
    h = ops.linear_scan(a, b, h0, torch.tensor([5, 2]))
    for row, length in enumerate((5, 2)):
        for unit in range(3):
            wanted = by_hand(a[row, :, unit].tolist(), b[row, :, unit].tolist(), h0[row, unit].item(), length)
            assert h[row, :, unit].tolist() == pytest.approx(wanted, rel=1e-14)


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
@given(st.data())
def test_the_extension_is_the_definition(data: st.DataObject) -> None:
    rows, steps, units = (data.draw(st.integers(0, 9), label=name) for name in ("rows", "steps", "units"))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    ragged = st.lists(st.integers(0, steps), min_size=rows, max_size=rows).map(
        lambda each: torch.tensor(each, dtype=torch.int64)
    )
    lengths = data.draw(st.none() | ragged, label="lengths")
    layout = data.draw(st.sampled_from(["contiguous", "transposed", "expanded", "strided"]))
    a, b, h0 = (tensor.detach() for tensor in inputs(rows, steps, units, dtype))
    if layout == "transposed":
        a, h0 = a.transpose(1, 2).contiguous().transpose(1, 2), h0.T.contiguous().T
    elif layout == "expanded":
        a = torch.randn(units, dtype=dtype).expand(rows, steps, units)
    elif layout == "strided":
        b = torch.randn(rows, 2 * steps, 2 * units, dtype=dtype)[:, ::2, ::2]

    def results(scan: Any) -> list[Tensor]:
        arguments = [tensor.clone().requires_grad_() for tensor in (a, b, h0)]
        masked = ops.ragged.fill(arguments[0], lengths, 1.0), ops.ragged.fill(arguments[1], lengths)
        h = scan(*masked, arguments[2])
        return [h, *torch.autograd.grad(h.sin().sum(), arguments, materialize_grads=True)]

    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    for found, wanted in zip(results(cpu.linear_scan), results(reference.linear_scan), strict=True):
        torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        cpu.linear_scan(a, b, h0), reference.linear_scan(a, b, h0), rtol=tolerance, atol=tolerance
    )


@needs_extension
def test_the_extension_differentiates_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "native")
    for steps in (0, 1, 3):
        assert gradcheck(ops.linear_scan, inputs(2, steps, 2))
        assert gradgradcheck(ops.linear_scan, inputs(2, steps, 2))
    lengths = torch.tensor([3, 0])
    assert gradcheck(lambda *each: ops.linear_scan(*each, lengths), inputs(2, 3, 2))


# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_is_not_silently_zero() -> None:
    assert gradcheck(ops.linear_scan, inputs(2, 3, 2), check_forward_ad=True)
    primals = tuple(tensor.detach() for tensor in inputs(2, 3, 2))
    tangents = tuple(torch.randn_like(tensor) for tensor in primals)
    _, found = torch.func.jvp(lambda *each: ops.linear_scan(*each), primals, tangents)
    step = 1e-6
    ahead, behind = (
        ops.linear_scan(*(p + sign * step * t for p, t in zip(primals, tangents, strict=True)))
        for sign in (1, -1)
    )
    torch.testing.assert_close(found, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)


@needs_extension
@pytest.mark.parametrize("shared", [None, 0, 1, 2])
def test_vmap(shared: int | None) -> None:
    many = [torch.randn(4, 2, 3, 5), torch.randn(4, 2, 3, 5), torch.randn(4, 2, 5)]
    axes = tuple(None if axis == shared else 0 for axis in range(3))
    arguments = [each[0] if axis is None else each for each, axis in zip(many, axes, strict=True)]
    found = torch.func.vmap(ops.linear_scan, axes)(*arguments)
    for i in range(4):
        one = [each if axis is None else each[i] for each, axis in zip(arguments, axes, strict=True)]
        torch.testing.assert_close(found[i], reference.linear_scan(*one))


@needs_extension
@pytest.mark.parametrize("reverse", [False, True])
def test_torch_accepts_the_operator(reverse: bool) -> None:
    torch.library.opcheck(torch.ops.recurra.linear_scan.default, (*inputs(2, 3, 4), reverse))


@needs_extension
def test_the_operator_is_in_the_exported_graph() -> None:
    class Scan(torch.nn.Module):
        def forward(self, a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
            return ops.linear_scan(a, b, h0)

    arguments = tuple(tensor.detach() for tensor in inputs(2, 3, 4))
    steps = torch.export.Dim("steps", min=2)
    exported = torch.export.export(Scan(), arguments, dynamic_shapes=({1: steps}, {1: steps}, None))
    assert "recurra.linear_scan" in exported.graph_module.code
    longer = tuple(tensor.detach() for tensor in inputs(2, 7, 4))
    torch.testing.assert_close(exported.module()(*longer), reference.linear_scan(*longer))


def test_nan_stays_in_its_own_unit() -> None:
    a, b, h0 = (tensor.detach() for tensor in inputs(2, 4, 3))
    b[0, 1, 2] = torch.nan
    h = ops.linear_scan(a, b, h0)
    assert h[0, 1:, 2].isnan().all()
    assert h.isnan().sum() == 3


def test_misfits_are_told() -> None:
    a, b, h0 = inputs(2, 3, 4)
    with pytest.raises(ValueError, match=r"h0 \(B, D\), not \(2, 3, 4\), \(2, 3, 4\) and \(4,\)"):
        ops.linear_scan(a, b, h0[0])
    with pytest.raises(ValueError, match="a and b"):
        ops.linear_scan(a, b[:, :2], h0)
    with pytest.raises(ValueError, match="one type of number"):
        ops.linear_scan(a, b.float(), h0)
    with pytest.raises(ValueError, match="lengths"):
        ops.linear_scan(a, b, h0, torch.tensor([4, 0]))


@needs_extension
def test_the_extension_checks_shapes_itself() -> None:
    from recurra import _native

    a, b, h0 = (tensor.detach() for tensor in inputs(2, 3, 4))
    with pytest.raises(ValueError, match="one shape"):
        _native.linear_scan(a, b, h0, torch.empty(2, 3, 5, dtype=a.dtype), False)
    with pytest.raises(ValueError, match="h0 must have shape"):
        _native.linear_scan(a, b, h0[:1], torch.empty_like(a), False)
    with pytest.raises(TypeError):
        _native.linear_scan(a, b, h0, torch.empty(2, 4, 3, dtype=a.dtype).transpose(1, 2), False)
    with pytest.raises(TypeError):
        _native.linear_scan(a, b.float(), h0, torch.empty_like(a), False)
