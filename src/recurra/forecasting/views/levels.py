"""Sales in units of their level: for items that often sell nothing, and whose level wanders.

A series is read and forecast in units of its own recurrent average, so that large and small sellers look alike; the
level itself is told, too.

Legend: B rows, T steps, K origins, H horizon, N series, L periods of history, M memories, S periods of the season.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.views.view import Floats, Periods, Rows, Running, Sizes, Standing, logarithm

__all__ = ["MEMORIES", "Levels"]

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
LOG_LEVEL = np.float32(0.3)


@dataclass(frozen=True)
class Levels:
    """A `View` by recurrent averages.

    What is carried on are the averages of |y| and of y over each phase of the season (phase p: periods whose number,
    `Frequency.index`, is p modulo S), as sums and how much they hold, and what each phase usually sold when it was
    last read, 0 where it was not yet.
    """

    read: Floats  # (N, L)
    running: Running
    averages: Floats  # (N, L, M) above 0, the longest memory last
    usual: Floats  # (N, L) what this phase of the season usually sold, this period included
    first: NDArray[np.int64]  # (N,)
    season: int
    following: int  # the phase of the period after the last

    @classmethod
    def sizes(cls, frequency: Frequency) -> Sizes:
        """As `View` says."""
        return Sizes(columns=2 + len(MEMORIES[frequency.name]), place=1, ahead=1)

    @classmethod
    def begin(cls, series: int, frequency: Frequency) -> Running:
        """As `View` says."""
        memories, season = len(MEMORIES[frequency.name]), frequency.season
        sizes = {
            "total": memories,
            "count": memories,
            "phases": season,
            "phase_count": season,
            "usual": season,
        }
        return {name: np.zeros((series, size), np.float32) for name, size in sizes.items()}

    @classmethod
    def walk(cls, periods: Periods, running: Running) -> Self:
        """As `View` says."""
        walk = _Walk(running, periods)
        read, averages, usual = walk.through(periods)
        season = periods.frequency.season
        following = (periods.phase + read.shape[1]) % season
        return cls(read, walk.running(), averages, usual, periods.first, season, following)

    def columns(self, rows: Rows, time: Rows) -> Floats:
        """As `View` says: the size in units of the level, whether anything was sold, the level, the recent tempo."""
        row = rows[:, None]
        y, averages = self.read[row, time], self.averages[row, time]
        level = averages[..., -1:]
        size, sold = logarithm(y[..., None] / level), (y[..., None] > 0).astype(np.float32)
        tempo = np.log(averages[..., :-1] / level)
        return np.concatenate([size, sold, LOG_LEVEL * np.log(level), tempo], -1)

    def at(self, rows: Rows, origins: Rows, horizon: int) -> Standing:
        """As `View` says.

        Of each period ahead it tells what the same phase of the season usually sold up to the origin, in units of
        the level there and logarithmic; 0 where the series has not seen that phase.
        """
        steps = np.arange(1, horizon + 1)
        seen = origins[..., None] + steps - self.season * ((steps - 1) // self.season + 1)
        row = rows[:, None, None]
        usual = np.where(seen >= self.first[row], self.usual[row, np.maximum(seen, 0)], np.float32(0))
        return self._standing(self.averages[rows[:, None], origins, -1], usual)

    def at_end(self, horizon: int) -> Standing:
        """As `View` says."""
        phases = (self.following + np.arange(horizon)) % self.season
        return self._standing(self.averages[:, -1, -1], self.running["usual"][:, phases])

    def weight(self, rows: Rows, origins: Rows) -> Floats:
        """The root of the level, 1 on average.

        In units of the level every series would weigh the same, in units sold the largest would drown the others; the
        root between them measured best (docs/decisions/0003).
        """
        return np.asarray(np.sqrt(self.averages[rows[:, None], origins, -1]) / self._mean_root)

    def worth(self, rows: Rows, origins: Rows) -> Floats:
        """As `View` says: units sold count alike."""
        return np.ones(origins.shape, np.float32)

    @cached_property
    def _mean_root(self) -> np.float32:
        return np.float32(np.sqrt(self.averages[..., -1]).mean(dtype=np.float64))

    @staticmethod
    def _standing(level: Floats, usual: Floats) -> Standing:
        place = (LOG_LEVEL * np.log(level))[..., None]
        ahead = logarithm(usual / level[..., None])[..., None]
        return Standing(place, ahead, level, np.zeros((*level.shape, 1), np.float32))


class _Walk:
    """Goes through the periods once, all series side by side, and keeps the recurrent averages of them.

    Averages of |y| are exponential over a memory of m periods, and at the start drawn to half of the usual `size` of
    the series, as if that had been seen for one period:

        s_t = λ s_{t-1} + |y_t|,   n_t = λ n_{t-1} + 1,   average_t = (s_t + size / 2) / (n_t + 1),   λ = 1 - 1/m

    What a phase of the season usually sold is exponential over a memory of 8 seasons, and drawn to the series' level,
    as if that had been seen once: the sales of a usual Monday, after each Monday. A missing value is read as what its
    phase usually sold and counted nowhere; of a lower bound the larger of the two is read and counted.
    """

    def __init__(self, start: Running, periods: Periods) -> None:
        self.decay = 1 - 1 / np.asarray(MEMORIES[periods.frequency.name], dtype=np.float32)
        self.half = (periods.size / 2).astype(np.float32)[:, None]
        self.total, self.count = start["total"], start["count"]
        self.phases, self.phase_count, self.usual = (
            start[name].T.copy() for name in ("phases", "phase_count", "usual")
        )

    def through(self, periods: Periods) -> tuple[Floats, Floats, Floats]:
        """What is read (N, L), the averages (N, L, M) and the usual (N, L)."""
        values, status, season = periods.values, periods.status, periods.frequency.season
        series, length = values.shape
        read = values if status is None else values.copy()
        averages = np.empty((length, series, len(self.decay)), np.float32)
        usual = np.empty((length, series), np.float32)
        for t in range(length):
            begun, p = periods.first <= t, (periods.phase + t) % season
            counted = begun
            if status is not None:
                unsure = np.flatnonzero((status[:, t] != OBSERVED) & begun)
                expected = self._usual(p)[unsure]
                bound = status[unsure, t] == AT_LEAST
                read[unsure, t] = np.where(bound, np.maximum(values[unsure, t], expected), expected)
                counted = begun & (status[:, t] != MISSING)
            self._count(read[:, t], counted, p)
            averages[t], usual[t] = self._averages(), self._usual(p)
            self.usual[p] = np.where(begun, usual[t], self.usual[p])
        averages, usual = (np.ascontiguousarray(each.swapaxes(0, 1)) for each in (averages, usual))
        return read, averages, usual

    def running(self) -> Running:
        """Where it stands."""
        turned = {
            name: np.ascontiguousarray(getattr(self, name).T) for name in ("phases", "phase_count", "usual")
        }
        return {"total": self.total, "count": self.count, **turned}

    def _averages(self) -> Floats:
        return np.asarray((self.total + self.half) / (self.count + 1))

    def _usual(self, phase: int) -> Floats:
        level = self._averages()[:, -1]
        return np.asarray((self.phases[phase] + level) / (self.phase_count[phase] + 1))

    def _count(self, y: Floats, counted: NDArray[np.bool_], phase: int) -> None:
        here = counted[:, None]
        self.total = np.where(here, self.decay * self.total + np.abs(y[:, None]), self.total)
        self.count = np.where(here, self.decay * self.count + 1, self.count)
        decay = np.float32(1 - 1 / PHASE_MEMORY)
        total, count = self.phases[phase], self.phase_count[phase]
        self.phases[phase] = np.where(counted, decay * total + y, total)
        self.phase_count[phase] = np.where(counted, decay * count + 1, count)
