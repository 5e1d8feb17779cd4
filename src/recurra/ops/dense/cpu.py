"""Elman, LSTM and GRU through the extension: what needs the step before runs there, all else is torch's products.

The extension takes the steps one after another, each step's rows side by side, and of rows of different lengths only
those that still go on: N is B · T, or the sum of the lengths. Units are filled up with zeros to whole vectors.

Legend: B rows, T steps, I inputs, H units, P units filled up, G gates.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from recurra.ops import native, ragged, workspace
from recurra.ops.dense import aten, reference
from recurra.ops.dense.reference import GRUWeights, LSTMWeights, RNNWeights

__all__ = ["fits_gru", "fits_lstm", "fits_rnn", "gru", "lstm", "rnn"]

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


def rnn(
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: RNNWeights,
    lengths: Tensor | None,
    reverse: bool,
    nonlinearity: str,
    *_: Any,
) -> tuple[Tensor, ...]:
    """As `recurra.ops.rnn`, for what `fits_rnn`."""
    call = Call("rnn", nonlinearity == "relu", reverse, lengths)
    return _run(call, Inputs(x, states[0], None, weights.ih, weights.hh, weights.bias, None))


def gru(
    x: Tensor, states: tuple[Tensor, ...], weights: GRUWeights, lengths: Tensor | None, reverse: bool, *_: Any
) -> tuple[Tensor, ...]:
    """As `recurra.ops.gru`, for what `fits_gru`."""
    call = Call("gru", False, reverse, lengths)
    return _run(call, Inputs(x, states[0], None, weights.ih, weights.hh, weights.bias, weights.bias_hn))


def lstm(
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: LSTMWeights,
    lengths: Tensor | None,
    reverse: bool,
    *_: Any,
) -> tuple[Tensor, ...]:
    """As `recurra.ops.lstm`, for what `fits_lstm`."""
    call = Call("lstm", False, reverse, lengths)
    h0, c0 = states
    return _run(call, Inputs(x, h0, c0, weights.ih, weights.hh, weights.bias, None))


def fits_rnn(x: Tensor, *arguments: Any) -> bool:
    """Whether the extension knows it: no options, at least one row and step, float32 or what is computed in it."""
    return x.dtype in TYPES and aten.plain_rnn(x, *arguments)


def fits_gru(x: Tensor, *arguments: Any) -> bool:
    """As `fits_rnn`; the reset gate after the product."""
    return x.dtype in TYPES and aten.plain_gru(x, *arguments)


def fits_lstm(x: Tensor, states: Any, weights: LSTMWeights, *arguments: Any) -> bool:
    """As `fits_rnn`, without a projection."""
    plain = weights.projection is None
    return plain and x.dtype in TYPES and aten.plain_lstm(x, states, weights, *arguments)


def _run(call: Call, inputs: Inputs) -> tuple[Tensor, ...]:
    dtype = inputs.x.dtype
    if dtype != torch.float32:
        wide = Inputs(*(None if each is None else each.float() for each in inputs))  # type: ignore[arg-type]
        return tuple(each.to(dtype) for each in _run(call, wide))
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in inputs):
        found: tuple[Tensor, ...] = _Dense.apply(call, *inputs)  # type: ignore[no-untyped-call]
        return found
    return _forward(call, inputs, Order(inputs.x, call), keep=False).results()


class Order:
    """The order in which the extension takes rows and steps, and the way to it and back."""

    def __init__(self, x: Tensor, call: Call) -> None:
        self.rows, self.steps = x.shape[:2]
        self.reverse, self.whole = call.reverse, call.lengths is None
        self.total = self.rows * self.steps
        if call.lengths is not None:
            self._sort(call.lengths)

    def _sort(self, lengths: Tensor) -> None:
        lengths, self.by_length = lengths.sort(descending=True, stable=True)
        steps = torch.arange(self.steps).unsqueeze(1)
        self._mask = steps < lengths  # (T, B), the longest rows first
        self.counts = self._mask.sum(1)
        self.offsets = self.counts.cumsum(0) - self.counts
        self.total = int(self.counts.sum())
        self._places = (steps * self.rows + self.by_length)[
            self._mask
        ]  # of (T · B), in the caller's order of rows

    def addresses(self) -> tuple[int, int]:
        """Of the counts and offsets of the steps, 0 where all rows are whole."""
        return (0, 0) if self.whole else (self.counts.data_ptr(), self.offsets.data_ptr())

    def enter(self, x: Tensor) -> Tensor:
        """X (B, T, F) as (N, F)."""
        if not self.whole and x.is_contiguous():
            steps, rows = self._places // max(self.rows, 1), self._places % max(self.rows, 1)
            return x.reshape(-1, x.shape[2]).index_select(0, rows * self.steps + steps)
        flat = x.transpose(0, 1).reshape(-1, x.shape[2])
        return flat if self.whole else flat.index_select(0, self._places)

    def leave(self, flat: Tensor) -> Tensor:
        """What `enter` was given, zeros past each row's length."""
        if not self.whole:
            flat = flat.new_zeros(self.steps * self.rows, flat.shape[1]).index_copy_(0, self._places, flat)
        return flat.view(self.steps, self.rows, flat.shape[1]).transpose(0, 1)

    def sorted(self, state: Tensor) -> Tensor:
        """A state's rows (B, F) in the extension's order."""
        return state if self.whole else state.index_select(0, self.by_length)

    def unsorted(self, state: Tensor) -> Tensor:
        """What `sorted` was given."""
        return state if self.whole else torch.empty_like(state).index_copy_(0, self.by_length, state)

    def product(self, gradients: Tensor, y: Tensor, h0: Tensor) -> Tensor:
        """gradientsᵀ (·, N) times the h (N, H) that each step saw: y one step before, h0 at first."""
        if self.whole and self.steps:
            rows, rest = self.rows, self.total - self.rows
            first, after = (rest, 0) if self.reverse else (0, rows)
            before = rows if self.reverse else 0
            found = gradients[first : first + rows].t() @ h0
            return found.addmm_(gradients[after : after + rest].t(), y[before : before + rest])
        return gradients.t() @ torch.cat([y, h0]).index_select(0, self._seen())

    def _seen(self) -> Tensor:
        if self.whole:
            return torch.arange(0)
        rows = torch.arange(self.rows)
        at = torch.where(self._mask, self.offsets.unsqueeze(1) + rows, self.total + rows)
        start = (self.total + rows).unsqueeze(0)
        seen = torch.cat([at[1:], start]) if self.reverse else torch.cat([start, at[:-1]])
        return seen[self._mask]


