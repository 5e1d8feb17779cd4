"""Elman, LSTM and GRU through torch's own kernels, for whole sequences in the computer's memory, ragged ones too.

torch's kernels know no lengths. They run on over the padding, which no valid step ever sees, and h is taken at each
row's end; an LSTM's c is held there by gates that the padding shuts.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from recurra.ops.dense import reference
from recurra.ops.dense.masks import Masks
from recurra.ops.dense.reference import GRUWeights, LSTMWeights, RNNWeights

__all__ = [
    "fits_gru",
    "fits_lstm",
    "fits_rnn",
    "gru",
    "lstm",
    "plain_gru",
    "plain_lstm",
    "plain_rnn",
    "rnn",
    "something",
]

TYPES = (torch.float32, torch.float64)
SHUT = 1e30  # σ(SHUT) is 1 and σ(-SHUT) is 0, exactly, whatever else a gate adds


def fits_rnn(x: Tensor, *arguments: Any) -> bool:
    """Whether torch's kernel knows it: `plain_rnn`, float32 or float64, at least one row and step, on the CPU."""
    return x.dtype in TYPES and something(x) and plain_rnn(x, *arguments)


def fits_gru(
    x: Tensor, states: Any, weights: GRUWeights, lengths: Any, reverse: bool, reset_after: bool, *rest: Any
) -> bool:
    """As `fits_rnn`; torch's reset gate acts after the matrix product."""
    plain = plain_gru(x, states, weights, lengths, reverse, reset_after, *rest)
    return plain and reset_after and x.dtype in TYPES and something(x)


def fits_lstm(x: Tensor, *arguments: Any) -> bool:
    """As `fits_rnn`; torch's kernel knows projections."""
    return x.dtype in TYPES and something(x) and plain_lstm(x, *arguments)


def plain_rnn(
    x: Tensor,
    states: Any,
    weights: RNNWeights,
    lengths: Any,
    reverse: bool,
    nonlinearity: str,
    zoneout: float,
    masks: Masks | None,
) -> bool:
    """Whether it is without options."""
    return weights.norms is None and zoneout == 0.0 and masks is None


def plain_gru(
    x: Tensor,
    states: Any,
    weights: GRUWeights,
    lengths: Any,
    reverse: bool,
    reset_after: bool,
    zoneout: float,
    masks: Masks | None,
) -> bool:
    """As `plain_rnn`, in either convention of the reset gate."""
    return weights.norms is None and zoneout == 0.0 and masks is None


def plain_lstm(
    x: Tensor,
    states: Any,
    weights: LSTMWeights,
    lengths: Any,
    reverse: bool,
    zoneout: tuple[float, float],
    masks: Masks | None,
) -> bool:
    """As `plain_rnn`, but for a projection."""
    coupled = weights.hh.shape[0] == 3 * states[1].shape[1]
    varied = coupled or weights.peephole is not None or weights.norms is not None or bool(weights.mogrifier)
    return not varied and masks is None and zoneout == (0.0, 0.0)


def something(x: Tensor) -> bool:
    """Whether there is at least one row and step, on the CPU."""
    return x.numel() > 0 and x.device.type == "cpu"


def rnn(
    x: Tensor, h0: Tensor, weights: RNNWeights, mask: Tensor | None, nonlinearity: str, *_: Any
) -> tuple[Tensor, Tensor]:
    """As `reference.rnn`, for what `fits_rnn`."""
    kernel = torch.rnn_tanh if nonlinearity == "tanh" else torch.rnn_relu
    y, h = kernel(x, h0.unsqueeze(0), *_arguments(weights.ih, weights.hh, weights.bias))
    return _ends(y, h.squeeze(0), h0, mask)


def gru(x: Tensor, h0: Tensor, weights: GRUWeights, mask: Tensor | None, *_: Any) -> tuple[Tensor, Tensor]:
    """As `reference.gru`, the reset gate after the product, for what `fits`."""
    bias_hh = None
    if weights.bias_hn is not None:
        bias_hh = torch.cat([weights.bias_hn.new_zeros(2 * h0.shape[1]), weights.bias_hn])
    y, h = torch.gru(x, h0.unsqueeze(0), *_arguments(weights.ih, weights.hh, weights.bias, bias_hh))
    return _ends(y, h.squeeze(0), h0, mask)


