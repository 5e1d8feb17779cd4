"""A forecasting network packed for the streaming engine: it reads histories and answers without torch.

It is two programs, the steps of `ForecastNetwork`: `read` takes one period of a series, and its state is that of the
encoder; `answer` gives the quantiles of one period ahead, and has none.

Legend: N series, H horizon, C attributes, D encoder output, P numbers of a place, Q quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recurra import native
from recurra.errors import ModelError
from recurra.forecasting.history import History
from recurra.forecasting.views.view import Sizes
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine

__all__ = ["PROGRAMS", "Answering", "PackedNetwork"]

PROGRAMS = ("read", "answer")
SERIES = 1024  # that are read at once: a bound on memory
ANSWERS = 16_384  # periods of series that are answered at once: a bound on memory
THREADS = 1  # so small a step is over before threads have met, and on a busy computer they wait long
_AGAIN = "Pack the model again with: recurra pack."

Floats = NDArray[np.float32]


class Answering(Protocol):
    """What reads histories and answers: a `PackedNetwork`, or with torch a `ForecastNetwork`."""

    def contexts(
        self, history: History, state: Mapping[str, Floats] | None = None
    ) -> tuple[Floats, dict[str, Floats]]:
        """What the encoder knows of every series after its last period, (N, D), and its state then, (N, …) each.

        With `state`, by the names of `recurra.state.flatten`, the series go on from there.
        """

    def start(self) -> dict[str, Floats]:
        """The state of a series that begins, (1, …) each."""

    def answers(self, context: Floats, place: Floats, ahead: Floats, codes: NDArray[np.int64]) -> Floats:
        """The forecast quantiles (N, H, Q) in units of the view.

        From contexts (N, D) at an origin, what is known of it, `place` (N, P), and `ahead` (N, H, …), and codes
        (N, 1 + C).
        """


class PackedNetwork:
    """The two programs of a network.

    Parameters
    ----------
    programs: by the names in PROGRAMS.
    """

    def __init__(self, programs: Mapping[str, Packed]) -> None:
        self.programs = dict(programs)

    @property
    def weights(self) -> str:
        """How its matrices are stored."""
        return str(self.programs["read"].description["about"].get("weights"))

    def check(
        self,
        *,
        of: str,
        sizes: Sizes,
        codes: int,
        rows: int,
        width: int,
        horizon: int,
        quantiles: int,
    ) -> None:
        """Raise ModelError unless these are whole programs of the network with the weights `of`, and of its sizes."""
        if missing := sorted({*PROGRAMS} ^ self.programs.keys()):
            raise ModelError("a packed forecaster is two programs", value=", ".join(missing), hint=_AGAIN)
        who = [[f"code {number}", rows, True] for number in range(codes)]
        read = [["columns", sizes.columns, False], *who]
        answer = [["context", width, False], ["place", sizes.place, False], ["ahead", sizes.ahead, False]]
        answer += [["period", horizon, True], *who]
        for name, inputs, size in (("read", read, width), ("answer", answer, quantiles)):
            known = self.programs[name].description
            if known["about"].get("of") != of:
                raise ModelError(f"{name}.packed was packed from other weights", hint=_AGAIN)
            taken = [[each, count, offset is None] for each, count, offset in known["inputs"]]
            given = [int(np.prod(shape)) for _, shape in known["outputs"]]
            if taken != inputs or given != [size] or (name == "answer" and known["leaves"]):
                raise ModelError(f"{name}.packed does not fit this model", value=[taken, given], hint=_AGAIN)
        if native.available():
            _ = self._read, self._answer  # the engine looks at every number of a program

    @cached_property
    def _read(self) -> Engine:
        return Engine(self.programs["read"], threads=THREADS)

    @cached_property
    def _answer(self) -> Engine:
        return Engine(self.programs["answer"], threads=THREADS)

    def __getstate__(self) -> dict[str, Any]:
        """The programs: each process, and each copy, has engines of its own."""
        return {"programs": self.programs}

    def start(self) -> dict[str, Floats]:
        """As `Answering` says."""
        with self._read.session() as session:
            return {name: each[None] for name, each in session.state.items()}

    def contexts(
        self, history: History, state: Mapping[str, Floats] | None = None
    ) -> tuple[Floats, dict[str, Floats]]:
        """As `Answering` says."""
        order = np.argsort(history.first, kind="stable")
        parts = [order[start : start + SERIES] for start in range(0, len(order), SERIES)]
        found = [self._read_in_lockstep(history, rows, state) for rows in parts]
        back = np.argsort(order)
        after = {name: np.concatenate([each[1][name] for each in found])[back] for name in found[0][1]}
        return np.concatenate([each[0] for each in found])[back], after

    def _read_in_lockstep(
        self, history: History, rows: NDArray[np.int64], state: Mapping[str, Floats] | None
    ) -> tuple[Floats, dict[str, Floats]]:
        """`contexts` of series `rows`, in the order in which they begin: each period of all at once, as they begin."""
        first, length = history.first[rows], history.values.shape[1]
        begun = np.searchsorted(first, np.arange(length), side="right")
        codes = list(history.codes[rows].T)
        sessions = [self._read.session() for _ in rows]
        try:
            if state is not None:
                for row, session in zip(rows, sessions, strict=True):
                    session.set_state({name: each[row] for name, each in state.items()})
            for t in range(first[0], length):
                n = int(begun[t])
                columns = history.columns(rows[:n], np.full((n, 1), t))[:, 0]
                out = self._read.step(sessions[:n], columns, *(each[:n] for each in codes))
            after = [session.state for session in sessions]
        finally:
            for each in sessions:
                each.close()
        return np.asarray(out, np.float32), {
            name: np.stack([each[name] for each in after]) for name in after[0]
        }

    def answers(self, context: Floats, place: Floats, ahead: Floats, codes: NDArray[np.int64]) -> Floats:
        """As `Answering` says; ModelError where the answers are not numbers."""
        horizon = ahead.shape[1]
        _, shape = self.programs["answer"].description["outputs"][0]
        found = np.empty((len(context), horizon, math.prod(shape)), np.float32)
        size = max(1, ANSWERS // horizon)
        for start in range(0, len(context), size):
            part = slice(start, start + size)
            rows = len(context[part])
            c, p, i = (np.repeat(x[part], horizon, axis=0) for x in (context, place, codes))
            period = np.tile(np.arange(horizon), rows)
            with self._answer.session() as session:  # the program has no state: its steps are rows
                units = session.read(c, p, ahead[part].reshape(rows * horizon, -1), period, *i.T, every=True)
            found[part] = units.reshape(rows, horizon, -1)
        # A step up that is below a number's last bit may round to one down.
        found = np.maximum.accumulate(found, axis=-1)
        if not np.isfinite(found).all():
            raise ModelError("the packed network's answers are not numbers", hint=_AGAIN)
        return found
