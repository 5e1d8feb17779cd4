"""The forecaster: one recurrent network over all series; quantiles, joint paths and stock plans out of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, MissingExtraError, ModelError, UsageError

try:
    import narwhals as nw
    import polars as pl
except ImportError as error:
    raise MissingExtraError.of("polars or narwhals", "tables") from error
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from recurra.estimator import Estimator
from recurra.forecasting.calendar import Frequency, calendar_features, frequency_named
from recurra.forecasting.card import card
from recurra.forecasting.data import Cancellations, Negative, Panel, date_column, frame_like
from recurra.forecasting.dependence import fit_copula
from recurra.forecasting.distribution import Copula, Quantiles, normal_cdf
from recurra.forecasting.history import MEMORIES, History, history_of, typical_size
from recurra.forecasting.network import ForecastNetwork, answer, check_levels, remember
from recurra.forecasting.stock import StockPlan, paths_needed, plan_stock
from recurra.forecasting.windows import QuantileProblem, Windows
from recurra.training import Outcome, Recipe, train

__all__ = ["LEVELS", "QUANTILES", "Forecast", "Forecaster"]

# The probabilities that the network learns; any others are read off between and beyond them.
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
STRANGERS = 0.1  # share of series read as an unknown item, so that unknown items can be forecast
HELD_OUT = 0.1  # share of series whose last horizon is held out, to find the best step
STEPS_A_WINDOW = {"hourly": 96, "daily": 56, "weekly": 52, "monthly": 24, "quarterly": 12, "yearly": 8}
ORIGINS = 12  # of the steps of a window, those from which a forecast is asked
LARGEST = {"horizon": 2000, "hidden_size": 8192, "layers": 32, "embedding_size": 4096, "batch_size": 65536}


@dataclass(frozen=True)
class Forecast:
    """What a model expects of N series: their names, the H dates, and quantiles at LEVELS (N, H, Q)."""

    ids: tuple[str, ...]
    dates: NDArray[np.datetime64]
    quantiles: Quantiles

    def at(self, levels: Sequence[float]) -> NDArray[np.float64]:
        """The quantiles at other probabilities, (N, H, len(levels))."""
        shape = (*self.quantiles.values.shape[:2], len(levels))
        return self.quantiles.at(np.broadcast_to(np.asarray(levels, dtype=np.float64), shape))


@dataclass(frozen=True)
class _Memory:
    """Where the series stand after their last period: what a forecast starts from."""

    ids: tuple[str, ...]
    items: NDArray[np.int64]  # (N,)
    context: NDArray[np.float32]  # (N, D)
    level: NDArray[np.float32]  # (N,)
    end: np.datetime64


class Forecaster(Estimator):
    """Forecasts many series at once, with uncertainty, by one recurrent network trained on all of them.

    Parameters
    ----------
    horizon: how many periods to forecast, 1 or more.
    cell: which cell of `recurra.cells` remembers: "lstm", "gru", ….
    hidden_size, layers: units of a layer, and layers.
    embedding_size: numbers that the network learns about each series of its own.
    dropout: share of units dropped in training, in [0, 1).
    steps, batch_size, learning_rate: how long and how training goes (see `training.Recipe`).
    patience: stop after this many evaluations (one every 25 steps) without improvement; None for never.
    columns: role -> column name where names do not tell, such as {"unique_id": "shop", "y": "boxes"}.
    frequency: hourly, daily, weekly, monthly, quarterly or yearly; None to infer it from the dates.
    date_format: strftime format of dates that are text; None to find it.
    negative: what a period with a negative sum is: "returns" counts as 0, "keep" stays as it is.
    cancellations: "pair" takes lines of invoices C… out of the sales they cancel, "keep" sums them.
    seed: the same seed gives the same model on the same machine.

    After `fit`: `notes_` says what was decided about the data, `outcome_` how training went.

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
        dropout: float = 0.1,
        steps: int = 600,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        patience: int | None = 8,
        columns: Mapping[str, str] | None = None,
        frequency: str | None = None,
        date_format: str | None = None,
        negative: Negative = "returns",
        cancellations: Cancellations = "pair",
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
        self.negative: Negative = negative
        self.cancellations: Cancellations = cancellations
        self.seed = seed

    def fit(
        self,
        frame: Any,
        *,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on a frame of sales (pandas, Polars, PyArrow), a file's path or a Panel; any earlier fit is forgotten.

        A frame has a row for each sale, or item and period, in any order; `unique_id`, `ds` and `y` or the names
        that real files use. `max_seconds` ends training early; Ctrl-C does too, and keeps the best so far
        (`outcome_.stopped` is "interrupted"). With `checkpoint`, a folder, a run that was killed goes on where it
        was when the same call is made again, to the same model bit for bit.

        Raises InputError for data that cannot be used, UsageError for arguments that do not fit.
        """
        recipe = self._recipe(max_seconds)
        panel = self.read(frame)
        length = len(panel.dates)
        if length <= self.horizon:
            raise UsageError(
                f"the horizon of {self.horizon} periods is longer than the history allows, which has {length}",
                hint=f"Give a longer history, or a horizon of at most {length - 1}.",
            )
        self._forget(frame)
        until, validation = self._hold_out(panel)
        typical = typical_size(panel)
        items = np.arange(1, len(panel.ids) + 1)
        history = history_of(panel, self.horizon, typical, items, until)
        problem = QuantileProblem(history, self.horizon, torch.tensor(LEVELS), validation)
        source = Windows(
            history,
            batch_size=self.batch_size,
            steps=STEPS_A_WINDOW[panel.frequency.name],
            origins=ORIGINS,
            horizon=self.horizon,
            strangers=STRANGERS,
            seed=self.seed,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self._network(len(panel.ids), panel.frequency)
        self.outcome_: Outcome = train(
            network,
            problem,
            source,
            recipe,
            folder=None if checkpoint is None else Path(checkpoint),
            resume=True,
            fingerprint=self._fingerprint(panel),
            description=f"training on {len(panel.ids):,} series",
        )
        self.network_, self.typical_, self.rhythm_ = network, typical, panel.frequency
        self.nonnegative_, self.whole_, self.notes_ = panel.nonnegative, panel.whole, panel.notes
        self.known_ = panel.ids
        self.copula_ = fit_copula(network, history, panel, self.horizon, np.array(LEVELS), self.seed)
        self._memory = self._remember(panel, history)
        return self

    def read(self, frame: Any) -> Panel:
        """Read a frame, a file's path or a Panel with this forecaster's settings; raises as `fit` does."""
        if isinstance(frame, Panel):
            return frame
        make = Panel.from_file if isinstance(frame, str | os.PathLike) else Panel.from_frame
        return make(
            frame,
            columns=self.columns,
            frequency=self.frequency,
            date_format=self.date_format,
            negative=self.negative,
            cancellations=self.cancellations,
        )

    def predict(self, frame: Any = None, *, quantiles: Sequence[float] = QUANTILES) -> Any:
        """Forecast the periods after the history that `fit` saw, or after that of another `frame`.

        Returns a frame with `unique_id`, `ds`, `mean` and a column for each of the `quantiles`, such as `q0.1`, in
        the library of the frame. Quantiles never cross; where no sales are negative, no forecast is.

        Raises NotFittedError before `fit`; InputError and UsageError as `fit` does.
        """
        check_levels(quantiles)
        forecast = self.forecast(frame)
        values = forecast.at(quantiles)
        columns = {f"q{level:g}": values[..., i].ravel() for i, level in enumerate(quantiles)}
        return self._frame(forecast, {"mean": forecast.quantiles.mean().ravel(), **columns}, frame)

    def simulate(self, paths: int = 500, frame: Any = None, *, seed: int | None = None) -> Any:
        """Draw joint sample paths over the horizon: what may come, with its ups and downs hanging together.

        Returns a frame with `unique_id`, `path` (0 … paths - 1), `ds` and `y`. A sum of `y` along a path is a draw
        of the sum. Where all sales were whole numbers, so are the paths. The same `seed` (default: the model's)
        gives the same paths, and a series' paths do not depend on the others' data.

        Raises as `predict` does.
        """
        if not isinstance(paths, int) or paths < 1:
            raise UsageError("paths must be a whole number, 1 or more", value=paths)
        forecast = self.forecast(frame)
        drawn = self.draw(forecast, paths, seed)
        periods = len(forecast.dates)
        table = pl.DataFrame(
            {
                "unique_id": np.repeat(np.arange(len(forecast.ids)), paths * periods),
                "path": np.tile(np.repeat(np.arange(paths, dtype=np.int32), periods), len(forecast.ids)),
                "y": drawn.ravel(),
            }
        )
        names = pl.Series(forecast.ids, dtype=pl.String)
        dates = date_column(np.tile(forecast.dates, paths * len(forecast.ids)))
        table = table.with_columns(names.gather(table["unique_id"]).alias("unique_id"), dates)
        return frame_like(self._like(frame), table.select("unique_id", "path", "ds", "y"))

    def plan_stock(
        self,
        frame: Any = None,
        *,
        on_hand: Any = 0,
        on_order: Any = None,
        lead_time: int = 7,
        review: int = 7,
        service_level: float = 0.95,
        seed: int | None = None,
    ) -> StockPlan:
        """Say what to order now of each item, so that stock lasts until the next order arrives.

        Parameters
        ----------
        frame: the history to plan from; None for the one that `fit` saw.
        on_hand, on_order: units in stock and on their way: a number, a mapping from item to number, or a frame.
        lead_time: periods from an order to its arrival, 0 or more.
        review: periods between two orders, 1 or more.
        service_level: probability that stock lasts, in (0, 1).

        Raises UsageError where an argument does not fit (lead_time + review beyond the horizon), InputError where
        the stock cannot be read.
        """
        forecast = self.forecast(frame)
        return plan_stock(
            self.draw(forecast, paths_needed(service_level), seed),
            forecast.ids,
            lead_time=lead_time,
            review=review,
            service_level=service_level,
            on_hand=on_hand,
            on_order=on_order,
            whole=self.whole_,
            backend=self._backend(frame),
        )

    def forecast(self, frame: Any = None) -> Forecast:
        """The forecast as arrays, from the history that `fit` saw or from another; raises as `predict` does."""
        self._check_fitted()
        memory = self._memory if frame is None else self._read_again(frame)
        dates = self.rhythm_.dates(memory.end, self.horizon + 1)[1:]
        calendar = torch.from_numpy(calendar_features(dates, self.rhythm_))
        context, level = torch.from_numpy(memory.context), torch.from_numpy(memory.level)
        values = (
            answer(self.network_, context, level, calendar, torch.from_numpy(memory.items)).double().numpy()
        )
        floor = 0.0 if self.nonnegative_ else -np.inf
        return Forecast(memory.ids, dates, Quantiles(np.array(LEVELS), np.maximum(values, floor), floor))

    def draw(self, forecast: Forecast, paths: int, seed: int | None = None) -> NDArray[np.float32]:
        """Joint sample paths (N, paths, H) of a forecast."""
        seed = self.seed if seed is None else seed
        drawn = np.empty((len(forecast.ids), paths, len(forecast.dates)), dtype=np.float32)
        for start in range(0, len(forecast.ids), 64):
            part = slice(start, start + 64)
            u = normal_cdf(self.copula_.draw(forecast.ids[part], paths, seed))
            values = replace(forecast.quantiles, values=forecast.quantiles.values[part])
            drawn[part] = values.at(u.swapaxes(1, 2)).swapaxes(1, 2)
        return np.rint(drawn) if self.whole_ else drawn

    def _recipe(self, max_seconds: float | None) -> Recipe:
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)
        if not 0 <= self.dropout < 1:
            raise UsageError("dropout must be a number, 0 or more and below 1", value=self.dropout)
        return Recipe(
            steps=self.steps,
            learning_rate=self.learning_rate,
            average=0.995,
            evaluate_every=25,
            patience=self.patience,
            max_seconds=max_seconds,
            seed=self.seed,
        )

    def _network(self, items: int, frequency: Frequency) -> ForecastNetwork:
        return ForecastNetwork(
            items=items,
            features=calendar_features(np.array(["2000-01-01"], dtype="datetime64[s]"), frequency).shape[1],
            memories=len(MEMORIES[frequency.name]),
            horizon=self.horizon,
            quantiles=len(LEVELS),
            cell=self.cell,
            hidden_size=self.hidden_size,
            layers=self.layers,
            embedding_size=self.embedding_size,
            dropout=self.dropout,
        )

    def _hold_out(self, panel: Panel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every series where training ends, and which series are held out; none if histories are short."""
        length = len(panel.dates)
        long_enough = np.flatnonzero(panel.first <= length - 3 * self.horizon)
        count = min(len(long_enough), max(1, round(HELD_OUT * len(panel.ids))))
        held = np.sort(np.random.default_rng(self.seed).permutation(long_enough)[:count])
        until = np.full(len(panel.ids), length, dtype=np.int64)
        until[held] = length - self.horizon
        return until, held

    def _fingerprint(self, panel: Panel) -> str:
        digest = hashlib.sha256(json.dumps(self.get_params(), sort_keys=True, default=str).encode())
        for part in (panel.values, panel.first, panel.dates.astype(np.int64)):
            digest.update(np.ascontiguousarray(part).tobytes())
        digest.update("\n".join(panel.ids).encode())
        return digest.hexdigest()

    def _remember(self, panel: Panel, history: History) -> _Memory:
        last = len(panel.dates) - 1
        rows = torch.arange(len(panel.ids))
        context = remember(self.network_, history, rows, [last])[:, 0].numpy()
        level = history.averages[:, last, -1].numpy()
        return _Memory(panel.ids, history.items.numpy(), context, level, panel.dates[-1])

    def _read_again(self, frame: Any) -> _Memory:
        panel = self.read(frame)
        if panel.frequency.name != self.rhythm_.name:
            raise InputError(
                f"the data are {panel.frequency.name}, the model was trained on {self.rhythm_.name} data",
                hint="Give data of that frequency, or train a new model.",
            )
        numbers = {name: number for number, name in enumerate(self.known_, start=1)}
        items = np.array([numbers.get(name, 0) for name in panel.ids], dtype=np.int64)
        history = history_of(panel, self.horizon, self.typical_, items)
        self.rhythm_ = panel.frequency
        return self._remember(panel, history)

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

    def _frame(self, forecast: Forecast, columns: Mapping[str, NDArray[Any]], frame: Any) -> Any:
        periods = len(forecast.dates)
        names = pl.Series(
            "unique_id", np.repeat(np.array(forecast.ids, dtype=object), periods), dtype=pl.String
        )
        dates = date_column(np.tile(forecast.dates, len(forecast.ids)))
        return frame_like(
            self._like(frame), pl.DataFrame([names, dates, *(pl.Series(k, v) for k, v in columns.items())])
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        memory = self._memory
        fitted = {
            "levels": list(LEVELS),
            "items": list(self.known_),
            "series": list(memory.ids),
            "end": str(memory.end),
            "rhythm": {"name": self.rhythm_.name, "anchor": self.rhythm_.anchor, "day": self.rhythm_.day},
            "typical": self.typical_,
            "nonnegative": self.nonnegative_,
            "whole": self.whole_,
            "shared": self.copula_.shared,
            "notes": list(self.notes_),
            "outcome": asdict(self.outcome_),
        }
        weights = {f"network.{name}": t.detach().numpy() for name, t in self.network_.state_dict().items()}
        weights |= {
            "memory.items": memory.items,
            "memory.context": memory.context,
            "memory.level": memory.level,
        }
        return fitted, weights | {"copula.root": self.copula_.root}, card(self, fitted)

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._recipe(None)
        if tuple(fitted["levels"]) != LEVELS:
            raise ModelError("the model's quantile levels are not those of this recurra")
        rhythm = fitted["rhythm"]
        self.rhythm_ = replace(
            frequency_named(rhythm["name"]), anchor=int(rhythm["anchor"]), day=int(rhythm["day"])
        )
        self.known_ = tuple(map(str, fitted["items"]))
        state = {
            name.removeprefix("network."): w for name, w in weights.items() if name.startswith("network.")
        }
        with torch.device(
            "meta"
        ):  # sizes come from config.json: nothing is allocated before they are checked
            network = self._network(len(self.known_), self.rhythm_)
        wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        found = {name: tuple(w.shape) for name, w in state.items() if w.dtype == np.float32}
        if wanted != found:
            different = sorted(
                name for name in wanted.keys() | state.keys() if wanted.get(name) != found.get(name)
            )
            raise ModelError("the weights do not fit the arguments", value=different[0])
        network.load_state_dict({name: torch.from_numpy(w) for name, w in state.items()}, assign=True)
        self.network_ = network.eval()
        series = tuple(map(str, fitted["series"]))
        root = _array(weights, "copula.root", (self.horizon, self.horizon), np.float64)
        self.copula_ = Copula(root, float(fitted["shared"]))
        width = network.encoder.output_size
        items = _array(weights, "memory.items", (len(series),), np.int64)
        if len(items) and not 0 <= items.min() <= items.max() <= len(self.known_):
            raise ModelError("an item's number has no embedding", value=items.max())
        self._memory = _Memory(
            series,
            items,
            _array(weights, "memory.context", (len(series), width), np.float32),
            _array(weights, "memory.level", (len(series),), np.float32),
            np.datetime64(fitted["end"]),
        )
        self.typical_ = float(fitted["typical"])
        self.nonnegative_, self.whole_ = bool(fitted["nonnegative"]), bool(fitted["whole"])
        self.notes_ = tuple(map(str, fitted["notes"]))
        self.outcome_ = Outcome(**fitted["outcome"])


def _array(
    weights: Mapping[str, np.ndarray[Any, Any]], name: str, shape: tuple[int, ...], dtype: type[np.generic]
) -> np.ndarray[Any, Any]:
    array = weights[name]
    if array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
        raise ModelError(f"{name} must be {shape} finite numbers of type {dtype.__name__}", value=array.shape)
    return array
