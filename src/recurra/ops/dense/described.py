"""Layers of the dense family with any of their options, described in one way for all cells.

Legend: B rows, T steps, I inputs, H units, R what the next step sees of h (H, or fewer with a projection), G gates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.ops import ragged
from recurra.ops.dense import reference, slstm
from recurra.ops.dense.masks import Masks
from recurra.ops.dense.reference import GRUWeights, LayerNorms, LSTMWeights, RNNWeights
from recurra.ops.dense.slstm import SLSTMWeights

__all__ = [
    "Inputs",
    "Layer",
    "by_definition",
    "fits",
    "gates_of",
    "heads_of",
    "read_gru",
    "read_lstm",
    "read_rnn",
    "read_slstm",
]


class Layer(NamedTuple):
    """What a layer is, apart from its tensors; `reset_first` and `coupled` as native/kernels.hpp says."""

    cell: str
    lengths: Tensor | None
    reverse: bool
    relu: bool = False
    coupled: bool = False
    reset_first: bool = False
    zoneout: tuple[float, float] = (0.0, 0.0)
    masks: Masks = Masks()


class Inputs(NamedTuple):
    """A layer's tensors, of which each cell has some; without ih, x enters the gates as it is."""

    x: Tensor
    hh: Tensor
    h0: Tensor
    c0: Tensor | None = None
    n0: Tensor | None = None
    m0: Tensor | None = None
    ih: Tensor | None = None
    bias: Tensor | None = None
    bias_hn: Tensor | None = None
    projection: Tensor | None = None
    peephole: Tensor | None = None
    gain_x: Tensor | None = None
    gain_h: Tensor | None = None
    gain_c: Tensor | None = None
    bias_c: Tensor | None = None


def read_rnn(
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: RNNWeights,
    lengths: Tensor | None,
    reverse: bool,
    nonlinearity: str,
    zoneout: float,
    masks: Masks | None,
) -> tuple[Layer, Inputs]:
    """What `recurra.ops.rnn` is called with."""
    layer = Layer(
        "rnn", lengths, reverse, relu=nonlinearity == "relu", zoneout=(zoneout, 0.0), masks=masks or Masks()
    )
    given: dict[str, Any] = {"ih": weights.ih, "bias": weights.bias} | _gains(weights.norms)
    return layer, Inputs(x, weights.hh, *states, **given)


def read_gru(
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: GRUWeights,
    lengths: Tensor | None,
    reverse: bool,
    reset_after: bool,
    zoneout: float,
    masks: Masks | None,
) -> tuple[Layer, Inputs]:
    """What `recurra.ops.gru` is called with."""
    layer = Layer(
        "gru", lengths, reverse, reset_first=not reset_after, zoneout=(zoneout, 0.0), masks=masks or Masks()
    )
    given: dict[str, Any] = {"ih": weights.ih, "bias": weights.bias, "bias_hn": weights.bias_hn} | _gains(
        weights.norms
    )
    return layer, Inputs(x, weights.hh, *states, **given)


def read_lstm(
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: LSTMWeights,
    lengths: Tensor | None,
    reverse: bool,
    zoneout: tuple[float, float],
    masks: Masks | None,
) -> tuple[Layer, Inputs]:
    """What `recurra.ops.lstm` is called with."""
    coupled = weights.hh.shape[0] == 3 * states[1].shape[1]
    layer = Layer("lstm", lengths, reverse, coupled=coupled, zoneout=zoneout, masks=masks or Masks())
    given: dict[str, Any] = {"ih": weights.ih, "bias": weights.bias, "projection": weights.projection}
    given |= {"peephole": weights.peephole} | _gains(weights.norms)
    return layer, Inputs(x, weights.hh, *states, **given)


def read_slstm(
    x: Tensor, states: tuple[Tensor, ...], weights: SLSTMWeights, lengths: Tensor | None, reverse: bool
) -> tuple[Layer, Inputs]:
    """What `recurra.ops.slstm` is called with."""
    given: dict[str, Any] = {"ih": weights.ih, "bias": weights.bias}
    return Layer("slstm", lengths, reverse), Inputs(x, weights.hh, *states, **given)


def _gains(norms: LayerNorms | None) -> dict[str, Any]:
    if norms is None:
        return {}
    return {"gain_x": norms.ih, "gain_h": norms.hh, "gain_c": norms.c, "bias_c": norms.c_bias}


