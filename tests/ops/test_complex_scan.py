"""The diagonal recurrence of complex numbers: against NumPy's, derivatives of every kind, ragged rows, misfits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from recurra import ops


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


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_derivatives_agree_with_finite_differences(steps: int) -> None:
    lengths = torch.tensor([steps, 0])
    assert gradcheck(ops.complex_scan, inputs(2, steps, 2))
    assert gradgradcheck(ops.complex_scan, inputs(2, steps, 2))
    assert gradcheck(lambda *each: ops.complex_scan(*each, lengths), inputs(2, steps, 2))


# torch itself uses torch.jit.script when forward mode first runs.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_forward_mode_is_not_silently_zero() -> None:
    assert gradcheck(ops.complex_scan, inputs(2, 3, 2), check_forward_ad=True)


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
