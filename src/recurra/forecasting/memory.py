"""Where series stand after what was read of them: what a forecast starts from, and what an update goes on from.

Legend: N series, H horizon, A periods known ahead, D encoder output, J numbers known ahead, S periods of the season.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.calendar import Dates, Frequency, calendar_features
from recurra.forecasting.data import Panel
from recurra.forecasting.history import History, Running, ahead_of, logarithm
from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.packed import Answering

__all__ = ["Memory", "read"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Memory:
    """N series after their last period `end`."""

    ids: tuple[str, ...]
    who: Who
    context: Floats  # (N, D) what the encoder knows
    level: Floats  # (N,) the unit of the forecast
    usual: Floats  # (N, min(S, H)) what each phase ahead usually sold, as `History.ahead` has it
    known: Floats  # (N, A, J) numbers known ahead, scaled
    end: np.datetime64
    # None where the model is of a recurra that did not keep them.
    state: Mapping[str, Floats] | None  # the encoder's, (N, …) each
    running: Running | None

    def select(self, index: NDArray[np.int64]) -> Self:
        """The series at `index`."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            who=self.who.select(index),
            context=self.context[index],
            level=self.level[index],
            usual=self.usual[index],
            known=self.known[index],
            state=None if self.state is None else {name: each[index] for name, each in self.state.items()},
            running=None if self.running is None else self.running.select(index),
        )

    def ahead(self, inputs: Inputs, dates: Dates, rhythm: Frequency) -> Floats:
        """What is known of the periods `dates` (H,) that follow, (N, H, …) as `History.ahead` has it."""
        series, horizon = len(self.ids), len(dates)
        calendar = np.repeat(calendar_features(dates, rhythm)[None], series, axis=0)
        usual = self.usual[:, np.arange(horizon) % self.usual.shape[1]]
        averages: Floats = np.zeros((series, 1, len(inputs.future)), np.float32)
        if self.running is not None:
            averages = self.running.averages()[:, None, len(inputs.past) :]
        return ahead_of(inputs, calendar, self.known[:, :horizon], averages, usual)


def read(
    network: Answering,
    panel: Panel,
    history: History,
    horizon: int,
    state: Mapping[str, Floats] | None = None,
) -> Memory:
    """Read the history of a panel, from `state` on or from the beginning."""
    length = len(panel.dates)
    context, after = network.contexts(history, state)
    level = history.averages[:, length - 1, -1]
    phases = min(history.season, horizon)
    following = int(panel.frequency.index(panel.dates[-1:])[0]) + 1 + np.arange(phases)
    usual = logarithm(history.running.usual[:, following % history.season] / level[:, None])
    known = history.numbers[:, length:, len(history.inputs.past) :]
    who = Who(history.codes, history.lasting)
    return Memory(panel.ids, who, context, level, usual, known, panel.dates[-1], after, history.running)
