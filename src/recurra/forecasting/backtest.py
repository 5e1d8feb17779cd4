"""Rolling origins: what the model would have forecast in the past, beside what happened and the baselines.

Shapes: N series, H periods of horizon, Q levels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.baselines import same_season_quantiles, seasonal_naive_quantiles
from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.error_costs import ErrorCost, error_cost
from recurra.forecasting.forecast import LEVELS, QUANTILES
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.metrics import (
    Calibration,
    bias,
    calibration,
    mase,
    pit_coverage,
    pit_histogram,
    rmsse,
    weighted_quantile_loss,
)
from recurra.forecasting.sales.covariates import OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.spreads import check_past
from recurra.forecasting.stock.terms import StockTerms, item_numbers
from recurra.forecasting.stock_backtest import Replay, replay_stock, replayed_items

__all__ = ["Backtest", "Score", "Window", "backtest"]

Array = NDArray[Any]
INTERVAL = 0.8


@dataclass(frozen=True)
class Score:
    """One method's scores over all origins, as `metrics.py` defines them; coverage is that of the central 80%."""

    name: str
    weighted_quantile_loss: float
    rmsse: float
    coverage: float
    bias: float
    seconds: float | None = None
    mase: float = math.nan


@dataclass(frozen=True)
class Window:
    """One origin: the series' `ids` (N,), `dates` (H,), `actual` (N, H), and what a method forecast."""

    ids: Sequence[str]
    dates: Array
    actual: Array
    quantiles: Array  # (N, H, Q)
    mean: Array  # (N, H)


