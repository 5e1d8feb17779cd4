"""Elman, LSTM and GRU through the extension: what needs the step before runs there, all else is torch's products.

The extension takes the steps one after another, each step's rows side by side, and of rows of different lengths only
those that still go on: N is B · T, or the sum of the lengths. Units are filled up with zeros to whole vectors.

Legend: B rows, T steps, I inputs, H units, P units filled up, G gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from recurra import native
from recurra.ops import ragged, workspace
from recurra.ops.dense import aten, reference
from recurra.ops.dense.packed import Order
from recurra.ops.dense.reference import GRUWeights, LSTMWeights, RNNWeights

__all__ = ["both", "fits_gru", "fits_lstm", "fits_rnn", "gru", "lstm", "rnn"]

TYPES = (
    torch.float32,
    torch.bfloat16,
    torch.float16,
)  # the halves are stored as such, and computed in float32
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Call(NamedTuple):
    """What a layer is, apart from its tensors."""

    cell: str
    relu: bool
    reverse: bool
    lengths: Tensor | None


class Inputs(NamedTuple):
    """A layer's tensors; c0 and bias_hn where the cell has them."""

    x: Tensor
    h0: Tensor
    c0: Tensor | None
    ih: Tensor
    hh: Tensor
    bias: Tensor | None
    bias_hn: Tensor | None


class Layer(NamedTuple):
    """A layer over a batch."""

    call: Call
    inputs: Inputs


def rnn(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.rnn`, for what `fits_rnn`."""
    return both("rnn", arguments)[0]


def gru(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.gru`, for what `fits_gru`."""
    return both("gru", arguments)[0]


def lstm(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.lstm`, for what `fits_lstm`."""
    return both("lstm", arguments)[0]


def both(cell: str, *layers: tuple[Any, ...]) -> list[tuple[Tensor, ...]]:
    """One layer, or two that do not see one another at once, over the same x and lengths, for what fits."""
    return _run([_layer(cell, *arguments) for arguments in layers])


def _layer(
    cell: str,
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: RNNWeights | GRUWeights | LSTMWeights,
    lengths: Tensor | None,
    reverse: bool,
    *options: Any,
) -> Layer:
    h0, c0 = (*states, None)[:2]
    bias_hn = weights.bias_hn if isinstance(weights, GRUWeights) else None
    relu = cell == "rnn" and options[0] == "relu"
    inputs = Inputs(x, h0, c0, weights.ih, weights.hh, weights.bias, bias_hn)  # type: ignore[arg-type]
    return Layer(Call(cell, relu, reverse, lengths), inputs)


def fits_rnn(x: Tensor, states: Any, weights: RNNWeights, *options: Any) -> bool:
    """Whether the extension knows it: no options, at least one row and step, float32 or what is computed in it."""
    return aten.plain_rnn(x, states, weights, *options) and _fits(x, states, weights, 1)


def fits_gru(
    x: Tensor, states: Any, weights: GRUWeights, lengths: Any, reverse: bool, reset_after: bool, *rest: Any
) -> bool:
    """As `fits_rnn`; the reset gate after the product."""
    plain = aten.plain_gru(x, states, weights, lengths, reverse, reset_after, *rest)
    return plain and reset_after and _fits(x, states, weights, 3)


def fits_lstm(x: Tensor, states: Any, weights: LSTMWeights, *options: Any) -> bool:
    """As `fits_rnn`, without a projection."""
    plain = weights.projection is None and aten.plain_lstm(x, states, weights, *options)
    return plain and _fits(x, states, weights, 4)


def _fits(x: Tensor, states: Any, weights: Any, gates: int) -> bool:
    """Whether all has the shape and type that the extension, which reads memory and would not notice, takes it for."""
    if x.dtype not in TYPES or x.dim() != 3 or not aten.something(x):
        return False
    units = weights.hh.shape[-1]
    shapes: list[tuple[Tensor, tuple[int, ...]]] = [(weights.ih, (gates * units, x.shape[2]))]
    shapes.append((weights.hh, (gates * units, units)))
    shapes += [(state, (x.shape[0], units)) for state in states]
    if weights.bias is not None:
        shapes.append((weights.bias, (gates * units,)))
    if gates == 3 and weights.bias_hn is not None:
        shapes.append((weights.bias_hn, (units,)))
    return all(each.shape == shape and each.dtype == x.dtype for each, shape in shapes)


def _run(layers: list[Layer]) -> list[tuple[Tensor, ...]]:
    dtype = layers[0].inputs.x.dtype
    if dtype != torch.float32:
        wide = [Layer(call, Inputs(*map(_widened, inputs))) for call, inputs in layers]  # type: ignore[arg-type]
        return [tuple(each.to(dtype) for each in results) for results in _run(wide)]
    tensors = [each for _, inputs in layers for each in inputs]
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in tensors):
        found = _Dense.apply([call for call, _ in layers], *tensors)  # type: ignore[no-untyped-call]
        return _parted(found, len(layers))
    return [run.results() for run in _forward(layers, keep=False)]


