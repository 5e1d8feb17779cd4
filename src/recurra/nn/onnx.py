"""ONNX files: layers as the standard's RNN, GRU and LSTM nodes, any cell as its step.

A file is kept only when ONNX Runtime has given torch's numbers with it, for the sizes given and for others.
"""

from __future__ import annotations

import inspect
import os
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra import state
from recurra.cell import Cell
from recurra.nn.base import Layers

try:
    import onnxruntime  # type: ignore[import-untyped]
    import onnxscript
except ImportError as error:
    raise ImportError(
        "ONNX files need onnx, onnxruntime and onnxscript: pip install 'recurra[onnx]'"
    ) from error

__all__ = ["export", "export_step"]

# Tensors and lists of numbers go in, as torch.onnx hands them over, which its types do not say.
op: Any = onnxscript.opset18


def export(
    module: nn.Module,
    args: tuple[Any, ...],
    file: str | os.PathLike[str],
    *,
    inputs: Mapping[str, Sequence[str | None]],
    outputs: Sequence[str],
    kwargs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
) -> None:
    """Write a module in evaluation mode, recurra's layers in it as nodes of the standard, and prove the file.

    `args` and `kwargs` are tensors, or tuples of tensors, as `module` takes them. `inputs` names each of them in turn,
    and their axes that may change: {"x": ("batch", "time"), "lengths": ("batch",)}; without a name, or with None, a
    size stays. `outputs` names what comes out. ONNX Runtime's numbers may differ from torch's by no more than
    `tolerance` · (1 + |number|): for what was given, for more of every named axis, and for 1 of the first.

    Raises ValueError where the standard has no node, where names and tensors do not fit together, and where numbers
    differ; nothing is written then.
    """
    kwargs = dict(kwargs or {})
    given = (*args, *kwargs.values())
    sizes = _sizes(module, given, inputs)
    content = _translate(module, args, kwargs, inputs, outputs)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    first = next(iter(sizes), None)
    more = {name: size + 1 + number for number, (name, size) in enumerate(sizes.items())}
    for trial in (sizes, more, {name: 1 if name == first else size for name, size in sizes.items()}):
        resized = _each(partial(_resize, trial), given, inputs)
        called = resized[: len(args)], dict(zip(kwargs, resized[len(args) :], strict=True))
        with torch.no_grad():
            expected = state.flatten(module(*called[0], **called[1])).values()
        fed = {name: leaf.numpy() for name, leaf in zip(inputs, state.flatten(resized).values(), strict=True)}
        _compare(outputs, session.run(None, fed), [each.numpy() for each in expected], tolerance, trial)
    _write(Path(file), content)