class Run:
    """One layer's arrays, as native/kernels.hpp names them, and its results."""

    def __init__(self, call: Call, inputs: Inputs, order: Order, keep: bool) -> None:
        extension = native.extension()
        self.call, self.order, self.keep = call, order, keep
        self.gates, self.width = GATES[call.cell], inputs.hh.shape[1]
        vectors = 2 * extension.width()
        self.units = -(-self.width // vectors) * vectors
        self.weight = inputs.hh.contiguous()
        self.h0 = self.filled(order.sorted(inputs.h0))
        self.c0 = None if inputs.c0 is None else self.filled(order.sorted(inputs.c0))
        self.bias_hn: Tensor | None = None
        if call.cell == "gru":
            zeros = inputs.hh.new_zeros(self.units)
            self.bias_hn = zeros if inputs.bias_hn is None else self.filled(inputs.bias_hn)
        self.hn = torch.empty_like(self.h0)
        self.cn = None if self.c0 is None else self.c0.clone()
        self.projected: Any = workspace.take(order.total, self.gates * self.units)
        self.y: Any = torch.empty(order.total, self.units)
        self.kept: Any = workspace.take(order.total, self.units) if keep and call.cell != "rnn" else None

    def filled(self, x: Tensor) -> Tensor:
        """X (…, H) as (…, P)."""
        return x.contiguous() if self.units == self.width else pad(x, (0, self.units - self.width))

    def narrow(self, x: Tensor) -> Tensor:
        """X (…, P) as (…, H)."""
        return x if self.units == self.width else x[:, : self.width]

    def filled_gates(self, x: Tensor) -> Tensor:
        """X (G · H, …) as (G · P, …)."""
        if self.units == self.width:
            return x
        parted = x.reshape(self.gates, self.width, -1)
        return pad(parted, (0, 0, 0, self.units - self.width)).reshape(-1, *x.shape[1:])

    def entering(self, ih: Tensor) -> Tensor:
        """The input's matrix (G · H, I) as (G · P, I), in the order of the gates' gradients: GRU's are n, r, u."""
        filled = self.filled_gates(ih)
        return filled.roll(self.units, 0) if self.call.cell == "gru" else filled

    def entered(self, gradient: Tensor) -> Tensor:
        """The gradient (G · H, …) of what `entering` was given, from its result's."""
        return self.cut(gradient.roll(-self.units, 0) if self.call.cell == "gru" else gradient)

    def cut(self, gradient: Tensor) -> Tensor:
        """(G · P, …) as (G · H, …)."""
        if self.units == self.width:
            return gradient
        parted = gradient.reshape(self.gates, self.units, *gradient.shape[1:])[:, : self.width]
        return parted.flatten(0, 1)

    def extension(self, *backward: Tensor | None) -> None:
        """Run the extension: forward, or backward where gy, dh, dc and dgates are given."""
        panel = workspace.take(self.gates * self.units, self.units)
        arrays = (self.weight, self.bias_hn, self.h0, self.c0, panel, self.projected, self.y, self.kept)
        addresses = [
            0 if each is None else each.data_ptr() for each in (*arrays, self.hn, self.cn, *backward)
        ]
        call, order = self.call, self.order
        native.extension().dense(
            call.cell,
            call.relu,
            call.reverse,
            self.keep,
            torch.get_num_threads(),
            order.rows,
            order.steps,
            self.width,
            self.units,
            *order.addresses(),
            *addresses,
        )

    def results(self) -> tuple[Tensor, ...]:
        """The outputs y (B, T, H) and each row's last h and c (B, H)."""
        states = [self.order.unsorted(self.narrow(each)) for each in (self.hn, self.cn) if each is not None]
        return self.order.leave(self.narrow(self.y)), *states


def _forward(call: Call, inputs: Inputs, order: Order, keep: bool) -> Run:
    run = Run(call, inputs, order, keep)
    x, ih = order.enter(inputs.x), run.filled_gates(inputs.ih)
    if inputs.bias is None:
        torch.mm(x, ih.t(), out=run.projected)
    else:
        torch.addmm(run.filled_gates(inputs.bias), x, ih.t(), out=run.projected)
    run.extension()
    return run


class _Dense(torch.autograd.Function):
    """The extension's passes; where a second derivative is asked for, the reference is differentiated instead."""

    @staticmethod
    def forward(ctx, call, *tensors):  # type: ignore[no-untyped-def]
        inputs = Inputs(*tensors)
        run = _forward(call, inputs, Order(inputs.x, call), keep=True)
        results = run.results()
        # Arrays that torch saves are let go of with the graph, or once a backward pass is through.
        ctx.save_for_backward(*tensors, run.projected, run.y, run.kept)
        run.projected = run.y = run.kept = None
        ctx.run = run
        return results

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        *tensors, projected, y, kept = ctx.saved_tensors
        inputs = Inputs(*tensors)
        if torch.is_grad_enabled():
            return None, *_differentiate(ctx.run.call, inputs, grads)
        run = copy(ctx.run)
        run.projected, run.y, run.kept = projected, y, kept
        return None, *_backward(run, inputs, grads, ctx.needs_input_grad[1:])


def _backward(run: Run, inputs: Inputs, grads: Any, needed: Any) -> list[Tensor | None]:
    order, units = run.order, run.units
    gy, *last = grads
    states = [
        run.filled(order.sorted(each)).clone() for each in last
    ]  # the extension turns them into those before
    blocks = run.gates + (run.call.cell == "gru")
    dgates = workspace.take(order.total, blocks * units)
    dh, dc = (*states, None)[:2]
    run.extension(run.filled(order.enter(gy)), dh, dc, dgates)
    entering, recurrent = dgates[:, : run.gates * units], dgates[:, (blocks - run.gates) * units :]
    need = Inputs(*needed)
    return [
        order.leave(entering @ run.entering(inputs.ih)) if need.x else None,
        order.unsorted(run.narrow(dh)) if need.h0 and dh is not None else None,
        order.unsorted(run.narrow(dc)) if need.c0 and dc is not None else None,
        run.entered(entering.t() @ order.enter(inputs.x)) if need.ih else None,
        run.cut(order.product(recurrent, run.narrow(run.y), run.narrow(run.h0))) if need.hh else None,
        run.entered(entering.sum(0)) if need.bias else None,
        dgates[:, -units:].sum(0)[: run.width] if need.bias_hn else None,
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
