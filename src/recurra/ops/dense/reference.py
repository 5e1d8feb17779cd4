"""Elman, LSTM and GRU in plain torch, step by step: the definition that every faster path must meet.

Legend: B rows, T steps, I inputs, H units, R recurrent units (H, or fewer with a projection). Gates are stacked in
torch's order: LSTM i, f, g, o (f, g, o where i = 1 - f); GRU r, z, n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from recurra.ops.dense.masks import Masks

__all__ = [
    "GRUWeights",
    "LSTMWeights",
    "LayerNorms",
    "RNNWeights",
    "enter",
    "gru",
    "gru_step",
    "loop",
    "lstm",
    "lstm_step",
    "rnn",
    "rnn_step",
]


class LayerNorms(NamedTuple):
    """Gains where gates are normalised: of what the input and of what h adds; an LSTM's c has a bias too."""

    ih: Tensor
    hh: Tensor
    c: Tensor | None = None
    c_bias: Tensor | None = None


class RNNWeights(NamedTuple):
    """ih (H, I), hh (H, H), bias (H,)."""

    ih: Tensor
    hh: Tensor
    bias: Tensor | None = None
    norms: LayerNorms | None = None


class GRUWeights(NamedTuple):
    """ih (3H, I), hh (3H, H), bias (3H,), and bias_hn (H,), which stands inside the reset gate's product."""

    ih: Tensor
    hh: Tensor
    bias: Tensor | None = None
    bias_hn: Tensor | None = None
    norms: LayerNorms | None = None


class LSTMWeights(NamedTuple):
    """ih (4H, I), hh (4H, R), bias (4H,); three blocks of H where the input gate is 1 - f.

    projection (R, H) shortens h. peephole (3, H) lets i, f, o see c, (2, H) f, o. mogrifier holds the rounds' matrices
    in turn: (I, R), (R, I), (I, R), ….
    """

    ih: Tensor
    hh: Tensor
    bias: Tensor | None = None
    projection: Tensor | None = None
    peephole: Tensor | None = None
    norms: LayerNorms | None = None
    mogrifier: tuple[Tensor, ...] = ()


def enter(x: Tensor, weights: RNNWeights | GRUWeights | LSTMWeights) -> Tensor:
    """What the input x (…, I) adds to the gates, bias included."""
    if weights.norms is None:
        return linear(x, weights.ih, weights.bias)
    z = _normal(linear(x, weights.ih)) * weights.norms.ih
    return z if weights.bias is None else z + weights.bias