def _widened(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.float()


def _parted(flat: Sequence[Any], count: int) -> list[tuple[Any, ...]]:
    size = len(flat) // count
    return [tuple(flat[first : first + size]) for first in range(0, len(flat), size)]


class Run:
    """One layer's arrays, as native/kernels.hpp names them, and its results."""

    def __init__(self, call: Call, inputs: Inputs, order: Order, keep: bool) -> None:
        self.call, self.order, self.keep = call, order, keep
        self.width = inputs.hh.shape[1]
        vectors = 2 * native.extension().width()
        self.units = -(-self.width // vectors) * vectors
        self.h0 = self.filled(order.sorted(inputs.h0))
        self.c0 = None if inputs.c0 is None else self.filled(order.sorted(inputs.c0))
        self.hn: Tensor | None = torch.empty_like(self.h0)
        self.cn = None if self.c0 is None else self.c0.clone()
        self.gates: Any = workspace.take(order.total, GATES[call.cell] * self.units) if keep else None
        self.y: Any = torch.empty(order.total, self.units)
        self.kept: Any = workspace.take(order.total, self.units) if keep and call.cell != "rnn" else None

    def filled(self, x: Tensor) -> Tensor:
        """X (…, H) as (…, P)."""
        return x.contiguous() if self.units == self.width else pad(x, (0, self.units - self.width))

    def narrow(self, x: Tensor) -> Tensor:
        """X (…, P) as (…, H)."""
        return x if self.units == self.width else x[:, : self.width]

    def described(self, x: Tensor, inputs: Inputs, *gradients: Tensor | None) -> tuple[Any, Any]:
        """What the extension runs over x (N, I), backward with `gradients`, gy first; and what must outlive it."""
        weights = [
            None if each is None else each.contiguous()
            for each in (inputs.ih, inputs.hh, inputs.bias, inputs.bias_hn)
        ]
        states = self.h0, self.c0, self.gates, self.y, self.kept, self.hn, self.cn
        arrays = (x, *weights, *states, *gradients)
        call, order = self.call, self.order
        made = native.extension().Dense(
            call.cell,
            call.relu,
            call.reverse,
            self.keep,
            torch.get_num_threads(),
            order.rows,
            order.steps,
            x.shape[1],
            self.width,
            self.units,
            *order.addresses(),
            *[0 if each is None else each.data_ptr() for each in arrays],
        )
        room = workspace.take(made.room(bool(gradients)))
        made.use(room.data_ptr())
        return made, (arrays, room)

    def results(self) -> tuple[Tensor, ...]:
        """The outputs y (B, T, H) and each row's last h and c (B, H)."""
        states = [self.order.unsorted(self.narrow(each)) for each in (self.hn, self.cn) if each is not None]
        return self.order.leave(self.narrow(self.y)), *states


def _forward(layers: list[Layer], keep: bool) -> list[Run]:
    order = Order(layers[0].inputs.x, layers[0].call.lengths)
    x = order.enter(layers[0].inputs.x).contiguous()
    runs = [Run(call, inputs, order, keep) for call, inputs in layers]
    calls = [run.described(x, inputs) for run, (_, inputs) in zip(runs, layers, strict=True)]
    native.extension().dense_forward(*(made for made, _ in calls))
    return runs


class _Dense(torch.autograd.Function):
    """The extension's passes; where a second derivative is asked for, the reference is differentiated instead."""

    @staticmethod
    def forward(ctx, calls, *tensors):  # type: ignore[no-untyped-def]
        layers = [
            Layer(call, Inputs(*each)) for call, each in zip(calls, _parted(tensors, len(calls)), strict=True)
        ]
        runs = _forward(layers, keep=True)
        results = [run.results() for run in runs]
        # Arrays that torch saves are let go of with the graph, or once a backward pass is through.
        kept = [each for run in runs for each in (run.gates, run.y, run.kept)]
        ctx.save_for_backward(*tensors, *kept)
        for run in runs:
            run.gates = run.y = run.kept = None
            run.hn = run.cn = None  # they may be results, which hold this node: neither would ever go
        ctx.runs = runs
        return tuple(each for result in results for each in result)

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        count = len(ctx.runs)
        saved, runs = ctx.saved_tensors, [copy(run) for run in ctx.runs]
        layers = [
            Layer(run.call, Inputs(*each))
            for run, each in zip(runs, _parted(saved[: -3 * count], count), strict=True)
        ]
        for run, kept in zip(runs, _parted(saved[-3 * count :], count), strict=True):
            run.gates, run.y, run.kept = kept
        each_grads = _parted(grads, count)
        if torch.is_grad_enabled():
            found = [_differentiate(*layer, each) for layer, each in zip(layers, each_grads, strict=True)]
        else:
            needed = _parted(ctx.needs_input_grad[1:], count)
            found = _backward(runs, layers, each_grads, needed)
        return None, *(each for gradients in found for each in gradients)


def _backward(runs: list[Run], layers: list[Layer], grads: Any, needed: Any) -> list[list[Tensor | None]]:
    x = runs[0].order.enter(layers[0].inputs.x).contiguous()
    backs = [
        Back(run, layer.inputs, Inputs(*need), *each)
        for run, layer, need, each in zip(runs, layers, needed, grads, strict=True)
    ]
    calls = [back.described(x) for back in backs]
    native.extension().dense_backward(*(made for made, _ in calls))
    return [back.results() for back in backs]


class Back:
    """The backward pass of a run, and the gradients of the layer's tensors."""

    def __init__(self, run: Run, inputs: Inputs, need: Inputs, gy: Tensor, *last: Tensor) -> None:
        self.run, self.inputs, self.need, order = run, inputs, need, run.order
        self.gy = run.filled(order.enter(gy))
        # The extension turns the gradients of the last states into those of the first.
        states = [run.filled(order.sorted(each)).clone() for each in last]
        self.dh, self.dc = (*states, None)[:2]
        self.dx = torch.empty(order.total, inputs.x.shape[2]) if need.x else None
        self.weights = [
            torch.empty(each.shape) if each is not None and needed else None
            for each, needed in zip(inputs[3:], need[3:], strict=True)
        ]

    def described(self, x: Tensor) -> tuple[Any, Any]:
        """What the extension runs, and what must outlive it."""
        return self.run.described(x, self.inputs, self.gy, self.dh, self.dc, self.dx, *self.weights)

    def results(self) -> list[Tensor | None]:
        """The gradients of the layer's tensors, None where none is needed."""
        run, order, need = self.run, self.run.order, self.need
        return [
            None if self.dx is None else order.leave(self.dx),
            order.unsorted(run.narrow(self.dh)) if need.h0 and self.dh is not None else None,
            order.unsorted(run.narrow(self.dc)) if need.c0 and self.dc is not None else None,
            *self.weights,
        ]


def _differentiate(call: Call, inputs: Inputs, grads: Any) -> list[Tensor | None]:
    x, h0, c0, ih, hh, bias, bias_hn = inputs
    mask = None if call.lengths is None else ragged.valid(call.lengths, x.shape[1])
    x = ragged.reverse(x, call.lengths) if call.reverse else x
    outputs: tuple[Tensor, ...]
    if call.cell == "rnn":
        outputs = reference.rnn(x, h0, RNNWeights(ih, hh, bias), mask, "relu" if call.relu else "tanh")
    elif call.cell == "gru":
        outputs = reference.gru(x, h0, GRUWeights(ih, hh, bias, bias_hn), mask)
    else:
        assert c0 is not None
        outputs = reference.lstm(x, h0, c0, LSTMWeights(ih, hh, bias), mask)
    y = ragged.reverse(outputs[0], call.lengths) if call.reverse else outputs[0]
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    found = iter(torch.autograd.grad((y, *outputs[1:]), wanted, grads, create_graph=True, allow_unused=True))
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]
