"""The diagonal recurrence: the extension against the definition, derivatives of every kind, and misfits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scans import VARIANTS, assert_alike, in_layout, needs_extension, results, shapes, using
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from recurra import ops
from recurra.ops.diagonal import cpu, reference


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
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.usefixtures("poisoned_memory")
@given(st.data())
def test_the_extension_is_the_definition(variant: str, data: st.DataObject) -> None:
    rows, steps, units, lengths = data.draw(shapes())
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    layout = data.draw(st.sampled_from(["contiguous", "transposed", "strided"]))
    scale = data.draw(st.sampled_from([1e-30, 1.0, 1e30]))
    steady = data.draw(st.booleans(), label="a is the same at every step")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    a = 2 * torch.rand((units,) if steady else (rows, steps, units), dtype=dtype, generator=generator) - 1
    b = scale * torch.randn(rows, steps, units, dtype=dtype, generator=generator)
    h0 = scale * torch.randn(rows, units, dtype=dtype, generator=generator)
    arguments = [in_layout(layout, each) for each in (a, b, h0)]
    with using(variant):
        found = results(lambda *each: cpu.linear_scan(*each, lengths), arguments)
    wanted = results(lambda *each: reference.linear_scan(*each, lengths), arguments)
    assert_alike(found, wanted, {torch.float32: 2e-6, torch.float64: 1e-14}[dtype])
    with using(variant), torch.no_grad():
        assert torch.equal(cpu.linear_scan(*arguments, lengths), found[0])


@needs_extension
@pytest.mark.parametrize("variant", VARIANTS)
@given(st.data())
def test_nan_and_infinity_appear_where_the_definition_has_them(variant: str, data: st.DataObject) -> None:
    a, b, h0 = torch.rand(3, 6, 13), torch.randn(3, 6, 13), torch.randn(3, 13)
    lengths = data.draw(st.sampled_from([None, torch.tensor([6, 2, 0])]))
    for tensor in (a, b, h0):
        for place in data.draw(st.lists(st.integers(0, tensor.numel() - 1), max_size=3)):
            tensor.view(-1)[place] = data.draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))
    with using(variant):
        found = results(lambda *each: cpu.linear_scan(*each, lengths), (a, b, h0))
    assert_alike(found, results(lambda *each: reference.linear_scan(*each, lengths), (a, b, h0)), 2e-6)


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("lengths", [None, [300, 150, 7, 0, 299, 1, 33]])
@pytest.mark.parametrize("units", [200, 1030])
def test_threads_change_no_bit(lengths: list[int] | None, units: int) -> None:
    a, b, h0 = torch.rand(7, 300, units), torch.randn(7, 300, units), torch.randn(7, units)
    counted = None if lengths is None else torch.tensor(lengths)
    one = results(lambda *each: cpu.linear_scan(*each, counted), (a, b, h0))
    for threads in (2, 3, 7):
        torch.set_num_threads(threads)
        many = results(lambda *each: cpu.linear_scan(*each, counted), (a, b, h0))
        torch.set_num_threads(1)
        assert all(torch.equal(x, y) for x, y in zip(one, many, strict=True))
    assert_alike(one, results(lambda *each: reference.linear_scan(*each, counted), (a, b, h0)), 2e-6)


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_arrays_are_written_around_the_caches_alike(variant: str, dtype: torch.dtype) -> None:
    """17 MB an array."""
    shape = 32, 80, 1664 if dtype == torch.float32 else 832
    a, b = torch.rand(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    h0, lengths = torch.randn(32, shape[2], dtype=dtype), torch.arange(80, 48, -1)
    with using(variant):
        found = results(lambda *each: cpu.linear_scan(*each, lengths), (a, b, h0))
    wanted = results(lambda *each: reference.linear_scan(*each, lengths), (a, b, h0))
    assert_alike(found, wanted, 2e-6 if dtype == torch.float32 else 1e-14)


@needs_extension
def test_a_batch_of_gradients_at_once() -> None:
    arguments = inputs(2, 3, 2)

    def run(*each: Tensor) -> Tensor:
        return ops.linear_scan(*each)

    found = torch.autograd.functional.jacobian(run, arguments, vectorize=True)
    for one, two in zip(found, torch.autograd.functional.jacobian(run, arguments), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    halves = [each.detach().to(dtype) for each in inputs(2, 9, 5)]
    found = ops.linear_scan(*halves, torch.tensor([9, 4]))
    wanted = ops.linear_scan(*(each.float() for each in halves), torch.tensor([9, 4]))
    assert found.dtype == dtype
    assert torch.equal(found, wanted.to(dtype))


@needs_extension
def test_the_extension_differentiates_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "native")
    for steps in (0, 1, 3):
        assert gradcheck(ops.linear_scan, inputs(2, steps, 2))
        assert gradgradcheck(ops.linear_scan, inputs(2, steps, 2))
    lengths = torch.tensor([3, 0])
    a, b, h0 = inputs(2, 3, 2)
    steady = torch.rand(2, dtype=torch.float64, requires_grad=True)
    for decay in (a, steady):
        assert gradcheck(lambda *each: ops.linear_scan(*each, lengths), (decay, b, h0))
        assert gradgradcheck(lambda *each: ops.linear_scan(*each, lengths), (decay, b, h0))


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
def test_torch_accepts_the_operator() -> None:
    torch.library.opcheck(torch.ops.recurra.linear_scan.default, inputs(2, 3, 4))


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
