"""recurra.nn's layers beside torch.nn's with the same weights, and what is compared of the two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import recurra.nn

B, T, I, H = 4, 6, 3, 5  # noqa: E741 - the legend of the whole project
LENGTHS = torch.tensor([6, 2, 1, 5])  # torch packs no row without steps
KINDS = ("RNN", "GRU", "LSTM")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def pair(kind: str, inputs: int = I, units: int = H, **options: Any) -> tuple[nn.RNNBase, Any]:
    """torch.nn's layer and recurra's, with torch's weights."""
    theirs = getattr(nn, kind)(inputs, units, **options)
    ours = getattr(recurra.nn, kind)(inputs, units, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def random_state(layer: Any, rows: int | None = B, dtype: torch.dtype = torch.float32) -> Any:
    """A state that is not zero, of `rows` rows, or unbatched."""
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    lead = (count,) if rows is None else (count, rows)
    h = torch.randn(*lead, layer.proj_size or layer.hidden_size, dtype=dtype, requires_grad=True)
    if not isinstance(layer, nn.LSTM | recurra.nn.LSTM):
        return h
    return h, torch.randn(*lead, layer.hidden_size, dtype=dtype, requires_grad=True)


def tensors(result: Any) -> list[Tensor]:
    """All tensors of what a layer takes or gives, in order."""
    if isinstance(result, PackedSequence):
        return [result.data]
    if isinstance(result, Tensor):
        return [result]
    return [each for part in result for each in tensors(part)]


def everything(layer: Any, input: Any, hx: Any = None, run: Any = None, **call: Any) -> dict[str, Tensor]:
    """Outputs, last states, and the gradients of input, states and all parameters, of the layer or as `run` runs it."""
    found = tensors((layer if run is None else run)(input, hx, **call))
    leaves = {"x": tensors(input)[0]} | {
        f"hx{i}": each for i, each in enumerate(tensors(() if hx is None else hx))
    }
    leaves |= dict(layer.named_parameters())
    total = sum((each.sin() * (1 + number)).sum() for number, each in enumerate(found))
    assert isinstance(total, Tensor)
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return {f"output {i}": each for i, each in enumerate(found)} | {
        f"d{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)
    }


def assert_same(theirs: dict[str, Tensor], ours: dict[str, Tensor], dtype: torch.dtype) -> None:
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
