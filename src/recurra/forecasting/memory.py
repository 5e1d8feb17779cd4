"""Where series stand after what was read of them: what a forecast starts from, and what an update goes on from.

Legend: N series, H horizon, A periods known ahead, D encoder output, J numbers known ahead, S periods of the season.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.history import History, Running, ahead_of, logarithm
from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.packed import Answering
from recurra.forecasting.sales.calendar import Dates, Frequency
from recurra.forecasting.sales.data import Panel

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
    last: Floats  # (N, …) past and future numbers of the last period, as they were read
    end: np.datetime64
    # None where the model is of a recurra that did not keep them.
    state: Mapping[str, Floats] | None  # the encoder's, (N, …) each
    running: Running | None

    @classmethod
    def joined(cls, parts: Sequence[Memory]) -> Memory:
        """All series of parts, one or more that stand at the same period."""
        if len(parts) == 1:
            return parts[0]

        def together(name: str) -> Floats:
            return np.concatenate([getattr(part, name) for part in parts])

        states = [part.state for part in parts if part.state is not None]
        runnings = [part.running for part in parts if part.running is not None]
        whole = len(states) == len(runnings) == len(parts)
        return replace(
            parts[0],
            ids=tuple(name for part in parts for name in part.ids),
            who=Who.joined([part.who for part in parts]),
            context=together("context"),
            level=together("level"),
            usual=together("usual"),
            known=together("known"),
            last=together("last"),
            state={name: np.concatenate([each[name] for each in states]) for name in states[0]}
            if whole
            else None,
            running=Running.joined(runnings) if whole else None,
        )

    def ahead(self, inputs: Inputs, dates: Dates, rhythm: Frequency) -> Floats:
        """What is known of the periods `dates` (H,) that follow, (N, H, …) as `History.ahead` has it."""
        series, horizon = len(self.ids), len(dates)
        calendar = np.repeat(inputs.calendar(dates, rhythm)[None], series, axis=0)
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
    who = Who(history.codes, history.lasting)
    known, last = _known_ahead(panel, history), _last(panel, history.inputs)
    end, running = panel.dates[-1], history.running
    return Memory(panel.ids, who, context, level, usual, known, last, end, after, running)


def _known_ahead(panel: Panel, history: History) -> Floats:
    """The scaled numbers of as many periods behind the panel as all of them are known of."""
    length, inputs = len(panel.dates), history.inputs
    given = [each[:, length:] for name, each in panel.covariates.future.items() if name in inputs.future]
    holes = np.any([np.isnan(each).any(0) for each in given], axis=0) if given else np.ones(1, dtype=bool)
    whole = int(holes.argmax()) if holes.any() else len(holes)
    return history.numbers[:, length : length + whole, len(inputs.past) :]


def _last(panel: Panel, inputs: Inputs) -> Floats:
    """Past and future numbers of the last period, the mean where one is not known."""
    found = []
    for which in ("past", "future"):
        given: Mapping[str, Floats] = getattr(panel.covariates, which)
        for name, scale in getattr(inputs, which).items():
            here = given[name][:, len(panel.dates) - 1] if name in given else np.zeros(len(panel.ids))
            found.append(np.nan_to_num(here, nan=scale.mean))
    none = np.zeros((len(panel.ids), 0), np.float32)
    return np.stack(found, axis=1).astype(np.float32) if found else none