@dataclass(frozen=True)
class Backtest:
    """The scores of the model, first, and of the baselines over `origins` windows of `horizon` periods.

    `window` is the model's last one; over all of them `calibration`, at the levels of QUANTILES, and `pit`, its
    `pit_histogram`. `model` is the one that was tested, trained on what came before the first origin; `replay` what its
    order plans would have led to. `costs` are what the errors of each method would have cost, where costs were given.
    Of `counted` periods of items, `left_out` are in no score: nobody knows what was wanted then.
    """

    scores: Sequence[Score]
    horizon: int
    origins: int = 1
    calibration: Calibration | None = None
    window: Window | None = None
    model: Forecaster | None = None
    replay: Replay | None = None
    pit: Array | None = None
    costs: Sequence[ErrorCost] | None = None
    counted: int = 0
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values, for `--json`; a score that is not defined is None."""
        return {
            "horizon": self.horizon,
            "origins": self.origins,
            "counted": self.counted,
            "left_out": self.left_out,
            "scores": [_plain(vars(score)) for score in self.scores],
            "pit": None if self.pit is None else [_plain({"share": x})["share"] for x in self.pit.tolist()],
            "costs": None if self.costs is None else [_plain(cost.row()) for cost in self.costs],
            "replay": None if self.replay is None else [_plain(row) for row in self.replay.rows()],
        }


def backtest(
    forecaster: Forecaster,
    frame: Any,
    *,
    origins: int = 1,
    holding_cost: Any = None,
    shortage_cost: Any = None,
    lead_time: Any = None,
    lead_time_sd: float = 0.0,
    review: int | None = None,
    service_level: float = 0.95,
    target: str = "cycle",
    pack_size: float | None = None,
    minimum: float = 0.0,
    on_hand: Any = None,
    calibrate: bool = False,
    lost_sales: bool = False,
    max_seconds: float | None = None,
) -> Backtest:
    """Forecast the last `origins` horizons of a frame, a file or a Panel as if they had not happened yet.

    An unfitted copy of `forecaster` is trained once on what came before the first origin, and reads on from
    origin to origin; its weights never see what it is scored on. Series that had not begun at an origin are left
    out there, and so are the periods in which an item had run out or that nobody knows. The baselines are seasonal
    naive and the quantiles of the last 8 values of the same season phase (for daily data: same weekdays).

    With `holding_cost` (of a unit left over after a period) and `shortage_cost` (of a missing one) it says what the
    forecasts' errors would have cost: `error_costs.error_cost`. Each is a number, a mapping from item to number, or a
    frame with `unique_id` and that column.

    With a `lead_time` the demand from the first origin on is also played against order plans, made anew at every
    review, beside two usual rules: `stock_backtest.replay_stock`. `lead_time` to `minimum` and `calibrate` are as for
    `plan_stock`, and so is a frame `on_hand` whose columns of settings, costs among them, hold for their items (what is
    on hand itself is not used: everyone starts with a full shelf). With `lost_sales`, what is not there is not
    delivered later.

    Ctrl-C ends it with KeyboardInterrupt. Raises UsageError where the history is too short, InputError for data that
    cannot be used.
    """
    if isinstance(origins, bool) or not isinstance(origins, int) or origins < 1:
        raise UsageError("origins must be a whole number, 1 or more", value=origins)
    forecaster.check_arguments()
    panel = forecaster.read(frame)
    horizon, length = forecaster.horizon, len(panel.dates)
    start = length - origins * horizon
    if start <= horizon:
        most = max(0, (length - 1) // horizon - 1)
        raise UsageError(
            f"a backtest of {origins} × {horizon} periods needs more than {(origins + 1) * horizon} periods of "
            f"history, there are {length}",
            hint=f"Use at most {most} origin{'s' if most > 1 else ''}." if most else "Use a shorter horizon.",
        )
    costs = _item_costs(panel, on_hand, holding_cost, shortage_cost)
    terms = StockTerms(
        lead_time=lead_time,
        lead_time_sd=lead_time_sd,
        review=review,
        service_level=service_level,
        target=target,
        pack_size=pack_size,
        minimum=minimum,
        holding_cost=holding_cost,
        shortage_cost=shortage_cost,
        on_hand=on_hand,
    )
    if lead_time is not None:
        items = replayed_items(terms, panel, horizon=horizon, periods=length - start)
        if calibrate:
            check_past(start, items)
    before = panel.until(start)
    began = time.monotonic()
    model = Forecaster(**forecaster.get_params(deep=False)).fit(before, max_seconds=max_seconds)
    if model.outcome_.stopped == "interrupted":  # its scores would be those of a model half trained
        raise KeyboardInterrupt
    trained = time.monotonic() - began

    def ask_model(past: Panel) -> tuple[Quantiles, Array]:
        forecast = model.forecast(past)
        return forecast.quantiles, forecast.quantiles.mean()

    phases = "last 8 same weekdays" if panel.frequency.name == "daily" else "last 8 of the same phase"
    methods = {
        _model_name(model): ask_model,
        phases: lambda past: _last_of_the_phase(past, horizon),
        "seasonal naive": lambda past: _seasonal_naive(past, horizon),
    }
    ends = range(start, length, horizon)
    answers = [_answers(name, panel, ends, horizon, ask) for name, ask in methods.items()]
    answers[0] = replace(answers[0], seconds=answers[0].seconds + trained)
    actual, mine = answers[0].joined()
    return Backtest(
        scores=tuple(_score(each, panel) for each in answers),
        horizon=horizon,
        origins=origins,
        calibration=calibration(actual, mine.at(_wide(QUANTILES, actual)), QUANTILES),
        window=answers[0].windows()[-1],
        model=model,
        replay=None
        if lead_time is None
        else replay_stock(model, panel, start, terms, calibrate=calibrate, lost=lost_sales),
        pit=pit_histogram(actual, mine, whole=panel.whole),
        costs=None if costs is None else [_cost(each, panel, *costs) for each in answers],
        counted=actual.size,
        left_out=int(np.isnan(actual).sum()),
    )


@dataclass(frozen=True)
class _Answers:
    """What a method said at every origin: quantiles and means, beside what came, NaN where nobody knows it."""

    name: str
    pasts: Sequence[Panel]
    dates: Sequence[Array]
    actuals: Sequence[Array]
    quantiles: Sequence[Quantiles]
    means: Sequence[Array]
    seconds: float

    def joined(self) -> tuple[Array, Quantiles]:
        """All origins below one another."""
        values = np.concatenate([each.values for each in self.quantiles])
        return np.concatenate(self.actuals), replace(self.quantiles[0], values=values)

    def windows(self) -> list[Window]:
        return [
            Window(past.ids, dates, actual, quantiles.at(_wide(QUANTILES, actual)), mean)
            for past, dates, actual, quantiles, mean in zip(
                self.pasts, self.dates, self.actuals, self.quantiles, self.means, strict=True
            )
        ]


def _answers(
    name: str,
    panel: Panel,
    ends: Sequence[int],
    horizon: int,
    ask: Callable[[Panel], tuple[Quantiles, Array]],
) -> _Answers:
    began = time.monotonic()
    values = _known(panel)
    pasts = [panel.until(end) for end in ends]
    asked = [ask(past) for past in pasts]
    return _Answers(
        name,
        pasts,
        [panel.dates[end : end + horizon] for end in ends],
        [values[panel.first < end, end : end + horizon] for end in ends],
        [quantiles for quantiles, _ in asked],
        [mean for _, mean in asked],
        time.monotonic() - began,
    )


def _score(answers: _Answers, panel: Panel) -> Score:
    """Score a method; the scaled errors are averaged over the origins."""
    scaled, absolute = [], []
    for past, actual, mean in zip(answers.pasts, answers.actuals, answers.means, strict=True):
        history = _known(past)
        scaled.append(rmsse(actual, mean, history, past.first).value)
        absolute.append(mase(actual, mean, history, past.first, past.frequency.season).value)
    actual, quantiles = answers.joined()
    return Score(
        name=answers.name,
        weighted_quantile_loss=weighted_quantile_loss(
            actual, quantiles.at(_wide(QUANTILES, actual)), QUANTILES
        ),
        rmsse=float(np.mean(scaled)),
        mase=float(np.mean(absolute)),
        coverage=pit_coverage(pit_histogram(actual, quantiles, whole=panel.whole), INTERVAL),
        bias=bias(actual, np.concatenate(answers.means)),
        seconds=answers.seconds,
    )


def _cost(answers: _Answers, panel: Panel, holding: Array, shortage: Array) -> ErrorCost:
    places = {item: place for place, item in enumerate(panel.ids)}
    rows = np.array([places[item] for past in answers.pasts for item in past.ids], dtype=np.int64)
    actual, quantiles = answers.joined()
    return error_cost(answers.name, actual, quantiles, holding[rows], shortage[rows], whole=panel.whole)


def _item_costs(panel: Panel, on_hand: Any, holding: Any, shortage: Any) -> tuple[Array, Array] | None:
    """Both costs of every item, by the arguments or a table's columns; None where neither argument asks for it."""
    given = {"holding_cost": holding, "shortage_cost": shortage}
    numbers = {name: item_numbers(name, value, on_hand, panel.ids) for name, value in given.items()}
    lacking = [(name, each.index(None)) for name, each in numbers.items() if None in each]
    if lacking and holding is None and shortage is None:
        return None
    for name, place in lacking:
        whose = "" if given[name] is None else f" of item {panel.ids[place]!r}"
        raise UsageError(
            f"{name}{whose} is missing: what an error costs needs both costs of every item",
            hint="Give holding_cost and shortage_cost for all items, or for each of them.",
        )
    return np.array(numbers["holding_cost"], dtype=float), np.array(numbers["shortage_cost"], dtype=float)


