"""What the tests of the diagonal family share: the variants of the extension, drawn shapes, values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from recurra import native

needs_extension = pytest.mark.skipif(not native.available(), reason="the extension was not built")
VARIANTS: list[str] = native.extension().variants() if native.available() else []


@contextmanager
def using(variant: str) -> Iterator[None]:
    """Let the extension run that variant."""
    extension = native.extension()
    before = extension.variant()
    extension.use(variant)
    try:
        yield
    finally:
        extension.use(before)


class Shape(NamedTuple):
    rows: int
    steps: int
    units: int
    lengths: Tensor | None


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Small ones and those about a multiple of a vector, whole or ragged, with nothing in them now and then."""
    rows, steps = draw(st.integers(0, 9)), draw(st.integers(0, 12))
    units = draw(st.integers(0, 20) | st.sampled_from([31, 32, 33, 63, 65, 127, 128, 129, 140, 1025]))
    each = st.lists(st.integers(0, steps), min_size=rows, max_size=rows)
    lengths = draw(st.none() | each.map(lambda found: torch.tensor(found, dtype=torch.int64)))
    return Shape(rows, steps, units, lengths)


def in_layout(layout: str, x: Tensor) -> Tensor:
    """The same values, lying otherwise in memory."""
    if layout == "transposed" and x.dim() > 1:
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided":
        wide = torch.full((*x.shape[:-1], 2 * x.shape[-1] + 1), torch.nan, dtype=x.dtype)
        wide[..., 1::2] = x
        return wide[..., 1::2]
    return x


def results(run: Callable[..., Any], arguments: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of `run` and the gradients of their sum, weighed at random, but alike for outputs of one shape."""
    leaves = [each.detach().requires_grad_() for each in arguments]
    found = run(*leaves)
    outputs = [found] if isinstance(found, Tensor) else list(found)
    weights = [
        torch.randn(each.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(
            each.dtype
        )
        for each in outputs
    ]
    return [*outputs, *torch.autograd.grad(outputs, leaves, weights, materialize_grads=True)]


def assert_alike(
    found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float, floor: float = 0.0
) -> None:
    """Each tensor within `tolerance` of its largest finite number, or of `floor`; NaN, infinity at the same places."""
    for one, two in zip(found, wanted, strict=True):
        finite = two[two.isfinite()].abs()
        largest = finite.max().item() if finite.numel() else 0.0
        torch.testing.assert_close(
            one.double(), two.double(), rtol=0.0, atol=tolerance * max(largest, floor), equal_nan=True
        )
