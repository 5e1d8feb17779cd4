"""The diagonal recurrence of complex numbers: against NumPy's, derivatives of every kind, ragged rows, misfits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scans import VARIANTS, assert_alike, in_layout, needs_extension, results, shapes, using
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from recurra import ops
from recurra.ops.diagonal import cpu, reference


def inputs(rows: int, steps: int, units: int) -> tuple[Tensor, Tensor, Tensor]:
    shapes = (rows, steps, units, 2), (rows, steps, units, 2), (rows, units, 2)
    a, b, h0 = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    return a, b, h0


def as_complex(pairs: Tensor) -> np.ndarray:
    return torch.view_as_complex(pairs.detach()).numpy()


@pytest.mark.parametrize("lengths", [None, (5, 2, 0)])
def test_the_definition(lengths: tuple[int, ...] | None) -> None:
    a, b, h0 = inputs(3, 5, 4)
    found = as_complex(ops.complex_scan(a, b, h0, None if lengths is None else torch.tensor(lengths)))
    for row in range(3):
        h = as_complex(h0)[row]
        for t in range(5):
            if lengths is None or t < lengths[row]:
                h = as_complex(a)[row, t] * h + as_complex(b)[row, t]
            np.testing.assert_allclose(found[row, t], h, rtol=1e-13, atol=1e-14)


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
    shape = (units, 2) if steady else (rows, steps, units, 2)
    a = 1.4 * torch.rand(shape, dtype=dtype, generator=generator) - 0.7
    b = scale * torch.randn(rows, steps, units, 2, dtype=dtype, generator=generator)
    h0 = scale * torch.randn(rows, units, 2, dtype=dtype, generator=generator)
    arguments = [in_layout(layout, each) for each in (a, b, h0)]
    with using(variant):
        found = results(lambda *each: cpu.complex_scan(*each, lengths), arguments)
    wanted = results(lambda *each: reference.complex_scan(*each, lengths), arguments)
    assert_alike(found, wanted, {torch.float32: 2e-6, torch.float64: 1e-14}[dtype])


@needs_extension
@pytest.mark.usefixtures("poisoned_memory")
def test_threads_change_no_bit() -> None:
    a, b, h0 = torch.rand(3, 200, 99, 2) - 0.5, torch.randn(3, 200, 99, 2), torch.randn(3, 99, 2)
    one = results(cpu.complex_scan, (a, b, h0))
    torch.set_num_threads(2)
    two = results(cpu.complex_scan, (a, b, h0))
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_derivatives_agree_with_finite_differences(steps: int) -> None:
    lengths = torch.tensor([steps, 0])
    a, b, h0 = inputs(2, steps, 2)
    steady = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    for decay in (a, steady):
        for counted in (None, lengths):
            assert gradcheck(lambda *each, n=counted: ops.complex_scan(*each, n), (decay, b, h0))
            assert gradgradcheck(lambda *each, n=counted: ops.complex_scan(*each, n), (decay, b, h0))


# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_is_not_silently_zero() -> None:
    assert gradcheck(ops.complex_scan, inputs(2, 3, 2), check_forward_ad=True)


@needs_extension
def test_torch_accepts_the_operator() -> None:
    torch.library.opcheck(torch.ops.recurra.complex_scan.default, inputs(2, 3, 4))


@needs_extension
def test_the_operator_is_in_the_exported_graph() -> None:
    class Scan(torch.nn.Module):
        def forward(self, a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
            return ops.complex_scan(a, b, h0)

    arguments = tuple(tensor.detach() for tensor in inputs(2, 3, 4))
    steps = torch.export.Dim("steps", min=2)
    exported = torch.export.export(Scan(), arguments, dynamic_shapes=({1: steps}, {1: steps}, None))
    assert "recurra.complex_scan" in exported.graph_module.code
    longer = tuple(tensor.detach() for tensor in inputs(2, 7, 4))
    torch.testing.assert_close(exported.module()(*longer), reference.complex_scan(*longer))


def test_what_stands_past_a_rows_length_never_matters() -> None:
    a, b, h0 = (each.detach() for each in inputs(2, 4, 3))
    lengths = torch.tensor([4, 1])
    wanted = ops.complex_scan(a, b, h0, lengths)
    a[1, 1:], b[1, 2:] = torch.nan, torch.inf
    assert torch.equal(ops.complex_scan(a, b, h0, lengths), wanted)


def test_nan_stays_in_its_own_unit() -> None:
    a, b, h0 = (each.detach() for each in inputs(2, 4, 3))
    b[0, 1, 2, 0] = torch.nan
    h = ops.complex_scan(a, b, h0)
    assert h[0, 2:, 2].isnan().all()
    assert h.isnan().any(-1).sum() == 3


def test_misfits_are_told() -> None:
    a, b, h0 = inputs(2, 3, 4)
    with pytest.raises(ValueError, match=r"h0 \(B, D, 2\), not \(2, 3, 4, 2\), \(2, 3, 4, 2\) and \(4, 2\)"):
        ops.complex_scan(a, b, h0[0])
    with pytest.raises(ValueError, match="a and b"):
        ops.complex_scan(a[..., 0], b[..., 0], h0[..., 0])
    with pytest.raises(ValueError, match="a and b"):
        ops.complex_scan(a, b[:, :2], h0)
    with pytest.raises(ValueError, match="lengths"):
        ops.complex_scan(a, b, h0, torch.tensor([4, 0]))
