"""What the network reads of a panel: values, their level, their recent tempo, the calendar and what goes along.

Legend: N series, L periods of history, H horizon, A periods known beyond the history, F columns of the calendar, M
memories, S periods of the season, J numbers that go along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel

__all__ = ["MEMORIES", "STEPS_A_WINDOW", "History", "Running", "ahead_of", "history_of", "logarithm"]

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
class Running:
    """What is carried on from period to period beside the network's state, of N series: sums and how much they hold.

    The averages of |y|, of y over each phase of the season (phase p: periods whose number, `Frequency.index`, is p
    modulo S), and of the scaled numbers that go along; and what each phase usually sold when it was last read, 0 where
    it was not yet.
    """

    total: Floats  # (N, M)
    count: Floats  # (N, M)
    phases: Floats  # (N, S)
    phase_count: Floats  # (N, S)
    usual: Floats  # (N, S)
    numbers: Floats  # (N, J)
    number_count: Floats  # (N, 1)

    @classmethod
    def begin(cls, series: int, memories: int, season: int, numbers: int) -> Self:
        """That of series that have not begun."""
        sizes = (memories, memories, season, season, season, numbers, 1)
        return cls(*(np.zeros((series, size), np.float32) for size in sizes))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """That of the series of all parts, one or more."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def averages(self) -> Floats:
        """The averages of the numbers that go along, (N, J)."""
        return np.asarray(self.numbers / np.maximum(self.number_count, np.float32(1e-6)))

    def as_dict(self) -> dict[str, Floats]:
        """The arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class History:
    """N series over L periods as arrays, the calendar of the L + H periods from the first on, and what goes along.

    Series n is read from period `first[n]` on; from `until[n]` on it is held out of training, for validation.
    """

    values: Floats  # (N, L) what was observed
    read: Floats  # (N, L) what is read: where a value is missing or a lower bound, what it may have been
    status: NDArray[np.uint8] | None  # (N, L) as `Panel.status`
    averages: Floats  # (N, L, M) above 0, the longest memory last
    usual: Floats  # (N, L) what this phase of the season usually sold, this period included
    season: int  # periods of the season
    calendar: Floats  # (L + H, F)
    numbers: Floats  # (N, L + A, J) past and future ones, scaled; those of the past 0 beyond L
    number_averages: Floats  # (N, L, J)
    lasting: Floats  # (N, …) scaled measures
    inputs: Inputs
    codes: NDArray[np.int64]  # (N, 1 + C) rows of the table of vectors
    first: NDArray[np.int64]  # (N,)
    until: NDArray[np.int64]  # (N,)
    running: Running  # after the last period

    def beside(self, rows: NDArray[np.int64], time: NDArray[np.int64]) -> Floats:
        """What the encoder reads beside sales of series `rows` (B,) in periods `time` (B, T): (B, T, …).

        The calendar, whether the value is a lower bound or missing, the numbers that go along, how far they are from
        their averages, and the measures.
        """
        parts, row = [self.calendar[time]], rows[:, None]
        if self.inputs.marks:
            status = np.zeros(time.shape, np.uint8) if self.status is None else self.status[row, time]
            parts.append(np.stack([status == AT_LEAST, status == MISSING], -1).astype(np.float32))
        if self.numbers.shape[2]:
            numbers = self.numbers[row, time]
            swinging = _swinging(self.inputs, "past", "future")
            parts += [numbers, (numbers - self.number_averages[row, time])[..., swinging]]
        if self.lasting.shape[1]:
            parts.append(np.repeat(self.lasting[row], time.shape[1], axis=1))
        return np.concatenate(parts, -1)

    def ahead(self, rows: NDArray[np.int64], origins: NDArray[np.int64], horizon: int) -> Floats:
        """What is known of the periods ahead of `origins` (V, K) of series `rows` (V,): (V, K, H, …).

        Their calendar, the numbers known ahead and how far they are from their averages at the origin, and last what
        the same phase of the season usually sold up to the origin, in units of the level there and logarithmic; 0
        where the series has not seen that phase.
        """
        steps = np.arange(1, horizon + 1)
        period = origins[..., None] + steps
        seen = period - self.season * ((steps - 1) // self.season + 1)
        row = rows[:, None, None]
        level = self.averages[rows[:, None], origins, -1][..., None]
        size = logarithm(self.usual[row, np.maximum(seen, 0)] / level)
        begun = seen >= self.first[row]
        past = len(self.inputs.past)
        return ahead_of(
            self.inputs,
            self.calendar[np.minimum(period, len(self.calendar) - 1)],
            self.numbers[row, np.minimum(period, self.numbers.shape[1] - 1), past:],
            self.number_averages[rows[:, None], origins, None, past:],
            np.where(begun, size, np.float32(0)),
        )


def ahead_of(inputs: Inputs, calendar: Floats, numbers: Floats, averages: Floats, usual: Floats) -> Floats:
    """What is known of periods ahead (…, H): their calendar, numbers and usual sales beside one another."""
    parts = [calendar]
    if inputs.future:
        parts += [numbers, (numbers - averages)[..., _swinging(inputs, "future")]]
    return np.concatenate([*parts, usual[..., None]], -1)


def _swinging(inputs: Inputs, *which: str) -> NDArray[np.int64]:
    """Which of the numbers that go along are no flags."""
    scales = [scale for each in which for scale in getattr(inputs, each).values()]
    return np.flatnonzero([not scale.flag for scale in scales])


def logarithm(ratio: Floats) -> Floats:
    """sign(r) log(1 + |r|): like a logarithm for large numbers of either sign, and 0 at 0."""
    return np.asarray(np.sign(ratio) * np.log1p(np.abs(ratio)))


def history_of(
    panel: Panel,
    horizon: int,
    inputs: Inputs,
    who: Who,
    items: int,
    *,
    until: NDArray[np.int64] | None = None,
    running: Running | None = None,
) -> History:
    """The history of a panel whose series are `who`, of `items` known ones; with `running` it goes on from there.

    A series is read from the period before its first one, which is missing, so that a network learns what is to be
    expected of a series that nothing is known of. `until` is as in `History`, None for the end of the panel.
    """
    length = len(panel.dates)
    first, status = panel.first, panel.status
    if inputs.marks and running is None:
        first, status = _with_a_beginning(panel)
    dates = panel.frequency.dates(panel.dates[0], length + horizon)
    past, future = inputs.along(panel, "past"), inputs.along(panel, "future")
    periods = max(length, future.shape[1])
    numbers = np.zeros((len(panel.ids), periods, past.shape[2] + future.shape[2]), np.float32)
    numbers[:, : past.shape[1], : past.shape[2]] = past
    numbers[:, : future.shape[1], past.shape[2] :] = future
    season = panel.frequency.season
    if running is None:
        running = Running.begin(len(panel.ids), len(MEMORIES[panel.frequency.name]), season, numbers.shape[2])
    walk = _Walk(running, inputs.sizes(who.codes, items), panel.frequency)
    phase = int(panel.frequency.index(panel.dates[:1])[0])
    read, averages, usual, number_averages = walk.through(
        np.ascontiguousarray(panel.values, dtype=np.float32), status, first, numbers, phase
    )
    return History(
        values=np.ascontiguousarray(panel.values, dtype=np.float32),
        read=read,
        status=status,
        averages=averages,
        usual=usual,
        season=season,
        calendar=inputs.calendar(dates, panel.frequency),
        numbers=numbers,
        number_averages=number_averages,
        lasting=who.lasting,
        inputs=inputs,
        codes=who.codes,
        first=first,
        until=np.full(len(panel.ids), length, dtype=np.int64) if until is None else until,
        running=walk.running(),
    )


def _with_a_beginning(panel: Panel) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None]:
    """From where on each series is read, the period before its first one, and the status with that one missing."""
    first = np.maximum(np.minimum(panel.first, len(panel.dates)) - 1, 0)
    late = np.flatnonzero(panel.first > 0)
    if not len(late):
        return first, panel.status
    status = np.zeros(panel.values.shape, np.uint8) if panel.status is None else panel.status.copy()
    status[late, first[late]] = MISSING
    return first, status


class _Walk:
    """Goes through the periods once, all series side by side, and keeps the recurrent averages of them.

    Averages of |y| are exponential over a memory of m periods, and at the start drawn to half of the `typical` size of
    the series, as if that had been seen for one period:

        s_t = λ s_{t-1} + |y_t|,   n_t = λ n_{t-1} + 1,   average_t = (s_t + typical / 2) / (n_t + 1),   λ = 1 - 1/m

    What a phase of the season usually sold is exponential over a memory of 8 seasons, and drawn to the series' level,
    as if that had been seen once: the sales of a usual Monday, after each Monday. A missing value is read as what its
    phase usually sold and counted nowhere; of a lower bound the larger of the two is read and counted.
    """

    def __init__(self, start: Running, typical: Floats, frequency: Frequency) -> None:
        self.decay = 1 - 1 / np.asarray(MEMORIES[frequency.name], dtype=np.float32)
        self.half = (typical / 2).astype(np.float32)[:, None]
        self.season = frequency.season
        self.total, self.count = start.total, start.count
        self.phases, self.phase_count, self.usual = (
            each.T.copy() for each in (start.phases, start.phase_count, start.usual)
        )
        self.numbers, self.number_count = start.numbers, start.number_count

    def through(
        self,
        values: Floats,
        status: NDArray[np.uint8] | None,
        first: NDArray[np.int64],
        numbers: Floats,
        phase: int,
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """What is read (N, L), the averages (N, L, M), the usual (N, L) and the averages of numbers (N, L, J).

        `phase` is the number of the first period.
        """
        series, length = values.shape
        read = values if status is None else values.copy()
        averages = np.empty((length, series, len(self.decay)), np.float32)
        usual = np.empty((length, series), np.float32)
        beside = np.empty((length, series, numbers.shape[2]), np.float32)
        for t in range(length):
            begun, p = first <= t, (phase + t) % self.season
            counted = begun
            if status is not None:
                unsure = np.flatnonzero((status[:, t] != OBSERVED) & begun)
                expected = self._usual(p)[unsure]
                bound = status[unsure, t] == AT_LEAST
                read[unsure, t] = np.where(bound, np.maximum(values[unsure, t], expected), expected)
                counted = begun & (status[:, t] != MISSING)
            self._count(read[:, t], counted, p)
            if numbers.shape[2]:
                self._along(numbers[:, t], begun)
                beside[t] = self.numbers / np.maximum(self.number_count, np.float32(1e-6))
            averages[t], usual[t] = self._averages(), self._usual(p)
            self.usual[p] = np.where(begun, usual[t], self.usual[p])
        turned = (np.ascontiguousarray(each.swapaxes(0, 1)) for each in (averages, usual, beside))
        return (read, *turned)  # type: ignore[return-value]

    def running(self) -> Running:
        """Where it stands."""
        phases, count, usual = (
            np.ascontiguousarray(each.T) for each in (self.phases, self.phase_count, self.usual)
        )
        return Running(self.total, self.count, phases, count, usual, self.numbers, self.number_count)

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

    def _along(self, numbers: Floats, begun: NDArray[np.bool_]) -> None:
        here, decay = begun[:, None], self.decay[-1]
        self.numbers = np.where(here, decay * self.numbers + numbers, self.numbers)
        self.number_count = np.where(here, decay * self.number_count + 1, self.number_count)