def rnn_step(
    z: Tensor,
    h: Tensor,
    weights: RNNWeights,
    nonlinearity: str = "tanh",
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> Tensor:
    """One step from the projected input z (B, H); returns the new h (B, H)."""
    masks = masks or Masks()
    z = z + _recurrent(_times(h, masks.dropout), weights.hh, weights.norms)
    return _zoned(z.tanh() if nonlinearity == "tanh" else z.relu(), h, zoneout, masks.h)


def gru_step(
    z: Tensor,
    h: Tensor,
    weights: GRUWeights,
    reset_after: bool = True,
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> Tensor:
    """One step from the projected input z (B, 3H); returns the new h (B, H)."""
    masks = masks or Masks()
    units = h.shape[-1]
    if reset_after:
        ru, n = torch.split(_recurrent(h, weights.hh, weights.norms), [2 * units, units], -1)
        r, u = (z[..., : 2 * units] + ru).sigmoid().chunk(2, -1)
        n = r * (n if weights.bias_hn is None else n + weights.bias_hn)
    else:
        ru = _recurrent(h, weights.hh[: 2 * units], weights.norms, slice(0, 2 * units))
        r, u = (z[..., : 2 * units] + ru).sigmoid().chunk(2, -1)
        n = _recurrent(r * h, weights.hh[2 * units :], weights.norms, slice(2 * units, None))
        n = n if weights.bias_hn is None else n + weights.bias_hn
    n = _times((z[..., 2 * units :] + n).tanh(), masks.dropout)
    return _zoned((1 - u) * n + u * h, h, zoneout, masks.h)


def lstm_step(
    z: Tensor,
    h: Tensor,
    c: Tensor,
    weights: LSTMWeights,
    zoneout: tuple[float, float] = (0.0, 0.0),
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """One step from the projected input z (B, 4H), with a mogrifier the input itself; returns the new h and c."""
    masks = masks or Masks()
    z, seen = _mogrify(z, h, weights) if weights.mogrifier else (z, h)
    *opening, g, o = torch.split(z + _recurrent(seen, weights.hh, weights.norms), c.shape[-1], -1)
    if weights.peephole is not None:
        opening = [gate + p * c for gate, p in zip(opening, weights.peephole[:-1], strict=True)]
    f = opening[-1].sigmoid()
    i = opening[0].sigmoid() if len(opening) == 2 else 1 - f
    moved = f * c + i * _times(g.tanh(), masks.dropout)
    o = o if weights.peephole is None else o + weights.peephole[-1] * moved
    y = o.sigmoid() * _shown(moved, weights.norms).tanh()
    y = y if weights.projection is None else linear(y, weights.projection)
    return _zoned(y, h, zoneout[0], masks.h), _zoned(moved, c, zoneout[1], masks.c)


def rnn(
    x: Tensor,
    h0: Tensor,
    weights: RNNWeights,
    mask: Tensor | None,
    nonlinearity: str,
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """The outputs (B, T, H), zero where `mask` (B, T) is false, and the last h of each row."""
    y, (h,) = loop(
        lambda z, state, drawn: (rnn_step(z, state[0], weights, nonlinearity, zoneout, drawn),),
        enter(x, weights),
        (h0,),
        mask,
        masks,
    )
    return y, h


def gru(
    x: Tensor,
    h0: Tensor,
    weights: GRUWeights,
    mask: Tensor | None,
    reset_after: bool = True,
    zoneout: float = 0.0,
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """The outputs (B, T, H), zero where `mask` (B, T) is false, and the last h of each row."""
    y, (h,) = loop(
        lambda z, state, drawn: (gru_step(z, state[0], weights, reset_after, zoneout, drawn),),
        enter(x, weights),
        (h0,),
        mask,
        masks,
    )
    return y, h


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weights: LSTMWeights,
    mask: Tensor | None,
    zoneout: tuple[float, float] = (0.0, 0.0),
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs (B, T, R), zero where `mask` (B, T) is false, and the last h and c of each row."""
    y, (h, c) = loop(
        lambda z, state, drawn: lstm_step(z, state[0], state[1], weights, zoneout, drawn),
        x if weights.mogrifier else enter(x, weights),
        (h0, c0),
        mask,
        masks,
    )
    return y, h, c


def loop(
    step: Callable[[Tensor, Any, Masks | None], tuple[Tensor, ...]],
    z: Tensor,
    state: tuple[Tensor, ...],
    mask: Tensor | None,
    masks: Masks | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take `step`(z, state, masks) over z (B, T, G): the outputs, zero where `mask` is false, and the last state."""
    outputs = []
    for t, z_t in enumerate(z.unbind(1)):
        drawn = None if masks is None else Masks(*(m[:, t] if isinstance(m, Tensor) else m for m in masks))
        new = step(z_t, state, drawn)
        y = new[0]
        if mask is not None:
            going = mask[:, t].unsqueeze(1)
            y = torch.where(going, y, 0.0)
            new = tuple(torch.where(going, after, before) for after, before in zip(new, state, strict=True))
        outputs.append(y)
        state = new
    empty = z.new_zeros(z.shape[0], 0, state[0].shape[1])
    return torch.stack(outputs, 1) if outputs else empty, state


def _recurrent(h: Tensor, weight: Tensor, norms: LayerNorms | None, part: slice = slice(None)) -> Tensor:
    return linear(h, weight) if norms is None else _normal(linear(h, weight)) * norms.hh[part]


def _shown(c: Tensor, norms: LayerNorms | None) -> Tensor:
    if norms is None or norms.c is None:
        return c
    return _normal(c) * norms.c if norms.c_bias is None else _normal(c) * norms.c + norms.c_bias


def _normal(x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:])


def _times(x: Tensor, mask: Tensor | Sequence[Any]) -> Tensor:
    return x * mask if isinstance(mask, Tensor) else x


def _zoned(new: Tensor, old: Tensor, rate: float, moves: Tensor | Sequence[Any]) -> Tensor:
    """Zoneout (Krueger et al. 2016): in training drawn, else what is to be expected."""
    if isinstance(moves, Tensor):
        return moves * new + (1 - moves) * old
    return new if rate == 0.0 else (1 - rate) * new + rate * old


def _mogrify(x: Tensor, h: Tensor, weights: LSTMWeights) -> tuple[Tensor, Tensor]:
    """What x adds to the gates and the h that they see, each scaled by the other in turn (Melis et al. 2020, 1–2)."""
    for number, matrix in enumerate(weights.mogrifier):
        if number % 2 == 0:
            x = 2 * linear(h, matrix).sigmoid() * x
        else:
            h = 2 * linear(x, matrix).sigmoid() * h
    return enter(x, weights), h
