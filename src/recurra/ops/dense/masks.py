"""What is drawn for training inside of Elman, LSTM and GRU networks: recurrent dropout and zoneout.

Legend: B rows, T steps, H units, R recurrent units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.ops.random import keep_mask

__all__ = ["Masks", "check_rate", "draw"]


class Masks(NamedTuple):
    """Factors for every step (B, T, ·), or for one (B, ·), or () where there are none.

    `dropout` multiplies the candidate (of an Elman network: h on its way into the matrix) and is 0 or 1/keep;
    `h` and `c` are zoneout's, 1 where the unit moves on and 0 where it stays.
    """

    dropout: Tensor | tuple[()] = ()
    h: Tensor | tuple[()] = ()
    c: Tensor | tuple[()] = ()


def draw(
    rows: int,
    steps: int,
    *,
    dropout: tuple[float, int] = (0.0, 0),
    h: tuple[float, int] = (0.0, 0),
    c: tuple[float, int] = (0.0, 0),
    like: Tensor,
    generator: torch.Generator | None,
) -> Masks | None:
    """Masks of B rows and T steps, each from its rate and how many units it covers; None where every rate is 0."""
    if dropout[0] == h[0] == c[0] == 0.0:
        return None

    def mask(rate: float, units: int, scale: float) -> Tensor | tuple[()]:
        if rate == 0.0:
            return ()
        return keep_mask((rows, steps, units), 1 - rate, like, generator) * scale

    return Masks(mask(*dropout, 1 / (1 - dropout[0])), mask(*h, 1.0), mask(*c, 1.0))


def check_rate(name: str, rate: float) -> float:
    """`rate` if it is a share in 0 … 1 exclusive; else ValueError."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} must lie in 0 … 1 exclusive, not {rate}")
    return rate
