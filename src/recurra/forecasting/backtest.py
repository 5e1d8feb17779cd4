"""Rolling origins: what the model would have forecast in the past, beside what happened and the baselines.

Shapes: N series, H periods of horizon, Q levels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.baselines import same_season_quantiles, seasonal_naive_quantiles
from recurra.forecasting.data import Panel
from recurra.forecasting.forecast import QUANTILES
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.metrics import (
    Calibration,
    bias,
    calibration,
    interval_coverage,
    mase,
    rmsse,
    weighted_quantile_loss,
)
from recurra.forecasting.stock import default_review
from recurra.forecasting.stock_backtest import Replay, check_replay, replay_stock

__all__ = ["Backtest", "Score", "Window", "backtest"]

Array = NDArray[Any]
INTERVAL = 0.8


@dataclass(frozen=True)
class Score:
    """One method's scores over all origins, as `metrics.py` defines them; coverage is of the central 80% range."""

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

    `window` is the model's last one, `calibration` over all of them, at the levels of QUANTILES; `model` is the one
    that was tested, trained on what came before the first origin; `replay` what its order plans would have led to.
    """

    scores: Sequence[Score]
    horizon: int
    origins: int = 1
    calibration: Calibration | None = None
    window: Window | None = None
    model: Forecaster | None = None
    replay: Replay | None = None

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values, for `--json`; a score that is not defined is None."""
        scores = [
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in vars(score).items()}
            for score in self.scores
        ]
        rows = None if self.replay is None else self.replay.rows()
        played = rows and [{k: None if v != v else v for k, v in row.items()} for row in rows]
        return {"horizon": self.horizon, "origins": self.origins, "scores": scores, "replay": played}


def backtest(
    forecaster: Forecaster,
    frame: Any,
    *,
    origins: int = 1,
    lead_time: int | None = None,
    review: int | None = None,
    service_level: float = 0.95,
    lost_sales: bool = False,
    max_seconds: float | None = None,
) -> Backtest:
    """Forecast the last `origins` horizons of a frame, a file or a Panel as if they had not happened yet.

    An unfitted copy of `forecaster` is trained once on what came before the first origin, and reads on from
    origin to origin; its weights never see what it is scored on. Series that had not begun at an origin are left
    out there. The baselines are seasonal naive and the quantiles of the last 8 values of the same season phase
    (for daily data: same weekdays).

    With a `lead_time` (and a `review`, as for `plan_stock`) the demand from the first origin on is also played against
    order plans for `service_level`, made anew at every review, beside two usual rules: `stock_backtest.replay_stock`.
    With `lost_sales`, what is not there is not delivered later.

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
    review = default_review(panel.frequency) if review is None else review
    if lead_time is not None:
        check_replay(lead_time, review, horizon=horizon, periods=length - start)
    before = panel.until(start)
    began = time.monotonic()
    model = Forecaster(**forecaster.get_params(deep=False)).fit(before, max_seconds=max_seconds)
    if model.outcome_.stopped == "interrupted":  # its scores would be those of a model half trained
        raise KeyboardInterrupt
    trained = time.monotonic() - began
    ends = [start + k * horizon for k in range(origins)]

    def ask_model(past: Panel) -> tuple[Array, Array]:
        forecast = model.forecast(past)
        return forecast.at(QUANTILES), forecast.quantiles.mean()

    def ask_naive(past: Panel) -> tuple[Array, Array]:
        return seasonal_naive_quantiles(
            past.values, past.first, horizon, past.frequency.season, QUANTILES, nonnegative=past.nonnegative
        )

    def ask_phases(past: Panel) -> tuple[Array, Array]:
        return same_season_quantiles(past.values, past.first, horizon, past.frequency.season, QUANTILES)

    replay = None
    if lead_time is not None:
        replay = replay_stock(
            model,
            panel,
            start,
            lead_time=lead_time,
            review=review,
            service_level=service_level,
            lost=lost_sales,
        )
    score, windows = _score(_model_name(model), panel, ends, horizon, ask_model, trained)
    phases = "last 8 same weekdays" if panel.frequency.name == "daily" else "last 8 of the same phase"
    return Backtest(
        scores=(
            score,
            _score(phases, panel, ends, horizon, ask_phases)[0],
            _score("seasonal naive", panel, ends, horizon, ask_naive)[0],
        ),
        horizon=horizon,
        origins=origins,
        calibration=calibration(*_joined(windows), QUANTILES),
        window=windows[-1],
        model=model,
        replay=replay,
    )


def _score(
    name: str,
    panel: Panel,
    ends: Sequence[int],
    horizon: int,
    ask: Callable[[Panel], tuple[Array, Array]],
    trained: float = 0.0,
) -> tuple[Score, list[Window]]:
    """Ask a method at every origin, and score it; the scaled errors are averaged over the origins."""
    began = time.monotonic()
    windows, scaled, absolute = [], [], []
    for end in ends:
        past = panel.until(end)
        actual = panel.values[panel.first < end, end : end + horizon]
        quantiles, mean = ask(past)
        windows.append(Window(past.ids, panel.dates[end : end + horizon], actual, quantiles, mean))
        scaled.append(rmsse(actual, mean, past.values, past.first).value)
        absolute.append(mase(actual, mean, past.values, past.first, past.frequency.season).value)
    actual, quantiles = _joined(windows)
    score = Score(
        name=name,
        weighted_quantile_loss=weighted_quantile_loss(actual, quantiles, QUANTILES),
        rmsse=float(np.mean(scaled)),
        mase=float(np.mean(absolute)),
        coverage=interval_coverage(actual, quantiles, QUANTILES, INTERVAL),
        bias=bias(actual, np.concatenate([window.mean for window in windows])),
        seconds=trained + time.monotonic() - began,
    )
    return score, windows


def _joined(windows: Sequence[Window]) -> tuple[Array, Array]:
    return np.concatenate([w.actual for w in windows]), np.concatenate([w.quantiles for w in windows])


def _model_name(model: Forecaster) -> str:
    return f"recurra {model.cell.upper()} {model.layers} × {model.hidden_size}"
