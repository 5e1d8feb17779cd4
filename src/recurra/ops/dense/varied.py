"""Elman, LSTM and GRU with options, and the sLSTM, through the extension; `cpu.py` has those without.

The recurrence runs there, step by step; what needs no step before it is torch's matrix products. Mogrifier LSTMs, in
which x needs h, stay on the reference.

Legend: B rows, T steps, N all rows' steps in the extension's order, I inputs, H units, P units filled up to whole
vectors, R what the next step sees of h (H, or fewer with a projection), G gates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from recurra import native
from recurra.ops import ragged, workspace
from recurra.ops.dense import described
from recurra.ops.dense.described import Inputs, Layer, by_definition, gates_of, heads_of
from recurra.ops.dense.packed import Order
from recurra.ops.dense.reference import LSTMWeights
from recurra.ops.product import times

__all__ = ["fits_gru", "fits_lstm", "fits_rnn", "fits_slstm", "gru", "lstm", "rnn", "slstm"]

STATES = ("h0", "c0", "n0", "m0")


def rnn(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.rnn`, for what `fits_rnn`."""
    return _run(*described.read_rnn(*arguments))


def gru(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.gru`, for what `fits_gru`."""
    return _run(*described.read_gru(*arguments))


def lstm(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.lstm`, for what `fits_lstm`."""
    return _run(*described.read_lstm(*arguments))


def slstm(*arguments: Any) -> tuple[Tensor, ...]:
    """As `recurra.ops.slstm`, for what `fits_slstm`."""
    return _run(*described.read_slstm(*arguments))


def fits_rnn(*arguments: Any) -> bool:
    """Whether the extension knows it: float32, at least one row and step, shapes that fit together, constant masks."""
    return described.fits(*described.read_rnn(*arguments))


def fits_gru(*arguments: Any) -> bool:
    """As `fits_rnn`."""
    return described.fits(*described.read_gru(*arguments))


def fits_lstm(x: Tensor, states: Any, weights: LSTMWeights, *arguments: Any) -> bool:
    """As `fits_rnn`, and no mogrifier."""
    return not weights.mogrifier and described.fits(*described.read_lstm(x, states, weights, *arguments))


def fits_slstm(*arguments: Any) -> bool:
    """As `fits_rnn`."""
    return described.fits(*described.read_slstm(*arguments))


def _run(layer: Layer, inputs: Inputs) -> tuple[Tensor, ...]:
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in inputs):
        found: tuple[Tensor, ...] = _Varied.apply(layer, *inputs)  # type: ignore[no-untyped-call]
        return found
    sizes = Sizes(layer, inputs)
    return sizes.results(_forward(sizes, inputs, keep=False))


class Sizes:
    """A layer's sizes, the order of its rows and steps, and the way of its tensors to whole vectors and back."""

    def __init__(self, layer: Layer, inputs: Inputs) -> None:
        self.layer = layer
        self.order = Order(inputs.x, layer.lengths)
        self.gates, self.heads = gates_of(layer), heads_of(inputs.hh)
        self.shown = inputs.h0.shape[1]
        self.width = (inputs.h0 if inputs.c0 is None else inputs.c0).shape[1] // self.heads
        vectors = 2 * native.extension().width()
        self.padding = -self.width % vectors  # of each head
        self.units = self.heads * (self.width + self.padding)  # P
        self.shortened = inputs.projection is not None
        self.shown_units = self.shown + -self.shown % vectors if self.shortened else self.units

    def filled(self, x: Tensor) -> Tensor:
        """X (…, k · H) as (…, k · P)."""
        if self.padding == 0:
            return x.contiguous()
        parted = x.reshape(*x.shape[:-1], x.shape[-1] // self.width, self.width)
        return pad(parted, (0, self.padding)).flatten(-2)

    def filled_rows(self, x: Tensor) -> Tensor:
        """X (k · H, …) as (k · P, …)."""
        if self.padding == 0:
            return x
        parted = x.reshape(-1, self.width, *x.shape[1:])
        return pad(parted, (0, 0) * (x.dim() - 1) + (0, self.padding)).flatten(0, 1)

    def cut(self, x: Tensor) -> Tensor:
        """X (…, k · P) as (…, k · H)."""
        if self.padding == 0:
            return x
        whole = self.width + self.padding
        return x.reshape(*x.shape[:-1], x.shape[-1] // whole, whole)[..., : self.width].flatten(-2)

    def cut_rows(self, x: Tensor) -> Tensor:
        """X (k · P, …) as (k · H, …)."""
        if self.padding == 0:
            return x
        return x.reshape(-1, self.width + self.padding, *x.shape[1:])[:, : self.width].flatten(0, 1)

    def filled_shown(self, x: Tensor) -> Tensor:
        """X (…, R) filled up; what `cut_shown` was given."""
        return pad(x, (0, self.shown_units - self.shown)) if self.shortened else self.filled(x)

    def cut_shown(self, x: Tensor) -> Tensor:
        """What `filled_shown` was given."""
        return x[..., : self.shown] if self.shortened else self.cut(x)

    def state(self, name: str, x: Tensor) -> Tensor:
        """A state's rows as the extension takes them; `name` is that of one before or after, h's first."""
        return (self.filled_shown if name in ("h0", "hn", "dh") else self.filled)(self.order.sorted(x))

    def results(self, arrays: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The outputs (B, T, R) and each row's last states (B, ·)."""
        last = [arrays[name] for name in ("hn", "cn", "nn", "mn") if name in arrays]
        h, *others = map(self.order.unsorted, last)
        return self.order.leave(self.cut_shown(arrays["y"])), self.cut_shown(h), *map(self.cut, others)

    def description(self, keep: bool, arrays: dict[str, Tensor]) -> Any:
        """All that the extension needs to know; the arrays have to outlive its use."""
        layer, steps = self.layer, native.extension().Steps(self.layer.cell)
        steps.relu, steps.coupled, steps.reset_first = layer.relu, layer.coupled, layer.reset_first
        steps.reverse, steps.keep, steps.threads = layer.reverse, keep, torch.get_num_threads()
        steps.zoneout_h, steps.zoneout_c = layer.zoneout
        steps.rows, steps.steps, steps.heads = self.order.rows, self.order.steps, self.heads
        steps.width, steps.units = self.width, self.width + self.padding
        steps.shown, steps.shown_units = self.shown, self.shown_units
        counts, offsets = self.order.addresses()
        steps.put("counts", counts)
        steps.put("offsets", offsets)
        for name, array in arrays.items():
            steps.put(name, array.data_ptr())
        return steps


def _forward(sizes: Sizes, inputs: Inputs, keep: bool) -> dict[str, Tensor]:
    """The arrays of native/kernels.hpp, by name, after the forward pass."""
    order, units, shown, wide = sizes.order, sizes.units, sizes.shown_units, sizes.gates * sizes.units
    kept = order.total if keep else order.rows
    arrays = _constants(sizes, inputs)
    arrays["entered"] = _entered(sizes, inputs)
    arrays["gates"] = (
        workspace.take(order.total, wide) if keep and inputs.gain_x is not None else arrays["entered"]
    )
    arrays["added"], arrays["y"] = workspace.take(kept, wide), torch.empty(order.total, shown)
    if inputs.projection is not None or sizes.layer.reset_first or "dropout" in arrays:
        arrays["inner"] = workspace.take(kept, units)
    if inputs.gain_x is not None:
        arrays["moments"] = torch.empty(kept, 4)
    arrays["hn"] = torch.empty_like(arrays["h0"])
    for name in "cnm":
        if f"{name}0" in arrays:
            first = arrays[f"{name}0"]
            arrays[name] = workspace.take(kept, units) if keep else first.clone()
            arrays[f"{name}n"] = torch.empty_like(first) if keep else arrays[name]
    # The panel holds both matrices; that of h's is the larger by far.
    panel = workspace.take((sizes.gates + 1) * units, max(shown, units) // sizes.heads)
    native.extension().steps_forward(sizes.description(keep, {**arrays, "panel": panel}))
    return arrays


def _constants(sizes: Sizes, inputs: Inputs) -> dict[str, Tensor]:
    """States, weights and masks as the extension takes them."""
    found = {"weight": inputs.hh.contiguous()}
    for name in STATES:
        state = getattr(inputs, name)
        if state is not None:
            found[name] = sizes.state(name, state)
    if inputs.projection is not None:
        found["projection"] = inputs.projection.contiguous()
    for name in ("peephole", "bias_hn", "gain_x", "gain_h", "gain_c", "bias_c"):
        each = getattr(inputs, name)
        if each is not None:
            found[name] = sizes.filled(each)
    if inputs.gain_x is not None:
        found["bias"] = sizes.filled(torch.zeros_like(inputs.gain_x) if inputs.bias is None else inputs.bias)
    if inputs.gain_c is not None and inputs.bias_c is None:
        found["bias_c"] = torch.zeros(sizes.units)
    if sizes.layer.cell == "gru" and inputs.bias_hn is None:
        found["bias_hn"] = torch.zeros(sizes.units)
    dropout, h, c = sizes.layer.masks
    for name, mask, fill in (
        ("dropout", dropout, sizes.filled),
        ("moves_h", h, sizes.filled_shown),
        ("moves_c", c, sizes.filled),
    ):
        if isinstance(mask, Tensor):  # drawn in the order in which the steps are computed
            turned = ragged.reverse(mask, sizes.layer.lengths) if sizes.layer.reverse else mask
            found[name] = fill(sizes.order.enter(turned)).contiguous()
    return found


def _entered(sizes: Sizes, inputs: Inputs) -> Tensor:
    """What x adds to the gates (N, G · P), which the extension writes over; bias too unless there is layer norm."""
    x, bias = sizes.order.enter(inputs.x), inputs.bias if inputs.gain_x is None else None
    entered = workspace.take(sizes.order.total, sizes.gates * sizes.units)
    if inputs.ih is None:
        filled = sizes.filled(x)
        return entered.copy_(filled) if bias is None else torch.add(filled, sizes.filled(bias), out=entered)
    return times(
        x, sizes.filled_rows(inputs.ih).t(), None if bias is None else sizes.filled(bias), out=entered
    )


class _Varied(torch.autograd.Function):
    """The extension's passes; where a second derivative is asked for, the reference is differentiated instead."""

    @staticmethod
    def forward(ctx, layer, *tensors):  # type: ignore[no-untyped-def]
        sizes = ctx.sizes = Sizes(layer, Inputs(*tensors))
        arrays = _forward(sizes, Inputs(*tensors), keep=True)
        results = sizes.results(arrays)
        for name in ("hn", "cn", "nn", "mn"):
            arrays.pop(name, None)
        # Arrays that torch saves are let go of with the graph, or once a backward pass is through.
        ctx.names = tuple(arrays)
        ctx.save_for_backward(*tensors, *arrays.values())
        return results

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        saved = ctx.saved_tensors
        tensors, arrays = saved[: len(Inputs._fields)], saved[len(Inputs._fields) :]
        inputs = Inputs(*tensors)
        if torch.is_grad_enabled():
            return None, *_differentiate(ctx.sizes.layer, inputs, grads)
        kept = dict(zip(ctx.names, arrays, strict=True))
        needed = dict(zip(Inputs._fields, ctx.needs_input_grad[1:], strict=True))
        found = _backward(ctx.sizes, inputs, kept, grads)
        return None, *(found[name]() if needed[name] else None for name in Inputs._fields)


def _backward(sizes: Sizes, inputs: Inputs, kept: dict[str, Tensor], grads: Any) -> dict[str, Any]:
    """For each name of the inputs, what computes its gradient."""
    order, units, wide, gates = sizes.order, sizes.units, sizes.gates * sizes.units, sizes.gates
    gy, *last = grads
    apart = (
        inputs.gain_x is not None or sizes.layer.cell == "gru"
    )  # what x and what h add have gradients of their own
    new = {"gy": sizes.filled_shown(order.enter(gy)).contiguous(), "dinner": torch.empty(order.rows, units)}
    for name, grad in zip(("dh", "dc", "dn", "dm"), last, strict=False):
        new[name] = sizes.state(name, grad).clone()  # the extension turns it into that of the first state
    new["dentered"] = workspace.take(order.total, wide)
    new["dadded"] = workspace.take(order.total, wide) if apart else new["dentered"]
    if inputs.projection is not None:
        new["dshown"] = workspace.take(order.total, sizes.shown_units)
    summed = {
        "gain_x": wide,
        "gain_h": wide,
        "bias": wide,
        "gain_c": units,
        "bias_c": units,
        "bias_hn": units,
    }
    summed["peephole"] = (gates - 1) * units
    for name, size in summed.items():
        if name in kept:
            new[f"d{name}"] = torch.zeros(order.rows, size)
    panel = workspace.take((gates + 1) * units, max(sizes.shown_units, units) // sizes.heads)
    native.extension().steps_backward(sizes.description(True, {**kept, **new, "panel": panel}))

    def added_up(name: str) -> Tensor:
        total = sizes.cut(new[f"d{name}"].sum(0))
        return total.view(gates - 1, -1) if name == "peephole" else total

    def state(name: str) -> Tensor:
        return (sizes.cut_shown if name == "dh" else sizes.cut)(order.unsorted(new[name]))

    dentered: Tensor = new["dentered"]
    found: dict[str, Any] = {name: lambda name=name: added_up(name) for name in summed}
    found |= {f"{name}0": lambda name=name: state(f"d{name}") for name in "hcnm"}
    if inputs.gain_x is None:
        found["bias"] = lambda: sizes.cut(dentered.sum(0))
    if inputs.ih is None:
        found["x"] = lambda: order.leave(sizes.cut(dentered))
    else:
        ih = inputs.ih
        found["x"] = lambda: order.leave(times(dentered, sizes.filled_rows(ih)))
    found["ih"] = lambda: sizes.cut_rows(times(dentered.t(), order.enter(inputs.x)))
    found["hh"] = lambda: _recurrent(sizes, kept, new["dadded"]).reshape(inputs.hh.shape)
    found["projection"] = lambda: times(sizes.cut_shown(new["dshown"]).t(), sizes.cut(kept["inner"]))
    return found


def _recurrent(sizes: Sizes, kept: dict[str, Tensor], dadded: Tensor) -> Tensor:
    """The gradient of h's matrix."""
    order, units = sizes.order, sizes.units
    y, h0 = kept["y"], kept["h0"]
    if sizes.layer.cell == "rnn" and "inner" in kept:
        return sizes.cut_rows(times(dadded.t(), sizes.cut(kept["inner"])))
    if sizes.layer.reset_first:
        reset = order.product(dadded[:, : 2 * units], y, h0, sizes.layer.reverse)
        candidate = times(dadded[:, 2 * units :].t(), kept["inner"])
        return sizes.cut_rows(sizes.cut(torch.cat([reset, candidate])))
    if sizes.heads == 1:
        return sizes.cut_rows(sizes.cut_shown(order.product(dadded, y, h0, sizes.layer.reverse)))
    block = units // sizes.heads
    parts = [slice(start, start + block) for start in range(0, units, block)]
    gates = [dadded[:, start : start + units] for start in range(0, dadded.shape[1], units)]
    found = [
        order.product(gate[:, part], y[:, part], h0[:, part], sizes.layer.reverse)
        for gate in gates
        for part in parts
    ]
    return sizes.cut(sizes.cut_rows(torch.cat(found)))


def _differentiate(layer: Layer, inputs: Inputs, grads: Any) -> list[Tensor | None]:
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    found = iter(
        torch.autograd.grad(by_definition(layer, inputs), wanted, grads, create_graph=True, allow_unused=True)
    )
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]
