"""Where series stand after what was read of them: what a forecast starts from, and what an update goes on from.

Legend: N series, H horizon, A periods known ahead, D encoder output, J numbers known ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recurra.forecasting.history import History, ahead_of, average_number
from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.packed import Answering
from recurra.forecasting.sales.calendar import Dates, Frequency
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views.view import Floats, Running, Standing, joined

__all__ = ["Memory", "read"]


@dataclass(frozen=True)
class Memory:
    """N series after their last period `end`."""

    ids: tuple[str, ...]
    who: Who
    context: Floats  # (N, D) what the encoder knows
    standing: Standing  # by the view of sales alone
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
            standing=Standing.joined([part.standing for part in parts]),
            known=together("known"),
            last=together("last"),
            state={name: np.concatenate([each[name] for each in states]) for name in states[0]}
            if whole
            else None,
            running=joined(runnings) if whole else None,
        )

    def after(self, inputs: Inputs, dates: Dates, rhythm: Frequency) -> Standing:
        """Where the series stand, with all that is known of the periods `dates` (H,) that follow, as `History.at`."""
        series, horizon = len(self.ids), len(dates)
        calendar = np.repeat(inputs.calendar(dates, rhythm)[None], series, axis=0)
        averages: Floats = np.zeros((series, 1, len(inputs.future)), np.float32)
        if self.running is not None:
            averages = average_number(self.running)[:, None, len(inputs.past) :]
        known = self.known[:, :horizon]
        return self.standing._replace(ahead=ahead_of(inputs, calendar, known, averages, self.standing.ahead))


def read(
    network: Answering,
    panel: Panel,
    history: History,
    horizon: int,
    state: Mapping[str, Floats] | None = None,
) -> Memory:
    """Read the history of a panel, from `state` on or from the beginning."""
    context, after = network.contexts(history, state)
    who, standing = Who(history.codes, history.lasting), history.view.at_end(horizon)
    known, last = _known_ahead(panel, history), _last(panel, history.inputs)
    return Memory(panel.ids, who, context, standing, known, last, panel.dates[-1], after, history.running)


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
