"""The diagonal recurrence through the extension, with the cells' gates before it and their outputs after it.

In a plain program it is a function of autograd; in one that is compiled or exported an operator of torch.library. The
gradient of a scan is a scan in the other direction. Where a second derivative is asked for, the gradients are taken
from scans that autograd sees. Forward-mode derivatives and torch.func are left to the reference by the dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra import native
from recurra.ops import ragged, workspace
from recurra.ops.diagonal import reference
from recurra.ops.diagonal.reference import GATES, complex_product, held
from recurra.ops.modes import mapped

__all__ = ["complex_scan", "fits", "fits_gated", "gated_scan", "linear_scan"]

_READING_OUT = ("qrnn", "sru")  # whose outputs are not h


def fits(a: Tensor, *_: Any) -> bool:
    """Whether it is for a scan of the extension: in the computer's memory, of float32 or float64."""
    return a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64)


def fits_gated(gates: str, z: Tensor, *_: Any) -> bool:
    """As `fits`, of float32, in a plain program: a compiler makes one loop of the gates, and calls the scan within."""
    return z.device.type == "cpu" and z.dtype == torch.float32 and not torch.compiler.is_compiling()


def linear_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """As `reference.linear_scan`, for float32 or float64 tensors in the computer's memory."""
    return _scan("linear", a, b, h0, lengths)


def complex_scan(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None = None) -> Tensor:
    """As `reference.complex_scan`, for float32 or float64 tensors in the computer's memory."""
    return _scan("complex", a, b, h0, lengths)


def gated_scan(
    gates: str, z: Tensor, h0: Tensor, shared: Tensor | None = None, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As `reference.gated_scan`, for float32 tensors in the computer's memory."""
    y, last = _run(gates, lengths, h0, shared, z)
    return y, last


def _scan(cell: str, a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None) -> Tensor:
    if torch.compiler.is_compiling():
        return _OPERATORS[cell](*held(a, b, lengths), h0)  # type: ignore[no-any-return]
    if a.dim() < b.dim():
        y, _ = _run("steady" if cell == "linear" else "steady_complex", lengths, h0, a, b)
    else:
        y, _ = _run(cell, lengths, h0, None, a, b)
    return y


def _run(
    cell: str, lengths: Tensor | None, h0: Tensor, shared: Tensor | None, *inputs: Tensor
) -> tuple[Tensor, Any]:
    """The outputs and, where the cell has gates, the last h."""
    if torch.is_grad_enabled() and any(
        each is not None and each.requires_grad for each in (h0, shared, *inputs)
    ):
        found: tuple[Tensor, Any] = _Scan.apply(cell, lengths, h0, shared, *inputs)  # type: ignore[no-untyped-call]
        return found
    y, _, last = _forward(cell, lengths, h0, shared, inputs, keep=False)
    return y, last


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, cell, lengths, h0, shared, *inputs):  # type: ignore[no-untyped-def]
        y, h, last = _forward(cell, lengths, h0, shared, inputs, keep=True)
        ctx.cell = cell
        ctx.set_materialize_grads(False)
        # b is in no gradient but as part of h.
        ctx.save_for_backward(lengths, h0, shared, h, *(inputs if cell in GATES else inputs[:-1]))
        return y, last

    @staticmethod
    def backward(ctx, gy, glast):  # type: ignore[no-untyped-def]
        lengths, h0, shared, h, *inputs = ctx.saved_tensors
        gy = torch.zeros_like(h) if gy is None else gy
        if torch.is_grad_enabled() or mapped(gy):
            found = _differentiable(ctx.cell, lengths, h0, shared, inputs, h, gy, glast)
        else:
            found = _backward(ctx.cell, lengths, h0, shared, inputs, h, gy, glast)
        return None, None, *found


