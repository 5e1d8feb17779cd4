"""What the network reads of a panel: values, their level, their recent tempo, and the calendar.

Legend: N series, L periods of history, H horizon, F calendar features, M memories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.calendar import Frequency, calendar_features
from recurra.forecasting.data import Panel

__all__ = [
    "MEMORIES",
    "STEPS_A_WINDOW",
    "History",
    "averages",
    "history_of",
    "logarithm",
    "typical_size",
    "usual",
]

Floats = NDArray[np.float32]

# Over how many periods the recurrent averages of a series reach, shortest first. The longest is the series' level:
# the unit in which it is read and forecast; the others tell the network how sales have moved of late.
MEMORIES: Final = {
    "hourly": (24.0, 168.0, 672.0),
    "daily": (7.0, 28.0, 56.0),
    "weekly": (4.0, 13.0, 26.0),
    "monthly": (3.0, 6.0, 12.0),
    "quarterly": (2.0, 4.0, 8.0),
    "yearly": (2.0, 3.0, 5.0),
}
PHASE_MEMORY: Final = 8.0  # seasons
# Periods that training reads between two steps.
STEPS_A_WINDOW: Final = {"hourly": 96, "daily": 42, "weekly": 52, "monthly": 24, "quarterly": 12, "yearly": 8}


@dataclass(frozen=True)
class History:
    """N series over L periods as arrays, and the calendar of the L + H periods from the first on.

    Series n has values from `first[n]` on; from `until[n]` on they are held out of training, for validation.
    """

    values: Floats  # (N, L)
    averages: Floats  # (N, L, M) above 0, the longest memory last
    usual: Floats  # (N, L) what this phase of the season usually sold, this period included
    season: int  # periods of the season
    calendar: Floats  # (L + H, F)
    items: NDArray[np.int64]  # (N,) rows of the embedding
    first: NDArray[np.int64]  # (N,)
    until: NDArray[np.int64]  # (N,)

    def ahead(self, rows: NDArray[np.int64], origins: NDArray[np.int64], horizon: int) -> Floats:
        """What is known of the periods ahead of `origins` (V, K) of series `rows` (V,): (V, K, H, F + 1).

        Their calendar, and what the same phase of the season usually sold up to the origin, in units of the level
        there and logarithmic; 0 where the series has not seen that phase.
        """
        steps = np.arange(1, horizon + 1)
        period = origins[..., None] + steps
        seen = period - self.season * ((steps - 1) // self.season + 1)
        row = rows[:, None, None]
        level = self.averages[rows[:, None], origins, -1][..., None]
        size = logarithm(self.usual[row, np.maximum(seen, 0)] / level)
        begun = seen >= self.first[row]
        calendar = self.calendar[np.minimum(period, len(self.calendar) - 1)]
        return np.concatenate([calendar, np.where(begun, size, np.float32(0))[..., None]], -1)


def logarithm(ratio: Floats) -> Floats:
    """sign(r) log(1 + |r|): like a logarithm for large numbers of either sign, and 0 at 0."""
    return np.asarray(np.sign(ratio) * np.log1p(np.abs(ratio)))


def history_of(
    panel: Panel,
    horizon: int,
    typical: float,
    items: NDArray[np.int64],
    until: NDArray[np.int64] | None = None,
) -> History:
    """The history of a panel whose series have the embeddings `items` (N,) and the usual size `typical`."""
    length = len(panel.dates)
    dates = panel.frequency.dates(panel.dates[0], length + horizon)
    sizes = averages(panel.values, panel.first, typical, panel.frequency)
    phases = usual(panel.values, panel.first, sizes[..., -1], panel.frequency.season)
    return History(
        values=np.ascontiguousarray(panel.values, dtype=np.float32),
        averages=sizes,
        usual=phases,
        season=panel.frequency.season,
        calendar=calendar_features(dates, panel.frequency),
        items=items,
        first=panel.first,
        until=np.full(len(panel.ids), length, dtype=np.int64) if until is None else until,
    )


def averages(
    values: NDArray[np.float32], first: NDArray[np.int64], typical: float, frequency: Frequency
) -> NDArray[np.float32]:
    """Recurrent averages of |y| after every period, (N, L) -> (N, L, M), always above 0.

    Each is exponential over a memory of m periods from the series' first one on, and at the start drawn to half of
    `typical`, as if that had been seen for one period:

        s_t = λ s_{t-1} + |y_t|,   n_t = λ n_{t-1} + 1,   average_t = (s_t + typical / 2) / (n_t + 1),   λ = 1 - 1/m
    """
    memories = np.asarray(MEMORIES[frequency.name], dtype=np.float32)
    decay = 1 - 1 / memories
    total = np.zeros((len(values), len(memories)), dtype=np.float32)
    count = np.zeros_like(total)
    result = np.empty((values.shape[1], len(values), len(memories)), dtype=np.float32)
    for t in range(values.shape[1]):
        begun = (first <= t)[:, None]
        total = np.where(begun, decay * total + np.abs(values[:, t, None]), total)
        count = np.where(begun, decay * count + 1, count)
        result[t] = (total + np.float32(typical / 2)) / (count + 1)
    return np.ascontiguousarray(result.swapaxes(0, 1))


def usual(
    values: NDArray[np.float32], first: NDArray[np.int64], level: NDArray[np.float32], season: int
) -> NDArray[np.float32]:
    """The recurrent average of y over the same phase of the season after every period, (N, L) -> (N, L).

    It is exponential over a memory of 8 seasons, and drawn to the series' `level` (N, L) there, as if that had been
    seen once: the sales of a usual Monday, after each Monday.
    """
    decay = np.float32(1 - 1 / PHASE_MEMORY)
    total = np.zeros((season, len(values)), dtype=np.float32)
    count = np.zeros_like(total)
    result = np.empty((values.shape[1], len(values)), dtype=np.float32)
    for t in range(values.shape[1]):
        phase, begun = t % season, first <= t
        total[phase] = np.where(begun, decay * total[phase] + values[:, t], total[phase])
        count[phase] = np.where(begun, decay * count[phase] + 1, count[phase])
        result[t] = (total[phase] + level[:, t]) / (count[phase] + 1)
    return np.ascontiguousarray(result.T)


def typical_size(panel: Panel) -> float:
    """The usual size of a series: the median over series of their mean |y|, or 1 where nothing was ever sold."""
    counts = np.maximum(len(panel.dates) - panel.first, 1)
    means = np.abs(panel.values).sum(1, dtype=np.float64) / counts
    sold = means[means > 0]
    return float(np.median(sold)) if len(sold) else 1.0
