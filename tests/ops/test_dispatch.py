"""Which code runs an operation, and what may be asked of it."""

from __future__ import annotations

import pytest
import torch

from recurra import ops
from recurra.ops import ragged
from recurra.ops.diagonal import cpu


def scan() -> torch.Tensor:
    return ops.linear_scan(torch.ones(1, 3, 1), torch.ones(1, 3, 1), torch.ones(1, 1))


def traced(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The paths that operation `name` takes from now on."""
    taken: list[str] = []
    paths = ops.TABLE[name]

    def spy(which: str, function):
        return lambda *each: (taken.append(which), function(*each))[1]

    spied = paths._replace(reference=spy("reference", paths.reference), fast=spy("fast", paths.fast))
    monkeypatch.setitem(ops.TABLE, name, spied)
    return taken


def test_the_reference_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = traced(monkeypatch, "linear_scan")
    monkeypatch.setenv("RECURRA_OPS", "reference")
    assert scan().flatten().tolist() == [2, 3, 4]
    assert taken == ["reference"]


@pytest.mark.skipif(not ops.native_available(), reason="the extension was not built")
def test_the_extension_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_OPS", raising=False)
    taken = traced(monkeypatch, "linear_scan")
    assert scan().flatten().tolist() == [2, 3, 4]
    assert taken == ["fast"]


def test_without_the_extension_the_reference_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_OPS", raising=False)
    monkeypatch.setattr(cpu, "_native", None)
    assert not ops.native_available()
    assert scan().flatten().tolist() == [2, 3, 4]
    with pytest.raises(RuntimeError, match="not built"):
        cpu.linear_scan(torch.ones(1, 3, 1), torch.ones(1, 3, 1), torch.ones(1, 1))


def test_asking_for_a_missing_extension_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_native", None)
    monkeypatch.setenv("RECURRA_OPS", "native")
    with pytest.raises(ValueError, match=r"reinstall recurra with a C\+\+ compiler"):
        scan()


def test_a_typo_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "refrence")
    with pytest.raises(ValueError, match="not 'refrence'"):
        scan()


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("dtype", "steps", "lengths", "path"),
    [
        (torch.float32, 3, None, "fast"),
        (torch.float64, 3, None, "fast"),
        (torch.float32, 3, [3, 1], "reference"),
        (torch.float32, 0, None, "reference"),
        (torch.bfloat16, 3, None, "reference"),
    ],
)
def test_where_torchs_kernels_are_taken(
    name: str,
    dtype: torch.dtype,
    steps: int,
    lengths: list[int] | None,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RECURRA_OPS", raising=False)
    taken = traced(monkeypatch, name)
    x, h, w = torch.randn(2, steps, 3, dtype=dtype), torch.zeros(2, 4, dtype=dtype), torch.zeros
    counted = None if lengths is None else torch.tensor(lengths)
    if name == "lstm":
        y = ops.lstm(x, h, h, w(16, 3, dtype=dtype), w(16, 4, dtype=dtype), w(16, dtype=dtype), counted)[0]
    else:
        biases = w(12, dtype=dtype), w(4, dtype=dtype)
        y = ops.gru(x, h, w(12, 3, dtype=dtype), w(12, 4, dtype=dtype), *biases, counted)[0]
    assert (y.shape, y.dtype) == ((2, steps, 4), dtype)
    assert taken == [path]


def test_a_ragged_flip_is_its_own_inverse() -> None:
    x, lengths = torch.randn(3, 5, 2), torch.tensor([5, 0, 3])
    flipped = ragged.reverse(x, lengths)
    assert torch.equal(flipped[2, :3], x[2, :3].flip(0))
    assert torch.equal(flipped[2, 3:], x[2, 3:])
    assert torch.equal(ragged.reverse(flipped, lengths), x)
    assert torch.equal(ragged.reverse(x, None), x.flip(1))