def by_definition(layer: Layer, inputs: Inputs) -> tuple[Tensor, ...]:
    """The same by the definition, which can be differentiated as often as one likes."""
    i, mask = inputs, None if layer.lengths is None else ragged.valid(layer.lengths, inputs.x.shape[1])
    x = ragged.fill(i.x, layer.lengths)
    x = ragged.reverse(x, layer.lengths) if layer.reverse else x
    states: Any = [each for each in (i.h0, i.c0, i.n0, i.m0) if each is not None]
    ih: Any = i.ih
    norms = None
    if i.gain_x is not None and i.gain_h is not None:
        norms = LayerNorms(i.gain_x, i.gain_h, i.gain_c, i.bias_c)
    definition: Any
    weights: Any
    options: dict[str, Any] = {"zoneout": layer.zoneout[0], "masks": layer.masks}
    if layer.cell == "slstm":
        definition, weights, options = slstm.slstm, SLSTMWeights(ih, i.hh, i.bias), {}
    elif layer.cell == "lstm":
        definition, weights = reference.lstm, LSTMWeights(ih, i.hh, i.bias, i.projection, i.peephole, norms)
        options["zoneout"] = layer.zoneout
    elif layer.cell == "gru":
        definition, weights = reference.gru, GRUWeights(ih, i.hh, i.bias, i.bias_hn, norms)
        options["reset_after"] = not layer.reset_first
    else:
        definition, weights = reference.rnn, RNNWeights(ih, i.hh, i.bias, norms)
        options["nonlinearity"] = "relu" if layer.relu else "tanh"
    found: tuple[Tensor, ...] = definition(x, *states, weights, mask, **options)
    return ragged.reverse(found[0], layer.lengths) if layer.reverse else found[0], *found[1:]


def fits(layer: Layer, inputs: Inputs) -> bool:
    """Whether the extension knows it: float32, at least one row and step, shapes that fit together, constant masks."""
    x, (dropout, h, c) = inputs.x, layer.masks
    masks = [each for each in (dropout, h, c) if isinstance(each, Tensor)]
    tensors = [each for each in inputs if each is not None]
    usual = all(each.dtype == torch.float32 and each.device.type == "cpu" for each in (*tensors, *masks))
    if not usual or x.dim() != 3 or x.numel() == 0 or torch.compiler.is_compiling():
        return False
    if any(each.requires_grad for each in masks) or inputs.h0.dim() != 2:
        return False
    return all(each is None or each.shape == shape for each, shape in _shapes(layer, inputs))


def _shapes(layer: Layer, inputs: Inputs) -> list[tuple[Any, tuple[int, ...]]]:
    """What has to have which shape, or may be None; the extension reads memory and would not notice."""
    rows, steps, entering = inputs.x.shape
    gates, heads = gates_of(layer), heads_of(inputs.hh)
    units, shown = (inputs.h0 if inputs.c0 is None else inputs.c0).shape[-1], inputs.h0.shape[-1]
    if shown != units and inputs.projection is None:
        return [(inputs.hh, ())]
    wide = gates * units
    hh = (
        (4, heads, units // max(heads, 1), units // max(heads, 1)) if layer.cell == "slstm" else (wide, shown)
    )
    masks = [each if isinstance(each, Tensor) else None for each in layer.masks]
    return [
        (inputs.x, (rows, steps, wide if inputs.ih is None else entering)),
        (inputs.ih, (wide, entering)),
        (inputs.hh, hh),
        (inputs.h0, (rows, shown)),
        *((each, (rows, units)) for each in (inputs.c0, inputs.n0, inputs.m0)),
        *((each, (wide,)) for each in (inputs.bias, inputs.gain_x, inputs.gain_h)),
        *((each, (units,)) for each in (inputs.bias_hn, inputs.gain_c, inputs.bias_c)),
        (inputs.projection, (shown, units)),
        (inputs.peephole, (gates - 1, units)),
        *((each, (rows, steps, size)) for each, size in zip(masks, (units, shown, units), strict=True)),
    ]


def gates_of(layer: Layer) -> int:
    """How many blocks of units stand in its gates' matrices."""
    return {"rnn": 1, "gru": 3, "lstm": 3 if layer.coupled else 4, "slstm": 4}[layer.cell]


def heads_of(hh: Tensor) -> int:
    """How many blocks stand on the diagonal of h's matrix."""
    return hh.shape[1] if hh.dim() == 4 else 1