def _known(panel: Panel) -> Array:
    """The demand of each period, NaN where the item had run out or nobody knows it: (N, T)."""
    if panel.status is None:
        return panel.values
    return np.where(panel.status == OBSERVED, panel.values, np.float32(np.nan))


def _seasonal_naive(past: Panel, horizon: int) -> tuple[Quantiles, Array]:
    values, mean = seasonal_naive_quantiles(
        past.values, past.first, horizon, past.frequency.season, LEVELS, nonnegative=past.nonnegative
    )
    return _distribution(values, past), mean


def _last_of_the_phase(past: Panel, horizon: int) -> tuple[Quantiles, Array]:
    values, mean = same_season_quantiles(past.values, past.first, horizon, past.frequency.season, LEVELS)
    return _distribution(values, past), mean


def _distribution(values: Array, past: Panel) -> Quantiles:
    return Quantiles(np.array(LEVELS), values, 0.0 if past.nonnegative else -math.inf)


def _wide(levels: Sequence[float], actual: Array) -> Array:
    """The levels for every row and period, (N, H, Q)."""
    return np.broadcast_to(np.asarray(levels), (*actual.shape, len(levels)))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _model_name(model: Forecaster) -> str:
    return f"recurra {model.cell.upper()} {model.layers} × {model.hidden_size}"
