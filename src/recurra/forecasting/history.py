"""What the network reads of a panel: a view of its sales, the calendar and what goes along.

Legend: N series, L periods of history, H horizon, A periods known beyond the history, F columns of the calendar, J
numbers that go along, V series, K origins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views.levels import MEMORIES, Levels
from recurra.forecasting.views.smoothers import Smoothers
from recurra.forecasting.views.view import Floats, Periods, Running, Sizes, Standing, View

__all__ = [
    "STEPS_A_WINDOW",
    "VIEWS",
    "History",
    "ahead_of",
    "average_number",
    "beginning",
    "history_of",
    "sizes_of",
]

VIEWS: Final[Mapping[str, type[View]]] = {"level": Levels, "trend": Smoothers}
# Periods that training reads between two steps.
STEPS_A_WINDOW: Final = {"hourly": 96, "daily": 42, "weekly": 52, "monthly": 24, "quarterly": 12, "yearly": 8}


@dataclass(frozen=True)
class History:
    """N series over L periods as arrays, the calendar of the L + H periods from the first on, and what goes along.

    Series n is read from period `first[n]` on; from `until[n]` on it is held out of training, for validation.
    """

    values: Floats  # (N, L) what was observed
    status: NDArray[np.uint8] | None  # (N, L) as `Panel.status`
    view: View
    calendar: Floats  # (L + H, F)
    numbers: Floats  # (N, L + A, J) past and future ones, scaled; those of the past 0 beyond L
    number_averages: Floats  # (N, L, J)
    lasting: Floats  # (N, …) scaled measures
    inputs: Inputs
    codes: NDArray[np.int64]  # (N, 1 + C) rows of the table of vectors
    first: NDArray[np.int64]  # (N,)
    until: NDArray[np.int64]  # (N,)
    running: Running  # after the last period: the view's, and the averages of the numbers

    def columns(self, rows: NDArray[np.int64], time: NDArray[np.int64]) -> Floats:
        """What the encoder reads of series `rows` (B,) in periods `time` (B, T), (B, T, …): sales, and beside them."""
        return np.concatenate([self.view.columns(rows, time), self.beside(rows, time)], -1)

    def beside(self, rows: NDArray[np.int64], time: NDArray[np.int64]) -> Floats:
        """What stands beside sales: (B, T, …).

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

    def at(self, rows: NDArray[np.int64], origins: NDArray[np.int64], horizon: int) -> Standing:
        """Where series `rows` (V,) stand after periods `origins` (V, K), with all that is known ahead of them.

        Of each period ahead its calendar, the numbers known ahead and how far they are from their averages at the
        origin, and last what the view of sales says of it.
        """
        period = origins[..., None] + np.arange(1, horizon + 1)
        row, past = rows[:, None, None], len(self.inputs.past)
        standing = self.view.at(rows, origins, horizon)
        ahead = ahead_of(
            self.inputs,
            self.calendar[np.minimum(period, len(self.calendar) - 1)],
            self.numbers[row, np.minimum(period, self.numbers.shape[1] - 1), past:],
            self.number_averages[rows[:, None], origins, None, past:],
            standing.ahead,
        )
        return standing._replace(ahead=ahead)

    def after(self, rows: NDArray[np.int64], origin: int, horizon: int) -> Standing:
        """Where series `rows` (V,) stand after one period: `at`, of axes (V, …)."""
        found = self.at(rows, np.full((len(rows), 1), origin), horizon)
        return Standing(*(each[:, 0] for each in found))


def ahead_of(inputs: Inputs, calendar: Floats, numbers: Floats, averages: Floats, sales: Floats) -> Floats:
    """What is known of periods ahead (…, H, …): their calendar, numbers and sales beside one another."""
    parts = [calendar]
    if inputs.future:
        parts += [numbers, (numbers - averages)[..., _swinging(inputs, "future")]]
    return np.concatenate([*parts, sales], -1)


