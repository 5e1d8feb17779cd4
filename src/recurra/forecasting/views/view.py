"""What every view of sales gives: columns to read, and the base and the unit of what is answered.

Legend: B rows, T steps, K origins, H horizon, N series, L periods of history, I columns, P numbers of a
place, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.sales.calendar import Frequency

__all__ = ["Floats", "Periods", "Running", "Sizes", "Standing", "View", "joined", "logarithm"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Running = Mapping[
    str, Floats
]  # what is carried on from period to period beside the network's state, (N, …) each


class Sizes(NamedTuple):
    """How many numbers the network is given of sales."""

    columns: int  # of each period that is read
    place: int  # of a period that is forecast from
    ahead: int  # of each period ahead


class Standing(NamedTuple):
    """What the head needs to know of a period that is forecast from, beside what the encoder knows.

    An answer u means base + unit · u units sold. The leading axes are those of the periods asked for.
    """

    place: Floats  # (…, P)
    ahead: Floats  # (…, H, …) what is known of each period ahead
    unit: Floats  # (…,) above 0
    base: Floats  # (…, H), or (…, 1) where it is the same for all

    def sold(self, answers: Floats) -> Floats:
        """Answers (…, H, Q) in units sold."""
        return np.asarray(self.base[..., None] + answers * self.unit[..., None, None])

    def units(self, sold: Floats) -> Floats:
        """Units sold (…, H) as they would be answered."""
        return np.asarray((sold - self.base) / self.unit[..., None])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """That of all series of the parts, one or more."""
        return cls(*(np.concatenate([getattr(part, each) for part in parts]) for each in cls._fields))


@dataclass(frozen=True)
class Periods:
    """N series over L periods, of which series n is read from `first[n]` on; `size` is what is usual for its like."""

    values: Floats  # (N, L)
    status: NDArray[np.uint8] | None  # (N, L) as `Panel.status`
    first: NDArray[np.int64]  # (N,)
    size: Floats  # (N,) above 0
    frequency: Frequency
    phase: int  # the number of the first period, `Frequency.index`


class View(Protocol):
    """N series over L periods as the network sees them."""

    @property
    def read(self) -> Floats:
        """What is read (N, L): where a value is missing or a lower bound, what it may have been."""

    @property
    def running(self) -> Running:
        """What is carried on after the last period."""

    @classmethod
    def sizes(cls, frequency: Frequency) -> Sizes:
        """How many numbers the network is given."""

    @classmethod
    def begin(cls, series: int, frequency: Frequency) -> Running:
        """What is carried on of series that have not begun."""

    @classmethod
    def walk(cls, periods: Periods, running: Running) -> Self:
        """Go through the periods once, all series side by side, from where they stand."""

    def columns(self, rows: Rows, time: Rows) -> Floats:
        """What the encoder reads of the sales of series `rows` (B,) in periods `time` (B, T): (B, T, I)."""

    def at(self, rows: Rows, origins: Rows, horizon: int) -> Standing:
        """Where series `rows` (B,) stand after periods `origins` (B, K)."""

    def at_end(self, horizon: int) -> Standing:
        """Where all series stand after the last period, by what is carried on alone."""

    def weight(self, rows: Rows, origins: Rows) -> Floats:
        """What a loss in units counts of forecasts of series `rows` (B,) from `origins` (B, K), (B, K)."""

    def worth(self, rows: Rows, origins: Rows) -> Floats:
        """What a loss in units sold counts when steps of the training are compared, (B, K)."""


def joined(parts: Sequence[Running]) -> Running:
    """What is carried on of the series of all parts, one or more."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def logarithm(ratio: Floats) -> Floats:
    """sign(r) log(1 + |r|): like a logarithm for large numbers of either sign, and 0 at 0."""
    return np.asarray(np.sign(ratio) * np.log1p(np.abs(ratio)))
