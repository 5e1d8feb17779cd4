"""New sales of series whose history was read before: only these are read, and the stored states move on.

Legend: N series that are known, L new periods, J numbers that go along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, ModelError, UsageError
from recurra.forecasting.history import beginning, history_of
from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.memory import Memory, read
from recurra.forecasting.packed import Answering
from recurra.forecasting.sales.covariates import MISSING, OBSERVED, Covariates
from recurra.forecasting.sales.data import LARGEST, Panel
from recurra.forecasting.views.view import Floats, Running, joined

__all__ = ["moved_on"]


def moved_on(
    memory: Memory,
    panel: Panel,
    network: Answering,
    inputs: Inputs,
    items: dict[str, int],
    *,
    horizon: int,
    gaps: str,
) -> Memory:
    """The memory of all series after the new periods of a panel; new items begin.

    It is that of reading the whole history, to rounding. Of `items`, those trained on, it is told the numbers. Raises
    InputError where the panel begins in a period that was read already or ends too late, UsageError where the memory
    holds no states, ModelError where they are another cell's.
    """
    if memory.state is None or memory.running is None:
        raise UsageError(
            "this model was saved by a recurra that kept no states",
            hint="Forecast from the whole history, or train it again.",
        )
    rhythm = panel.frequency
    end, begin = (int(rhythm.index(np.array([date]))[0]) for date in (memory.end, panel.dates[0]))
    if begin <= end:
        raise InputError(
            f"sales of {panel.dates[0]} are of a period that was read already: the model knows all to {memory.end}",
            value=panel.dates[0],
            hint="Give later rows alone; to correct what was, forecast from the whole history.",
        )
    start = network.start()
    if {name: each.shape[1:] for name, each in start.items()} != {
        name: each.shape[1:] for name, each in memory.state.items()
    }:
        raise ModelError("the states that the model keeps are not those of its cell", hint="Train it again.")
    read_before = set(memory.ids)
    new = [name for name in panel.ids if name not in read_before]
    series, length = len(memory.ids) + len(new), begin - end + len(panel.dates)
    if series * length > LARGEST:
        raise InputError(
            f"{length:,} periods of {series:,} series after {memory.end} are more numbers than recurra holds "
            f"({LARGEST:,})",
            value=panel.dates[-1],
            hint="Correct the date if it is wrong, or train a new model.",
        )
    grown, running, state = _grown(memory, panel, new, begin - end, inputs, start, gaps)
    numbers = np.array([items.get(name, 0) for name in new], dtype=np.int64)
    theirs = inputs.who(panel.select(new), numbers, len(items))
    who = Who.joined([memory.who, theirs])
    history = history_of(grown, horizon, inputs, who, len(items), running=running)
    after = read(network, grown, history, horizon, state)
    if new:  # of which nothing was known ahead before
        return after
    late = memory.known[:, len(grown.dates) - 1 :]
    return replace(after, known=np.concatenate([after.known, late[:, after.known.shape[1] :]], axis=1))


def _grown(
    memory: Memory,
    panel: Panel,
    new: list[str],
    gap: int,
    inputs: Inputs,
    start: Mapping[str, Floats],
    gaps: str,
) -> tuple[Panel, Running, dict[str, Floats]]:
    """The panel of all series from the last period read before on, and where they stand after that one.

    The series known before are read from the period after it. New ones begin in the period before their first sale,
    which may be it.
    """
    assert memory.running is not None and memory.state is not None  # noqa: PT018 - told before
    ids, length = (*memory.ids, *new), gap + len(panel.dates)
    places = {name: place for place, name in enumerate(ids)}
    rows = np.array([places[name] for name in panel.ids], dtype=np.int64)
    known = np.arange(len(ids)) < len(memory.ids)
    absent, begins = MISSING if gaps == "missing" else OBSERVED, gap + panel.first
    values, status = np.zeros((len(ids), length), np.float32), np.full((len(ids), length), absent, np.uint8)
    values[rows, gap:] = panel.values
    there = np.zeros((len(rows), length), np.uint8)
    if panel.status is not None:
        there[:, gap:] = panel.status
    status[rows] = np.where(np.arange(length) >= begins[:, None], there, absent)
    first = np.ones(len(ids), dtype=np.int64)
    first[rows] = np.where(known[rows], 1, np.maximum(np.minimum(begins, length) - 1, 0))
    status[~known, first[~known]] = MISSING
    grown = replace(
        panel,
        ids=ids,
        dates=panel.frequency.dates(memory.end, length),
        values=values,
        status=status,
        first=first,
        covariates=_along(memory, panel, rows, gap, inputs),
    )
    running = joined([memory.running, beginning(inputs, panel.frequency, len(new))])
    state = {
        name: np.concatenate([each, np.repeat(start[name], len(new), axis=0)])
        for name, each in memory.state.items()
    }
    return grown, running, state


def _along(memory: Memory, panel: Panel, rows: NDArray[np.int64], gap: int, inputs: Inputs) -> Covariates:
    """What goes along from the last period read before on; where a series has no line yet, its last numbers go on.

    A new series has its first numbers before its first line, as where the whole history is read.
    """
    series, place = max(len(memory.ids), 1 + int(rows.max())), 0
    known = rows < len(memory.ids)
    found: dict[str, dict[str, Floats]] = {"past": {}, "future": {}}
    for which, scales in (("past", inputs.past), ("future", inputs.future)):
        for name, scale in scales.items():
            given, last = getattr(panel.covariates, which).get(name), np.zeros(series, np.float32)
            if given is not None:
                if not scale.flag:
                    last[: len(memory.ids)] = memory.last[:, place]
                    last[rows[~known]] = given[~known, 0]
                grid = np.repeat(last[:, None], gap + given.shape[1], axis=1)
                told = np.arange(given.shape[1]) >= np.where(known, panel.first, 0)[:, None]
                grid[rows, gap:] = np.where(told, given, grid[rows, gap:])
                found[which][name] = grid
            place += 1
    return Covariates(past=found["past"], future=found["future"])