def export_step(cell: Cell, file: str | os.PathLike[str], *, tolerance: float = 1e-4) -> None:
    """Write one step of a cell or a block, and prove the file as `export` does; the number of rows may change.

    Inputs are `x` (B, I) and the state's tensors by the names that `recurra.state.flatten` gives them; outputs are `y`
    (B, O) and the state after, `next_` before each name. Raises ValueError as `export` does.
    """
    generator = torch.Generator().manual_seed(0)
    like = next((p for p in cell.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.randn(4, 3, cell.input_size, generator=generator).to(like.dtype)
    before = cell.initial_state(3)
    with torch.no_grad():
        for earlier in x[1:]:  # a state that is not the first one
            _, before = cell.step(earlier, before)
    tensors = state.flatten(before)
    export(
        _Step(cell, before).train(cell.training),
        (x[0], *tensors.values()),
        file,
        inputs=dict.fromkeys(("x", *tensors), ("batch",)),
        outputs=["y", *(f"next_{name}" for name in tensors)],
        tolerance=tolerance,
    )


class _Step(nn.Module):
    """A cell's step as a function of tensors only."""

    def __init__(self, cell: Cell, like: Any) -> None:
        super().__init__()
        self.cell, self.like = cell, like

    def forward(self, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = iter(tensors)
        y, after = self.cell.step(x, state.transform(lambda _: next(given), self.like))
        return y, *state.flatten(after).values()


def _sizes(module: nn.Module, given: Any, inputs: Mapping[str, Sequence[str | None]]) -> dict[str, int]:
    """The named axes and their sizes; ValueError for what cannot be exported."""
    if any(each.training for each in module.modules()):
        raise ValueError("a module is exported in evaluation mode: call its .eval() first")
    for name, each in module.named_modules():
        if isinstance(each, Layers) and each.proj_size:
            where = f" in {name}" if name else ""
            raise ValueError(
                f"the standard's LSTM has no projection, so proj_size={each.proj_size}{where} has no node"
            )
    leaves = list(state.flatten(given).values())
    if len(leaves) != len(inputs):
        raise ValueError(
            f"{len(leaves)} tensors are given, but inputs has {len(inputs)} names: {', '.join(inputs)}"
        )
    sizes: dict[str, int] = {}
    for (name, axes), leaf in zip(inputs.items(), leaves, strict=True):
        if len(axes) > leaf.dim():
            raise ValueError(
                f"{name} has {leaf.dim()} axes, {tuple(leaf.shape)}, but {len(axes)} names: {axes}"
            )
        for axis, size in zip(axes, leaf.shape, strict=False):
            if axis is not None and sizes.setdefault(axis, size) != size:
                raise ValueError(f"{axis} is {sizes[axis]} in one input and {size} in {name}")
            if axis is not None and size < 2:
                raise ValueError(
                    f"{axis} is {size} in {name}: give 2 or more, or torch takes the size for a fixed one"
                )
    return sizes


def _each(
    function: Callable[[Tensor, Any], Any], given: Any, inputs: Mapping[str, Sequence[str | None]]
) -> Any:
    """What `function` makes of each tensor and the names of its axes, built as `given`."""
    axes = iter(inputs.values())
    return state.transform(lambda leaf: function(leaf, next(axes)), given)


def _resize(sizes: Mapping[str, int], leaf: Tensor, axes: Sequence[str | None]) -> Tensor:
    """The tensor with its named axes of these sizes: what is there, over and over."""
    for axis, name in enumerate(axes):
        if name is not None:
            leaf = leaf.index_select(axis, torch.arange(sizes[name]) % leaf.shape[axis])
    return leaf


def _translate(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    inputs: Mapping[str, Sequence[str | None]],
    outputs: Sequence[str],
) -> bytes:
    """The file's content."""
    marked = _each(
        lambda _, axes: {axis: name for axis, name in enumerate(axes) if name is not None},
        (*args, *kwargs.values()),
        inputs,
    )
    named = dict(zip(kwargs, marked[len(args) :], strict=True))
    with warnings.catch_warnings():
        # torch's own code calls what torch has deprecated, and says that two axes of one name are one.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*shares the same shape constraints", category=UserWarning)
        program = torch.onnx.export(
            module,
            args,
            kwargs=kwargs,
            dynamic_shapes=inspect.signature(module.forward).bind(*marked[: len(args)], **named).arguments,
            input_names=list(inputs),
            output_names=list(outputs),
            custom_translation_table=NODES,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _compare(
    names: Sequence[str],
    found: Sequence[Any],
    expected: Sequence[Any],
    tolerance: float,
    sizes: Mapping[str, int],
) -> None:
    told = ", ".join(f"{name} {size}" for name, size in sizes.items())
    if len(found) != len(names) or len(expected) != len(names):
        raise ValueError(f"the module gives {len(expected)} tensors, but outputs has {len(names)} names")
    for name, one, two in zip(names, found, expected, strict=True):
        if one.shape != two.shape:
            raise ValueError(f"ONNX Runtime gives {name} the shape {one.shape}, torch {two.shape}, at {told}")
        if not np.allclose(one, two, rtol=tolerance, atol=tolerance, equal_nan=True):
            apart = np.abs(one.astype(np.float64) - two).max()
            raise ValueError(f"ONNX Runtime's {name} differs from torch's by up to {apart:.3g}, at {told}")


def _write(path: Path, content: bytes) -> None:
    """The whole file or nothing."""
    temporary = path.with_name(f".{secrets.token_hex(6)}.{path.name}")
    try:
        with temporary.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _rnn(
    x: Any, h0: Any, ih: Any, hh: Any, bias: Any, lengths: Any, reverse: bool, nonlinearity: str
) -> tuple[Any, Any]:
    y, h = op.RNN(
        *_inputs(x, h0, ih, hh, bias, None, lengths, [0]),
        activations=[nonlinearity.title()],
        **_attributes(h0, reverse),
    )
    return _time_second(y), _last(h, h0, lengths)


def _gru(
    x: Any,
    h0: Any,
    ih: Any,
    hh: Any,
    bias: Any,
    bias_hn: Any,
    lengths: Any,
    reverse: bool,
    reset_after: bool,
) -> tuple[Any, Any]:
    inner = None
    if bias_hn is not None:
        zeros = op.Mul(bias_hn, 0.0)
        inner = op.Concat(zeros, zeros, bias_hn, axis=0)
    y, h = op.GRU(
        *_inputs(x, h0, ih, hh, bias, inner, lengths, [1, 0, 2]),  # r, z, n to z, r, n
        linear_before_reset=int(reset_after),
        **_attributes(h0, reverse),
    )
    return _time_second(y), _last(h, h0, lengths)


def _lstm(
    x: Any,
    h0: Any,
    c0: Any,
    ih: Any,
    hh: Any,
    bias: Any,
    projection: Any,
    lengths: Any,
    reverse: bool,
) -> tuple[Any, Any, Any]:
    if projection is not None:
        raise ValueError("the standard's LSTM has no projection")
    y, h, c = op.LSTM(
        *_inputs(x, h0, ih, hh, bias, None, lengths, [0, 3, 1, 2]),  # i, f, g, o to i, o, f, g
        op.Unsqueeze(c0, [0]),
        **_attributes(h0, reverse),
    )
    return _time_second(y), _last(h, h0, lengths), _last(c, c0, lengths)


# What stands in the file for recurra's operators (`recurra.ops.dense.opaque`).
NODES: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.recurra.rnn.default: _rnn,
    torch.ops.recurra.gru.default: _gru,
    torch.ops.recurra.lstm.default: _lstm,
}


def _inputs(
    x: Any, h0: Any, ih: Any, hh: Any, bias: Any, inner: Any, lengths: Any, order: list[int]
) -> tuple[Any, ...]:
    """X, W, R, B, sequence_lens, initial_h of a node with one direction, from x (B, T, I), its gates in that order."""
    units = int(h0.shape[1])

    def gates(weight: Any, *shape: int) -> Any:
        blocks = op.Reshape(weight, [len(order), units, -1])
        return op.Reshape(op.Gather(blocks, order, axis=0), [1, *shape])

    biases = None
    if bias is not None or inner is not None:
        zeros = op.Mul(bias if inner is None else inner, 0.0)
        both = (zeros if bias is None else bias), (zeros if inner is None else inner)
        biases = op.Concat(*(gates(each, -1) for each in both), axis=1)
    size = len(order) * units
    counted = None if lengths is None else op.Cast(lengths, to=6)  # int32
    return (
        op.Transpose(x, perm=[1, 0, 2]),
        gates(ih, size, -1),
        gates(hh, size, -1),
        biases,
        counted,
        op.Unsqueeze(h0, [0]),
    )


def _attributes(h0: Any, reverse: bool) -> dict[str, Any]:
    return {"hidden_size": int(h0.shape[1]), "direction": "reverse" if reverse else "forward"}


def _last(h: Any, h0: Any, lengths: Any) -> Any:
    """(1, B, H) as (B, H)."""
    h = op.Squeeze(h, [0])
    # ONNX Runtime gives zeros for a row without steps.
    return h if lengths is None else op.Where(op.Unsqueeze(op.Equal(lengths, 0), [1]), h0, h)


def _time_second(y: Any) -> Any:
    """(T, 1, B, H) as (B, T, H)."""
    return op.Transpose(op.Squeeze(y, [1]), perm=[1, 0, 2])
