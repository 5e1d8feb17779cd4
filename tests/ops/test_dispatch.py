"""Which code runs an operation, and what may be asked of it."""

from __future__ import annotations

import pytest
import torch

from recurra import native, ops
from recurra.ops import ragged
from recurra.ops.diagonal import cpu


def scan() -> torch.Tensor:
    return ops.linear_scan(torch.ones(1, 3, 1), torch.ones(1, 3, 1), torch.ones(1, 1))


def traced(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The paths that operation `name` takes from now on."""
    taken: list[str] = []

    def spied(path: ops.Path) -> ops.Path:
        return path._replace(run=lambda *each: (taken.append(path.kind), path.run(*each))[1])

    monkeypatch.setitem(ops.TABLE, name, [spied(path) for path in ops.TABLE[name]])
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
    assert taken == ["native"]


def test_without_the_extension_the_reference_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_OPS", raising=False)
    monkeypatch.setattr(native, "_extension", None)
    monkeypatch.setattr(native, "_said", False)
    assert not ops.native_available()
    with pytest.warns(RuntimeWarning, match="RECURRA_OPS=torch") as said:
        assert scan().flatten().tolist() == scan().flatten().tolist() == [2, 3, 4]
    assert len(said) == 1
    with pytest.raises(RuntimeError, match="not built"):
        cpu.linear_scan(torch.ones(1, 3, 1), torch.ones(1, 3, 1), torch.ones(1, 1))


@pytest.mark.parametrize("forced", ["reference", "torch"])
def test_who_asks_for_less_is_not_told_that_the_extension_is_missing(
    forced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_extension", None)
    monkeypatch.setattr(native, "_said", False)
    monkeypatch.setenv("RECURRA_OPS", forced)
    assert scan().flatten().tolist() == [2, 3, 4]  # a warning would be an error


def test_asking_for_a_missing_extension_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_extension", None)
    monkeypatch.setenv("RECURRA_OPS", "native")
    with pytest.raises(ValueError, match=r"reinstall recurra with a C\+\+ compiler"):
        scan()


def test_a_typo_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "refrence")
    with pytest.raises(ValueError, match="not 'refrence'"):
        scan()


@pytest.mark.skipif(not ops.native_available(), reason="the extension was not built")
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    ("dtype", "steps", "lengths", "forced", "path"),
    [
        (torch.float32, 3, None, "", "native"),
        (torch.float32, 3, None, "torch", "torch"),
        (torch.float32, 3, None, "reference", "reference"),
        (torch.float64, 3, None, "", "torch"),
        (torch.float64, 3, None, "native", "torch"),
        (torch.float32, 3, [3, 1], "", "native"),
        (torch.float32, 3, [3, 1], "torch", "torch"),
        (torch.float32, 0, None, "", "reference"),
        (torch.bfloat16, 3, None, "", "native"),
        (torch.bfloat16, 3, None, "torch", "reference"),
    ],
)
def test_which_code_runs_a_layer(
    name: str,
    dtype: torch.dtype,
    steps: int,
    lengths: list[int] | None,
    forced: str,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECURRA_OPS", forced)
    taken = traced(monkeypatch, name)
    y = dense(name, torch.randn(2, steps, 3, dtype=dtype), None if lengths is None else torch.tensor(lengths))
    assert (y.shape, y.dtype) == ((2, steps, 4), dtype)
    assert taken == [path]


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_torch_func_takes_the_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECURRA_OPS", raising=False)
    taken = traced(monkeypatch, name)
    torch.func.grad(lambda x: dense(name, x).sum())(torch.randn(2, 3, 3))
    torch.func.vmap(lambda x: dense(name, x))(torch.randn(5, 2, 3, 3))
    assert taken == ["reference", "reference"]


def dense(name: str, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """The outputs of a network of 4 units over x (B, T, 3)."""
    h = torch.zeros(len(x), 4, dtype=x.dtype)
    blocks = {"rnn": 1, "lstm": 4, "gru": 3}[name]
    matrices = torch.ones(blocks * 4, 3, dtype=x.dtype), torch.ones(blocks * 4, 4, dtype=x.dtype)
    if name == "lstm":
        return ops.lstm(x, h, h, ops.LSTMWeights(*matrices), lengths)[0]
    if name == "gru":
        return ops.gru(x, h, ops.GRUWeights(*matrices), lengths)[0]
    return ops.rnn(x, h, ops.RNNWeights(*matrices), lengths)[0]


def test_a_ragged_flip_is_its_own_inverse() -> None:
    x, lengths = torch.randn(3, 5, 2), torch.tensor([5, 0, 3])
    flipped = ragged.reverse(x, lengths)
    assert torch.equal(flipped[2, :3], x[2, :3].flip(0))
    assert torch.equal(flipped[2, 3:], x[2, 3:])
    assert torch.equal(ragged.reverse(flipped, lengths), x)
    assert torch.equal(ragged.reverse(x, None), x.flip(1))