def lstm(
    x: Tensor, h0: Tensor, c0: Tensor, weights: LSTMWeights, mask: Tensor | None, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.lstm`, for what `fits`; differentiable twice, which torch's float32 kernel is not."""
    tensors = (x, h0, c0, weights.ih, weights.hh, weights.bias, weights.projection)
    y, h, c = (
        _TwiceLSTM.apply(mask, *tensors)  # type: ignore[no-untyped-call]
        if torch.is_grad_enabled() and x.dtype == torch.float32
        else _lstm(mask, *tensors)
    )
    return y, h, c


def _lstm(
    mask: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    ih: Tensor,
    hh: Tensor,
    bias: Tensor | None,
    projection: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    if mask is not None:
        # One input more, 1 in the padding: it shuts i and opens f, so that c stays and no gradient enters there.
        units = c0.shape[1]
        x = torch.cat([x, (~mask).to(x.dtype).unsqueeze(-1)], -1)
        shut = ih.new_zeros(4, units)
        shut[0], shut[1] = -SHUT, SHUT
        ih = torch.cat([ih, shut.reshape(-1, 1)], 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        y, h, c = torch.lstm(
            x, (h0.unsqueeze(0), c0.unsqueeze(0)), *_arguments(ih, hh, bias, projection=projection)
        )
    y, h = _ends(y, h.squeeze(0), h0, mask)
    return y, h, c.squeeze(0)


def _arguments(
    ih: Tensor,
    hh: Tensor,
    bias: Tensor | None,
    bias_hh: Tensor | None = None,
    projection: Tensor | None = None,
) -> tuple[Any, ...]:
    """What torch's kernels take after x and the state: one layer, one direction, batch first."""
    weights = [ih, hh]
    biased = bias is not None or bias_hh is not None
    if biased:
        zeros = ih.new_zeros(ih.shape[0])
        weights += [zeros if bias is None else bias, zeros if bias_hh is None else bias_hh]
    if projection is not None:
        weights.append(projection)
    return weights, biased, 1, 0.0, False, False, True


def _ends(y: Tensor, h: Tensor, h0: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The outputs without the padding's, and h at each row's end."""
    if mask is None:
        return y, h
    last = mask.sum(1).reshape(-1, 1, 1).expand(-1, 1, y.shape[2])
    h = torch.cat([h0.unsqueeze(1), y], 1).gather(1, last).squeeze(1)
    return torch.where(mask.unsqueeze(-1), y, 0.0), h


class _TwiceLSTM(torch.autograd.Function):
    """torch's LSTM with a second derivative: where one is asked for, the reference is differentiated instead."""

    @staticmethod
    def forward(ctx, mask, *tensors):  # type: ignore[no-untyped-def]
        ctx.mask = mask
        ctx.save_for_backward(*tensors)
        ctx.inputs, ctx.outputs = _run(_lstm, mask, tensors)
        return tuple(output.detach() for output in ctx.outputs)

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        if torch.is_grad_enabled():
            found = _differentiate(ctx.mask, ctx.saved_tensors, grads)
            return None, *found
        if ctx.outputs is None:
            ctx.inputs, ctx.outputs = _run(_lstm, ctx.mask, ctx.saved_tensors)
        inputs, outputs = ctx.inputs, ctx.outputs
        ctx.inputs = ctx.outputs = None  # or the graph would live as long as the result does
        return None, *_gradients(outputs, inputs, grads, create_graph=False)


def _run(function: Any, mask: Tensor | None, tensors: Any) -> tuple[Any, Any]:
    with torch.enable_grad():
        inputs = [
            each if each is None else each.detach().requires_grad_(each.requires_grad) for each in tensors
        ]
        return inputs, function(mask, *inputs)


def _differentiate(mask: Tensor | None, tensors: Any, grads: Any) -> list[Tensor | None]:
    x, h0, c0, ih, hh, bias, projection = tensors
    outputs = reference.lstm(x, h0, c0, LSTMWeights(ih, hh, bias, projection), mask)
    return _gradients(outputs, tensors, grads, create_graph=True)


def _gradients(outputs: Any, inputs: Any, grads: Any, create_graph: bool) -> list[Tensor | None]:
    wanted = [each for each in inputs if each is not None and each.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, grads, create_graph=create_graph, allow_unused=True))
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]
