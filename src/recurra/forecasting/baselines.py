"""The forecasts every model must beat: seasonal naive, and the quantiles of the last same weekdays.

Shapes as in `metrics.py`: `values` (N, T) with zeros before `first` (N,), answers `(quantiles (N, H, Q),
mean (N, H))`. A series that has not started yet (`first` ≥ T) is forecast as 0. Both baselines are
vectorized over series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["same_season_quantiles", "seasonal_naive_quantiles"]

Array = NDArray[Any]
Floats = NDArray[np.float64]


def seasonal_naive_quantiles(
    values: Array,
    first: Array,
    horizon: int,
    season: int,
    levels: Sequence[float],
    *,
    nonnegative: bool = True,
) -> tuple[Floats, Floats]:
    """The value one season ago, with the spread of the errors that this forecast made in the history.

    Point: y at the same phase of the last season (Hyndman & Athanasopoulos, Forecasting: Principles and
    Practice, §5.2); the last value where a series is younger than a season. Quantiles: point + the
    empirical quantiles of y_t - y_{t-k·season}, with k the number of seasons the step lies ahead, or the
    longest such lag for which a series has an error; no spread where it has none. Floored at 0 if
    `nonnegative`. The mean is the point.
    """
    values, first, taus = _checked(values, first, horizon, season, levels)
    length = values.shape[1]
    ahead = np.arange(horizon)
    source = length - season + ahead % season
    point = np.where(source >= first[:, None], values[:, np.clip(source, 0, length - 1)], values[:, -1:])

    spread = np.zeros((len(values), horizon, taus.size))
    for seasons in range(1, (horizon - 1) // season + 2):
        lag = seasons * season
        if lag >= length:
            errors = np.full((len(values), 1), np.nan)
        else:
            old_enough = np.arange(lag, length) - lag >= first[:, None]
            errors = np.where(old_enough, values[:, lag:] - values[:, :-lag], np.nan)
        known = ~np.isnan(errors).all(axis=1)
        # Steps further ahead inherit this lag's spread until a longer lag with errors of its own replaces it.
        spread[known, lag - season :] = _row_quantiles(errors[known], taus)[:, None, :]
    quantiles = point[..., None] + spread
    return (np.maximum(quantiles, 0) if nonnegative else quantiles), point


def same_season_quantiles(
    values: Array, first: Array, horizon: int, season: int, levels: Sequence[float], last: int = 8
) -> tuple[Floats, Floats]:
    """The empirical quantiles and mean of the last 8 values at the same phase of the season.

    Daily data with season 7: the last 8 same weekdays, interpolated linearly as by `np.quantile`. A series
    with fewer than `last` values at that phase takes its last 8 values of any phase instead, or as many as
    it has.
    """
    values, first, taus = _checked(values, first, horizon, season, levels)
    if last < 1:
        raise ValueError(f"last must be at least 1, not {last}")
    recent = _gather(values, first, values.shape[1] - 1 - np.arange(last))
    quantiles = np.empty((len(values), horizon, taus.size))
    mean = np.empty((len(values), horizon))
    for phase in range(min(season, horizon)):
        same = _gather(values, first, values.shape[1] - season + phase - season * np.arange(last))
        samples = np.where(np.isnan(same).any(axis=1, keepdims=True), recent, same)
        samples = np.where(np.isnan(samples).all(axis=1, keepdims=True), 0.0, samples)
        quantiles[:, phase::season] = _row_quantiles(samples, taus)[:, None, :]
        mean[:, phase::season] = np.nanmean(samples, axis=1)[:, None]
    return quantiles, mean


def _checked(
    values: Array, first: Array, horizon: int, season: int, levels: Sequence[float]
) -> tuple[Floats, NDArray[np.int64], Floats]:
    values, first = np.asarray(values, dtype=np.float64), np.asarray(first, dtype=np.int64)
    if values.ndim != 2 or values.shape[1] == 0 or first.shape != values.shape[:1]:
        raise ValueError(
            f"values are {values.shape} and first {first.shape}; want (N, T) with T ≥ 1, and (N,)"
        )
    if horizon < 1 or season < 1:
        raise ValueError(f"horizon and season must be at least 1, not {horizon} and {season}")
    return values, first, np.asarray(levels, dtype=np.float64)


def _gather(values: Floats, first: NDArray[np.int64], positions: NDArray[np.int64]) -> Floats:
    """The values at these positions, (N, len(positions)); NaN where a series had not started."""
    known = (positions >= 0) & (positions >= first[:, None])
    return np.where(known, values[:, np.maximum(positions, 0)], np.nan)


def _row_quantiles(samples: Floats, levels: Floats) -> Floats:
    """Linear quantiles of each row, NaN aside, (N, Q): `np.nanquantile` without its loop over rows."""
    ordered = np.sort(samples, axis=1)
    count = (~np.isnan(samples)).sum(axis=1)
    position = (count - 1)[:, None] * levels
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, (count - 1)[:, None])
    below, above = np.take_along_axis(ordered, low, axis=1), np.take_along_axis(ordered, high, axis=1)
    quantiles: Floats = below + (above - below) * (position - low)
    return quantiles