def _swinging(inputs: Inputs, *which: str) -> NDArray[np.int64]:
    """Which of the numbers that go along are no flags."""
    scales = [scale for each in which for scale in getattr(inputs, each).values()]
    return np.flatnonzero([not scale.flag for scale in scales])


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
    length, kind = len(panel.dates), VIEWS[inputs.view]
    first, status = panel.first, panel.status
    if inputs.marks and running is None:
        first, status = _with_a_beginning(panel)
    dates = panel.frequency.dates(panel.dates[0], length + horizon)
    past, future = inputs.along(panel, "past"), inputs.along(panel, "future")
    ahead = max(length, future.shape[1])
    numbers = np.zeros((len(panel.ids), ahead, past.shape[2] + future.shape[2]), np.float32)
    numbers[:, : past.shape[1], : past.shape[2]] = past
    numbers[:, : future.shape[1], past.shape[2] :] = future
    if running is None:
        running = beginning(inputs, panel.frequency, len(panel.ids))
    periods = Periods(
        values=np.ascontiguousarray(panel.values, dtype=np.float32),
        status=status,
        first=first,
        size=inputs.sizes(who.codes, items),
        frequency=panel.frequency,
        phase=int(panel.frequency.index(panel.dates[:1])[0]),
    )
    view = kind.walk(periods, {name: running[name] for name in kind.begin(0, panel.frequency)})
    decay = 1 - 1 / MEMORIES[panel.frequency.name][-1]
    averages, along = _averaged(numbers[:, :length], first, running, decay)
    return History(
        values=periods.values,
        status=status,
        view=view,
        calendar=inputs.calendar(dates, panel.frequency),
        numbers=numbers,
        number_averages=averages,
        lasting=who.lasting,
        inputs=inputs,
        codes=who.codes,
        first=first,
        until=np.full(len(panel.ids), length, dtype=np.int64) if until is None else until,
        running={**view.running, **along},
    )


def sizes_of(inputs: Inputs, frequency: Frequency) -> Sizes:
    """How many numbers the network is given, those beside sales included."""
    calendar, sales = inputs.calendar_columns(frequency), VIEWS[inputs.view].sizes(frequency)
    columns, ahead = sales.columns + calendar + inputs.beside, calendar + inputs.ahead + sales.ahead
    return Sizes(columns, sales.place, ahead)


def beginning(inputs: Inputs, frequency: Frequency, series: int) -> Running:
    """What is carried on of series that have not begun."""
    numbers = len(inputs.past) + len(inputs.future)
    along = {
        "numbers": np.zeros((series, numbers), np.float32),
        "number_count": np.zeros((series, 1), np.float32),
    }
    return {**VIEWS[inputs.view].begin(series, frequency), **along}


def _with_a_beginning(panel: Panel) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None]:
    """From where on each series is read, the period before its first one, and the status with that one missing."""
    first = np.maximum(np.minimum(panel.first, len(panel.dates)) - 1, 0)
    late = np.flatnonzero(panel.first > 0)
    if not len(late):
        return first, panel.status
    status = np.zeros(panel.values.shape, np.uint8) if panel.status is None else panel.status.copy()
    status[late, first[late]] = MISSING
    return first, status


def _averaged(
    numbers: Floats, first: NDArray[np.int64], start: Running, decay: float
) -> tuple[Floats, dict[str, Floats]]:
    """The recurrent averages of numbers (N, L, J) that go along, (N, L, J), and what is carried on."""
    total, count = start["numbers"], start["number_count"]
    kept = np.float32(decay)
    averages = np.empty(numbers.shape, np.float32)
    for t in range(numbers.shape[1] if numbers.shape[2] else 0):
        begun = (first <= t)[:, None]
        total = np.where(begun, kept * total + numbers[:, t], total)
        count = np.where(begun, kept * count + 1, count)
        averages[:, t] = average_number({"numbers": total, "number_count": count})
    return averages, {"numbers": total, "number_count": count}


def average_number(running: Running) -> Floats:
    """The averages of the numbers that go along, (N, J)."""
    return np.asarray(running["numbers"] / np.maximum(running["number_count"], np.float32(1e-6)))
