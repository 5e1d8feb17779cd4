"""Rows of a batch never touch in recurra.nn's layers: not in values, not through NaN, not through the padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peers import KINDS, B, H, I, T, everything, random_state, tensors
from torch import Tensor

import recurra.nn
from recurra.ops import ragged

LENGTHS = torch.tensor([T, 2, 0, 5])
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}
OPTIONS: list[dict[str, Any]] = [{}, {"num_layers": 2, "bidirectional": True}, {"layer_norm": True}]

pytestmark = pytest.mark.usefixtures("poisoned_memory")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_option = pytest.mark.parametrize("options", OPTIONS, ids=["one", "four", "normed"])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def made(kind: str, options: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    return getattr(recurra.nn, kind)(I, H, batch_first=True, dtype=dtype, **options)


def row_of(hx: Any, row: int) -> Any:
    parts = tuple(each[:, row : row + 1] for each in tensors(hx))
    return parts if len(parts) == 2 else parts[0]


@every_kind
@every_option
@every_dtype
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_a_row_alone_is_the_row_in_a_batch(
    kind: str, options: dict[str, Any], dtype: torch.dtype, lengths: Tensor | None
) -> None:
    layer = made(kind, options, dtype)
    x, hx = torch.randn(B, T, I, dtype=dtype), random_state(layer, dtype=dtype)
    y, last = layer(x, hx, lengths=lengths)
    for row in range(B):
        steps = T if lengths is None else int(lengths[row])
        alone, end = layer(x[row : row + 1, :steps], row_of(hx, row))
        close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
        torch.testing.assert_close(y[row : row + 1, :steps], alone, **close)
        torch.testing.assert_close(tensors(row_of(last, row)), tensors(end), **close)
        assert (y[row, steps:] == 0).all()


@every_kind
@every_option
@every_dtype
@pytest.mark.parametrize("padding", [float("nan"), float("inf"), 1e30])
def test_what_stands_in_the_padding_leaves_no_trace(
    kind: str, options: dict[str, Any], dtype: torch.dtype, padding: float
) -> None:
    layer = made(kind, options, dtype)
    hx, x = random_state(layer, dtype=dtype), torch.randn(B, T, I, dtype=dtype)
    clean = ragged.fill(x, LENGTHS).requires_grad_()
    dirty = ragged.fill(x, LENGTHS, padding).requires_grad_()
    expected = everything(layer, clean, hx, lengths=LENGTHS)
    assert all(each.isfinite().all() for each in expected.values())
    for name, found in everything(layer, dirty, hx, lengths=LENGTHS).items():
        assert torch.equal(found, expected[name]), name


@every_kind
@every_option
@every_dtype
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
def test_a_row_of_nan_leaves_the_others_alone(
    kind: str, options: dict[str, Any], dtype: torch.dtype, lengths: Tensor | None
) -> None:
    layer = made(kind, options, dtype)
    hx = random_state(layer, dtype=dtype)

    def others(x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        y, last = layer(x, hx, lengths=lengths)
        (gradient,) = torch.autograd.grad(y[1:].sum(), x)
        return [y[1:], gradient[1:], *(each[:, 1:] for each in tensors(last))]

    x = torch.randn(B, T, I, dtype=dtype)
    poisoned = x.clone()
    poisoned[0] = float("nan")
    assert layer(poisoned, hx)[0][0].isnan().any()
    for found, wanted in zip(others(poisoned), others(x), strict=True):
        assert torch.equal(found, wanted)


@every_kind
@every_option
def test_a_split_sequence_is_the_whole(kind: str, options: dict[str, Any]) -> None:
    layer = made(kind, {**options, "bidirectional": False})
    x, hx = torch.randn(B, T, I), random_state(layer)
    y, last = layer(x, hx)
    for cut in range(T + 1):
        one, middle = layer(x[:, :cut], hx)
        two, end = layer(x[:, cut:], middle)
        torch.testing.assert_close(torch.cat([one, two], 1), y, rtol=2e-6, atol=2e-6)
        torch.testing.assert_close(tensors(end), tensors(last), rtol=2e-6, atol=2e-6)