def _forward(
    cell: str,
    lengths: Tensor | None,
    h0: Tensor,
    shared: Tensor | None,
    inputs: Sequence[Tensor],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The outputs, every h (the outputs themselves where they are that), and the last h where the cell has gates."""
    y = _room(h0.dtype, *inputs[0].shape[:2], *h0.shape[1:])
    h = _room(h0.dtype, *y.shape) if keep and cell in _READING_OUT else None
    last = torch.empty(h0.shape, dtype=h0.dtype) if cell in GATES else None
    _call(cell, False, lengths, h0, shared, inputs, y, h, last)
    return y, y if h is None else h, last


def _backward(
    cell: str,
    lengths: Tensor | None,
    h0: Tensor,
    shared: Tensor | None,
    inputs: Sequence[Tensor],
    h: Tensor,
    gy: Tensor,
    glast: Tensor | None,
) -> list[Tensor | None]:
    """The gradients of h0, shared and the inputs, of which b need not be given."""
    if cell not in GATES:
        inputs = [*inputs, h]  # in b's place, where nothing is read
    gin = [_room(each.dtype, *each.shape) for each in inputs]
    gh0 = torch.empty(h0.shape, dtype=h0.dtype)
    gshared = None if shared is None else torch.empty(h0.shape, dtype=h0.dtype)
    _call(cell, True, lengths, h0, shared, inputs, None, h, None, gy, glast, gin, gshared, gh0)
    return [gh0, None if gshared is None else gshared.sum(0), *gin]


def _room(dtype: torch.dtype, *shape: int) -> Tensor:
    return workspace.take(*shape) if dtype == torch.float32 else torch.empty(shape, dtype=dtype)


def _call(
    cell: str,
    backward: bool,
    lengths: Tensor | None,
    h0: Tensor,
    shared: Tensor | None,
    inputs: Sequence[Tensor],
    y: Tensor | None,
    h: Tensor | None,
    last: Tensor | None,
    gy: Tensor | None = None,
    glast: Tensor | None = None,
    gin: Sequence[Tensor] = (),
    gshared: Tensor | None = None,
    gh0: Tensor | None = None,
) -> None:
    """Hand the arrays over; those that are read may lie anyhow."""
    extension = native.extension()
    inputs = [each.contiguous() for each in inputs]
    read = [None if each is None else each.contiguous() for each in (lengths, shared, h0, h, gy, glast)]
    at_lengths, at_shared, at_h0, at_h, at_gy, at_glast = map(_address, read)
    rows, steps = inputs[0].shape[:2]
    units = h0.numel() // max(1, rows)
    run = extension.scan if h0.dtype == torch.float32 else extension.scan_double
    run(
        cell,
        backward,
        torch.get_num_threads(),
        cell not in GATES,
        rows,
        steps,
        units,
        GATES[cell].blocks * units if cell in GATES else units,
        at_lengths,
        _parts(cell, inputs, units),
        at_shared,
        at_h0,
        _address(y),
        at_h,
        _address(last),
        at_gy,
        at_glast,
        _parts(cell, gin, units),
        _address(gshared),
        _address(gh0),
    )


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _parts(cell: str, tensors: Sequence[Tensor], units: int) -> tuple[int, ...]:
    """Where each of what enters starts, filled up to four with zeros."""
    if cell in GATES and tensors:
        start, size = tensors[0].data_ptr(), units * tensors[0].element_size()
        found = [start + block * size for block in range(GATES[cell].blocks)]
    else:
        found = [each.data_ptr() for each in tensors]
    return (*found, 0, 0, 0, 0)[:4]


def _differentiable(
    cell: str,
    lengths: Tensor | None,
    h0: Tensor,
    shared: Tensor | None,
    inputs: Sequence[Tensor],
    h: Tensor,
    gy: Tensor,
    glast: Tensor | None,
) -> list[Tensor | None]:
    """As `_backward`, in steps that autograd and torch.func can follow."""
    if cell not in GATES:
        a = inputs[0] if shared is None else shared.expand_as(h)
        gh0, ga, gb = _adjoint("complex" if "complex" in cell else "linear", a, lengths, h0, h, gy)
        return [gh0, None, ga, gb] if shared is None else [gh0, ga.sum((0, 1)), gb]
    with torch.enable_grad():
        outputs = reference.gated_scan(cell, inputs[0], h0, shared, lengths, scan=_either("linear", gy))
        grads = [gy, torch.zeros_like(h0) if glast is None else glast]
        given = (h0, shared, *inputs)
        leaves = [each for each in given if each is not None and each.requires_grad]
        found = iter(torch.autograd.grad(outputs, leaves, grads, create_graph=True, materialize_grads=True))
    return [next(found) if each is not None and each.requires_grad else None for each in given]


def _adjoint(
    cell: str, a: Tensor, lengths: Tensor | None, h0: Tensor, h: Tensor, gy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of h0, a and b: dL/dh_t = gy_t + conj(a_{t+1}) dL/dh_{t+1} is a scan from the last step on."""
    a, _ = held(a, h, lengths)
    times = torch.mul if cell == "linear" else complex_product
    before = torch.cat([h0.unsqueeze(1), h], 1)[:, : h.shape[1]]
    after = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1)
    adjoint = _either(cell, gy)(_conjugate(cell, after).flip(1), gy.flip(1), torch.zeros_like(h0)).flip(1)
    ga = times(adjoint, _conjugate(cell, before))
    gh0 = times(adjoint[:, :1], _conjugate(cell, a[:, :1])).sum(1)
    return gh0, ragged.fill(ga, lengths), ragged.fill(adjoint, lengths)


def _conjugate(cell: str, x: Tensor) -> Tensor:
    return x if cell == "linear" else torch.stack([x[..., 0], -x[..., 1]], -1)


def _either(cell: str, grad: Tensor) -> Callable[..., Tensor]:
    """The scan, or the reference where vmap or torch.func is at work on `grad`."""
    if cell == "linear":
        return reference.linear_scan if mapped(grad) else linear_scan
    return reference.complex_scan if mapped(grad) else complex_scan


def _operator(name: str, cell: str) -> Callable[..., Any]:
    """Register `recurra::<name>` and its gradient, for rows that are whole."""

    def forward(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        return _forward(cell, None, h0, None, (a, b), keep=False)[0]

    def backward(grad: Tensor, a: Tensor, h: Tensor, h0: Tensor) -> tuple[Tensor, ...]:
        gh0, _, ga, gb = _backward(cell, None, h0, None, [a], h, grad, None)
        return ga, gb, gh0  # type: ignore[return-value]

    def save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        a, _, h0 = inputs
        ctx.save_for_backward(a, output, h0)

    made = torch.library.custom_op(
        f"recurra::{name}", forward, mutates_args=(), schema="(Tensor a, Tensor b, Tensor h0) -> Tensor"
    )
    gradient = torch.library.custom_op(
        f"recurra::{name}_backward",
        backward,
        mutates_args=(),
        schema="(Tensor grad, Tensor a, Tensor h, Tensor h0) -> (Tensor, Tensor, Tensor)",
    )
    made.register_fake(lambda a, b, h0: b.new_empty(b.shape))
    gradient.register_fake(
        lambda grad, a, h, h0: (a.new_empty(a.shape), a.new_empty(a.shape), h0.new_empty(h0.shape))
    )
    made.register_autograd(lambda ctx, grad: gradient(grad, *ctx.saved_tensors), setup_context=save)
    return made


# What a compiled or exported program calls.
_OPERATORS = {cell: _operator(f"{cell}_scan", cell) for cell in ("linear", "complex")}
