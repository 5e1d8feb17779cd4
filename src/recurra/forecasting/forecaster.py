"""The forecaster: one recurrent network over all series; quantiles, joint paths and stock plans out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np

from recurra import native
from recurra.errors import InputError, UsageError
from recurra.estimator import Estimator
from recurra.forecasting import memory as memories
from recurra.forecasting import persistence, settings
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.forecast import LEVELS, QUANTILES, Forecast
from recurra.forecasting.history import History, history_of
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.memory import Memory
from recurra.forecasting.packed import Answering, PackedNetwork
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.data import Cancellations, Gaps, Negative, Panel, Reading, frame_like
from recurra.forecasting.sales.future import check_ahead
from recurra.forecasting.sales.holidays import holiday_names
from recurra.forecasting.sales.joined import read_all
from recurra.forecasting.settings import ViewName
from recurra.forecasting.spreads import plan_spreads
from recurra.forecasting.stock.plan import StockPlan
from recurra.forecasting.stock.terms import StockTerms
from recurra.forecasting.updating import moved_on
from recurra.streaming.packed import Packed
from recurra.training.outcome import Outcome

if TYPE_CHECKING:
    from recurra.forecasting.network import ForecastNetwork

__all__ = ["Forecaster"]

SERIES = 8192  # whose history is read at once: a bound on memory


class Forecaster(Estimator):
    """Forecasts many series at once, with uncertainty, by one recurrent network trained on all of them.

    Parameters
    ----------
    horizon: how many periods to forecast, 1 or more.
    cell: which cell of `recurra.cells` remembers: "lstm", "gru", ….
    hidden_size, layers: units of a layer, and layers.
    embedding_size: numbers that the network learns about each series of its own.
    dropout: share of units dropped in training, in [0, 1).
    steps: how many batches to train on; None takes 400 to 1600, by how much data there is.
    batch_size, learning_rate: see `training.Recipe`.
    patience: stop after this many evaluations (one every 25 steps) without improvement; None for never.
    columns: role -> column name where names do not tell, such as {"unique_id": "shop", "y": "boxes"}.
    frequency: hourly, daily, weekly, monthly, quarterly or yearly; None to infer it from the dates.
    date_format: strftime format of dates that are text; None to find it.
    decimal: the decimal mark of quantities that are text, "." or ","; None to find it.
    unit: a unit or currency sign to take off quantities that are text; None refuses them.
    negative: what a period with a negative sum is: "returns" counts as 0, "keep" stays as it is.
    cancellations: "pair" takes lines of invoices C… out of the sales they cancel, "keep" sums them.
    gaps: what an item's periods without a line are: "zero" sales, or "missing" and filled.
    static: columns that are the same in all lines of an item, such as its category.
    past: columns known up to now, such as visitors.
    future: columns known ahead too, such as price and promotion.
    stock_out: a column that says when the item was out of stock, or how many units were in stock; None: never.
    holidays: the public holidays of a country, "GB", or a part of it, "DE-BY"; None: none (extra `holidays`).
    view: how the network sees sales: "level", in units of their level, for items that often sell nothing; "trend", by
        level, trend and season, for what always sells; "auto": "trend" where at most 1 % of the periods have no sales
        and none ran out.
    seed: the same seed gives the same model on the same machine.

    After `fit`: `notes_` says what was decided about the data, `outcome_` how training went. Training needs torch;
    a model that was packed (`pack`) forecasts without it.

    The network is that of `forecasting.network`: a recurrent encoder with a direct multi-horizon quantile head
    (Wen et al. 2017, arXiv 1711.11053), trained on the pinball loss. Joint paths come from a Gaussian copula whose
    correlations are those of the network's own past errors.
    """

    def __init__(
        self,
        horizon: int = 28,
        *,
        cell: str = "lstm",
        hidden_size: int = 64,
        layers: int = 2,
        embedding_size: int = 16,
        dropout: float = 0.2,
        steps: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 7e-3,
        patience: int | None = 12,
        columns: Mapping[str, str] | None = None,
        frequency: str | None = None,
        date_format: str | None = None,
        decimal: str | None = None,
        unit: str | None = None,
        negative: Negative = "returns",
        cancellations: Cancellations = "pair",
        gaps: Gaps = "zero",
        static: Sequence[str] = (),
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        stock_out: str | None = None,
        holidays: str | None = None,
        view: ViewName = "auto",
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.cell = cell
        self.hidden_size = hidden_size
        self.layers = layers
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.columns = columns
        self.frequency = frequency
        self.date_format = date_format
        self.decimal = decimal
        self.unit = unit
        self.negative: Negative = negative
        self.cancellations: Cancellations = cancellations
        self.gaps: Gaps = gaps
        self.static = static
        self.past = past
        self.future = future
        self.stock_out = stock_out
        self.holidays = holidays
        self.view: ViewName = view
        self.seed = seed

    def fit(
        self,
        frame: Any,
        *,
        future: Any = None,
        items: Any = None,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on sales: a frame (pandas, Polars, PyArrow), a file, a Source or a Panel; forgets any earlier fit.

        A frame has a row for each sale, or item and period, in any order; `unique_id`, `ds` and `y` or the names
        that real files use. `future` and `items` are tables beside it, as `read` says. `max_seconds` ends training
        early; Ctrl-C does too, and keeps the best so far (`outcome_.stopped` is "interrupted"). With `checkpoint`, a
        folder, a run that was killed goes on where it was when the same call is made again, to the same model bit for
        bit. Where it had ended, the same call gives the same model without training again; with other data or
        arguments it is refused.

        Raises InputError for data that cannot be used, UsageError for arguments that do not fit.
        """
        self.check_arguments()
        from recurra.forecasting import fitting

        panel = self.read(frame, future=future, items=items)
        length = len(panel.dates)
        if length <= self.horizon:
            raise UsageError(
                f"the horizon of {self.horizon} periods is longer than the history allows, which has {length}",
                hint=f"Give a longer history, or a horizon of at most {length - 1}.",
            )
        until, validation = settings.hold_out(self, panel)
        view, note = settings.view_of(self, panel)
        recipe = settings.recipe_of(self, panel, len(validation) * self.horizon, max_seconds)
        self._forget(frame)
        inputs, items = Inputs.of(panel, self.holidays, view), len(panel.ids)
        who = inputs.who(panel, np.arange(1, items + 1), items)
        history = history_of(panel, self.horizon, inputs, who, items, until=until)
        outcome, network, spread, copula = fitting.learn(
            self,
            panel,
            history,
            recipe,
            validation=validation,
            folder=None if checkpoint is None else Path(checkpoint),
            fingerprint=settings.fingerprint(self, panel),
        )
        memory = memories.read(network, panel, history, self.horizon)
        # All at once: whoever interrupts what is above finds an unfitted model, not half of one.
        self.outcome_: Outcome = outcome
        self.weights_ = fitting.arrays_of(network)
        self.network_, self.inputs_, self.rhythm_ = network, inputs, panel.frequency
        self.packed_: PackedNetwork | None = None
        self.nonnegative_, self.whole_, self.notes_ = panel.nonnegative, panel.whole, (*panel.notes, note)
        self.items_, self.spread_, self.copula_, self.memory_ = panel.ids, spread, copula, memory
        return self

    def read(self, frame: Any, *, future: Any = None, items: Any = None) -> Panel:
        """Read a frame, a file's path, a Source or a Panel with this forecaster's settings; raises as `fit` does.

        `future` is a table of what is known ahead (`future.with_future`), `items` one of attributes, also of items that
        were never sold (`items.with_items`): frames or files.
        """
        return read_all(frame, self._reading(), future=future, items=items)

    def _reading(self) -> Reading:
        return Reading(**{field.name: getattr(self, field.name) for field in fields(Reading)})

    def predict(
        self,
        frame: Any = None,
        *,
        future: Any = None,
        items: Any = None,
        quantiles: Sequence[float] = QUANTILES,
    ) -> Any:
        """Forecast the periods after the history that was read last, or after that of another `frame`.

        `future` is a table of what is known ahead, `items` one of attributes: its items that were never sold are
        forecast from these (`read`).

        Returns a frame with `unique_id`, `ds`, `mean` and a column for each of the `quantiles`, such as `q0.1`, in
        the library of the frame. Quantiles never cross; where no sales are negative, no forecast is.

        Raises NotFittedError before `fit`; InputError and UsageError as `fit` does.
        """
        found = self.forecast(frame, future=future, items=items)
        return frame_like(self._like(frame), found.table(quantiles))

    def update(self, frame: Any, *, future: Any = None, items: Any = None) -> Self:
        """Read new sales, and only these: what is remembered of every series moves on without another fit.

        The rows of `frame` are those after the last period that was read; an item without one sold nothing, and new
        items may come. Forecasts are then those of the whole history with this model, to rounding. A cancelled
        invoice must stand in the same frame as its sale. `future` and `items` are as in `predict`.

        Raises InputError for rows of periods that were read already, and as `predict` does.
        """
        self._check_fitted()
        panel = read_all(frame, self._reading(), future=future, items=items, rhythm=self.rhythm_)
        self._check_rhythm(panel)
        numbers = {name: number for number, name in enumerate(self.items_, start=1)}
        after = moved_on(
            self.memory_,
            panel,
            self._runs,
            self.inputs_,
            numbers,
            horizon=self.horizon,
            gaps=self.gaps,
        )
        self.memory_, self.whole_ = after, self.whole_ and panel.whole
        self.nonnegative_ = self.nonnegative_ and panel.nonnegative
        return self

    def simulate(
        self,
        paths: int = 500,
        frame: Any = None,
        *,
        future: Any = None,
        items: Any = None,
        seed: int | None = None,
    ) -> Any:
        """Draw joint sample paths over the horizon: what may come, with its ups and downs hanging together.

        Returns a frame with `unique_id`, `path` (0 … paths - 1), `ds` and `y`. A sum of `y` along a path is a draw
        of the sum. Where all sales were whole numbers, so are the paths. The same `seed` (default: the model's)
        gives the same paths, and a series' paths do not depend on the others' data.

        Raises as `predict` does.
        """
        found = self.forecast(frame, future=future, items=items)
        return frame_like(self._like(frame), found.paths_table(paths, seed))

    def plan_stock(
        self,
        frame: Any = None,
        *,
        future: Any = None,
        items: Any = None,
        lead_time: Any,
        review: int | None = None,
        service_level: float = 0.95,
        target: str = "cycle",
        policy: str = "periodic",
        on_hand: Any = 0,
        on_order: Any = None,
        lead_time_sd: float = 0.0,
        pack_size: float | None = None,
        minimum: float = 0.0,
        price: float | None = None,
        holding_cost: Any = None,
        shortage_cost: Any = None,
        ordering_cost: float = 0.0,
        shelf_life: int | None = None,
        budget: float | None = None,
        calibrate: bool = False,
        seed: int | None = None,
    ) -> StockPlan:
        """Say what to order now of each item, so that stock lasts until the next order arrives.

        A frame given as `on_hand` may have columns named as `lead_time`, `lead_time_sd`, `review`, `service_level`,
        and all from `pack_size` to `shelf_life`: what stands there holds for the item, the argument for all others.

        Parameters
        ----------
        frame: the history to plan from; None for the one that was read last.
        future, items: tables beside it, as in `predict`.
        lead_time: periods from an order to its arrival: a whole number, 0 or more; a mapping from periods to their
            chances; a list of lead times seen; or, with `lead_time_sd` above 0, their mean.
        review: periods between two orders, 1 or more; None for 7 with daily data, 24 with hourly, otherwise 1. With
            a reorder point 0 or more, None for 0: stock is watched all the time.
        service_level: what `target` is to reach, in (0, 1).
        target: "cycle": the probability that stock lasts; "fill": the share of demand delivered from the shelf;
            "costs": least cost, from `holding_cost` and `shortage_cost`.
        policy: "periodic": (R, S), fill up to S at every review; "fixed-quantity": (s, Q) and "min-max": (s, S), order
            once the stock is at s, for which `ordering_cost` and `holding_cost` are needed.
        on_hand, on_order: units in stock and on their way: a number, a mapping from item to number, or a frame.
        pack_size, minimum: units that are ordered together, and the least order.
        price: what a unit costs to buy; needed for a `budget`.
        holding_cost, shortage_cost: of a unit for a period; of a missing unit: a number, a mapping from item to number,
            or a frame with `unique_id` and that column.
        ordering_cost: of an order, however large.
        shelf_life: periods from arrival until a unit spoils.
        budget: money for all orders together.
        calibrate: take each item's demand as wide around its forecast as it has been in its own past, for which the
            model forecasts up to 26 past dates of `frame` anew.

        Raises UsageError where an argument does not fit (lead_time + review beyond the horizon), InputError where
        the stock cannot be read.
        """
        asked = {
            "lead_time": lead_time,
            "review": review,
            "service_level": service_level,
            "target": target,
            "policy": policy,
            "on_hand": on_hand,
            "on_order": on_order,
            "lead_time_sd": lead_time_sd,
            "pack_size": pack_size,
            "minimum": minimum,
            "price": price,
            "holding_cost": holding_cost,
            "shortage_cost": shortage_cost,
            "ordering_cost": ordering_cost,
            "shelf_life": shelf_life,
            "budget": budget,
        }
        spreads = None
        if calibrate:
            if frame is None:
                raise UsageError("calibrating a plan needs the sales", hint="Give them as frame.")
            panel = self.read(frame, future=future, items=items)
            spreads = plan_spreads(self.forecast, panel, StockTerms(**asked), self.horizon)
        found = self.forecast(frame, future=future, items=items)
        return found.plan(seed=seed, backend=self._backend(frame), spreads=spreads, **asked)

    def forecast(self, frame: Any = None, *, future: Any = None, items: Any = None) -> Forecast:
        """The forecast as arrays, from the history that was read last or from another; raises as `predict` does."""
        self._check_fitted()
        memory, rhythm = self.memory_, self.rhythm_
        if frame is not None:
            memory, rhythm = self._read_again(self.read(frame, future=future, items=items))
        elif future is not None or items is not None:
            memory = self._joined(future, items)
        dates = rhythm.dates(memory.end, self.horizon + 1)[1:]
        if self.inputs_.future and memory.known.shape[1] < self.horizon:
            raise InputError(
                f"{next(iter(self.inputs_.future))} is known for {memory.known.shape[1]} of the {self.horizon} "
                f"periods after {memory.end}",
                hint="Give what is known ahead to the end of the horizon.",
            )
        standing = memory.after(self.inputs_, dates, rhythm)
        answers = self._runs.answers(memory.context, standing.place, standing.ahead, memory.who.codes)
        values = standing.sold(answers).astype(np.float64)
        floor = 0.0 if self.nonnegative_ else -np.inf
        quantiles = Quantiles(np.array(LEVELS), values, floor).spread(*self.spread_)
        return Forecast(memory.ids, dates, quantiles, self.copula_, rhythm, self.whole_, self.seed)

    def pack(self, weights: str = "float32", *, frame: Any = None, bound: float | None = None) -> float:
        """Pack the network: from now on forecasts need no torch, once saved in no process.

        Parameters
        ----------
        weights: how its matrices are stored, "float32", "float16", "int8" or "int4".
        frame: sales with whose history the packed network is compared with its source; None draws some.
        bound: how far its quantiles may be from the source's, as a share of their root mean square in units of each
            series' level; None: 0.001, 0.01, 0.1 and 0.5, in the order of the formats.

        Returns how far they are. `save` keeps the packed network, `fit` drops it. Raises UsageError where they are
        farther, with the figures, for an unknown format and for a cell that cannot be packed; NotFittedError before
        `fit`.
        """
        self._check_fitted()
        from recurra.forecasting import fitting

        packed = fitting.pack(self.network_, 1 + len(self.inputs_.attributes), weights, self.weights_)
        history = fitting.drawn_history(self) if frame is None else self._history(self.read(frame))
        error = fitting.disagreement(self.network_, packed, history)
        fitting.check_disagreement(error, weights, bound)
        self.packed_ = packed
        return error

    @cached_property
    def network_(self) -> ForecastNetwork:
        """The trained network, for torch."""
        from recurra.forecasting import fitting

        return fitting.network_of(self, self.weights_)

    @property
    def _runs(self) -> Answering:
        """What reads and answers: the packed network, which needs no torch, where there is one that can run."""
        return self.packed_ if self.packed_ is not None and native.available() else self.network_

    def training_facts(self) -> dict[str, object]:
        """How the model was made, in plain values."""
        self._check_fitted()
        return settings.facts(self)

    def check_arguments(self) -> None:
        """Raise UsageError where an argument is out of its range, MissingExtraError where torch is not installed."""
        settings.check_ranges(self)
        if self.holidays is not None:
            holiday_names(np.array(["2020-01-01"], dtype="datetime64[D]"), self.holidays)
        from recurra.forecasting import fitting

        fitting.cell_named(self.cell)

    def _read_again(self, panel: Panel) -> tuple[Memory, Frequency]:
        self._check_rhythm(panel)
        check_ahead(panel, list(self.inputs_.future), self.horizon)
        read = []
        for start in range(0, len(panel.ids), SERIES):
            part = panel.select(panel.ids[start : start + SERIES])
            read.append(memories.read(self._runs, part, self._history(part), self.horizon))
        return Memory.joined(read), panel.frequency

    def _joined(self, future: Any, items: Any) -> Memory:
        """What is remembered of the series, with what tables say of the periods ahead and of other items."""
        memory = self.memory_
        last = Panel(
            ids=memory.ids,
            frequency=self.rhythm_,
            dates=self.rhythm_.dates(memory.end, 1),
            values=np.zeros((len(memory.ids), 1), np.float32),
            first=np.zeros(len(memory.ids), np.int64),
            whole=True,
        )
        panel = read_all(last, self._reading(), future=future, items=items)
        known = set(memory.ids)
        new = [name for name in panel.ids if name not in known]
        if future is not None or new:
            check_ahead(panel, list(self.inputs_.future), self.horizon)
            ahead = self.inputs_.along(panel.select(memory.ids), "future")[:, 1:]
            memory = replace(memory, known=ahead)
        if new:
            theirs = panel.select(new)
            read = memories.read(self._runs, theirs, self._history(theirs), self.horizon)
            memory = Memory.joined([memory, read])
        return memory

    def _check_rhythm(self, panel: Panel) -> None:
        if panel.frequency.name != self.rhythm_.name:
            raise InputError(
                f"the data are {panel.frequency.name}, the model was trained on {self.rhythm_.name} data",
                hint="Give data of that frequency, or train a new model.",
            )

    def _history(self, panel: Panel) -> History:
        """What the network reads of a panel; items that it was not trained on are number 0."""
        numbers = {name: number for number, name in enumerate(self.items_, start=1)}
        items = np.array([numbers.get(name, 0) for name in panel.ids], dtype=np.int64)
        who = self.inputs_.who(panel, items, len(self.items_))
        return history_of(panel, self.horizon, self.inputs_, who, len(self.items_))

    def _forget(self, frame: Any) -> None:
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("__")]:
            delattr(self, name)
        self._original = self._like(frame)

    def _like(self, frame: Any) -> Any:
        """An empty frame of the library to answer in; None for Polars."""
        if frame is None:
            return getattr(self, "_original", None)
        native = nw.from_native(frame, pass_through=True)
        return native.head(0).to_native() if isinstance(native, nw.DataFrame) else None

    def _backend(self, frame: Any) -> Any:
        like = self._like(frame)
        return "polars" if like is None else nw.from_native(like).implementation

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        return persistence.state(self)

    def _packed(self) -> Mapping[str, Packed]:
        return {} if self.packed_ is None else self.packed_.programs

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        self.packed_ = PackedNetwork(programs) if programs else None

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        persistence.restore(self, fitted, weights)
        for name in ("static", "past", "future"):  # JSON has lists alone
            setattr(self, name, tuple(getattr(self, name)))
