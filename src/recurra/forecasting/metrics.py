"""How good a forecast was: weighted quantile loss, RMSSE, MASE, coverage, bias, calibration.

Shapes, here and in `baselines.py`: N series, T periods of history, H periods of horizon, Q quantile levels.
`actual` (N, H), `quantiles` (N, H, Q), `mean` (N, H), `history` (N, T) with zeros before `first` (N,), the
index at which each series starts (T where it has not started yet). Sums run in float64.

NaN in `actual` or `history` is a demand that nobody knows: no score counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.distribution import Quantiles

__all__ = [
    "Calibration",
    "ScaledError",
    "bias",
    "calibration",
    "interval_coverage",
    "mase",
    "pit_coverage",
    "pit_histogram",
    "rmsse",
    "weighted_quantile_loss",
]

Array = NDArray[Any]


class ScaledError(NamedTuple):
    """A scaled error averaged over series, and how many were left out of the average: no scale, nothing known."""

    value: float
    left_out: int


class Calibration(NamedTuple):
    """The share of actual values strictly below, and at or below, each quantile; (Q,) each.

    For counts the two differ (a forecast median of 0 is met by every zero), and a well calibrated level
    lies between them (the two ends of the probability integral transform for counts, Czado, Gneiting & Held
    2009).
    """

    levels: NDArray[np.float64]
    below: NDArray[np.float64]
    at_or_below: NDArray[np.float64]


def weighted_quantile_loss(actual: Array, quantiles: Array, levels: Sequence[float]) -> float:
    """The pinball loss as a share of what was sold: for each level 2·Σ loss / Σ |y|; the mean over levels.

    0 is perfect; lower is better. Sums run over all series and periods; NaN if every actual value is 0.
    This is GluonTS' `mean_wQuantileLoss` (Alexandrov et al. 2020, JMLR 21(116)).
    """
    actual, quantiles, taus = _checked(actual, quantiles, levels)
    volume = np.nansum(np.abs(actual))
    if volume == 0:
        return float("nan")
    losses = [2 * np.nansum(_pinball(actual - quantiles[..., i], tau)) / volume for i, tau in enumerate(taus)]
    return float(np.mean(losses))


def rmsse(actual: Array, mean: Array, history: Array, first: Array) -> ScaledError:
    """The root mean squared scaled error, averaged over series; below 1 beats the one-step naive forecast.

    Each series' squared error is divided by the mean squared one-step difference of its history, from its
    first nonzero sale on (the M5 competition's, Makridakis, Spiliotis & Assimakopoulos 2022, unweighted). A
    series whose history is constant there, or has fewer than two values, has no scale: it is left out and
    counted.
    """
    sold = _started(history, first) & (np.nan_to_num(history) != 0)
    start = np.where(sold.any(axis=1), sold.argmax(axis=1), sold.shape[1])
    scale = _mean_difference(np.asarray(history, dtype=np.float64), start, lag=1, power=2)
    error = _row_means(np.square(_difference(actual, mean)))
    return _average(np.sqrt(error), np.sqrt(scale))


def mase(actual: Array, mean: Array, history: Array, first: Array, season: int) -> ScaledError:
    """The mean absolute scaled error, averaged over series; below 1 beats seasonal naive in its sample.

    Each series' absolute error is divided by the mean absolute difference over one `season` of its history
    (Hyndman & Koehler 2006, in the seasonal form of the M4 competition). A series with no more than one
    season of history, or whose differences are all 0, has no scale: it is left out and counted.
    """
    if season < 1:
        raise ValueError(f"season must be at least 1, not {season}")
    scale = _mean_difference(np.asarray(history, dtype=np.float64), np.asarray(first), lag=season, power=1)
    return _average(_row_means(np.abs(_difference(actual, mean))), scale)


def interval_coverage(
    actual: Array, quantiles: Array, levels: Sequence[float], interval: float = 0.8
) -> float:
    """The share of actual values inside the central `interval`, ends included; 0.8: levels 0.1 and 0.9."""
    actual, quantiles, taus = _checked(actual, quantiles, levels)
    ends = []
    for wanted in ((1 - interval) / 2, (1 + interval) / 2):
        near = np.flatnonzero(np.isclose(taus, wanted, atol=1e-6))
        if not near.size:
            raise ValueError(
                f"a central interval of {interval:g} needs the level {wanted:g}, not in {levels}"
            )
        ends.append(quantiles[..., near[0]])
    return _mean(((actual >= ends[0]) & (actual <= ends[1]))[~np.isnan(actual)])


def pit_histogram(actual: Array, quantiles: Quantiles, *, whole: bool, bins: int = 10) -> NDArray[np.float64]:
    """The shares of the randomised probability integral transform in equal bins of 0 … 1, (bins,).

    The transform of y lies between the forecast's P(Y < y) and P(Y ≤ y), drawn uniformly where these differ, as they
    do for counts. These shares are the mean over that draw, so that no seed is needed (the nonrandomized histogram of
    Czado, Gneiting & Held 2009, Biometrics 65, 1254). A calibrated forecast fills all bins alike; a too narrow one
    fills the outer ones more. Where quantities are `whole`, the forecast is taken as rounded, as in sample paths.
    """
    y = np.asarray(actual, dtype=np.float64)
    known = ~np.isnan(y)
    y = np.where(known, y, 0.0)
    below, at_most = quantiles.around(y, whole=whole)
    return pit_shares(below[known], at_most[known], bins)


def pit_shares(below: Array, at_most: Array, bins: int = 10) -> NDArray[np.float64]:
    """`pit_histogram` of the probabilities (…,) that forecasts gave to less and to at most what came."""
    width = at_most - below
    if not below.size:
        return np.full(bins, np.nan)
    edges = np.arange(bins + 1) / bins
    reached = np.zeros(bins + 1)  # the share of the transform at or below each edge
    for place, edge in enumerate(edges[1:], start=1):
        drawn = np.clip((edge - below) / np.where(width > 0, width, 1.0), 0, 1)
        reached[place] = np.where(width > 0, drawn, below <= edge).mean()
    return np.diff(reached)


def pit_coverage(histogram: Array, interval: float = 0.8) -> float:
    """The share of actual values in the central `interval`, of a `pit_histogram` with bins that end where it does."""
    bins = len(histogram)
    outside = (1 - interval) / 2 * bins
    if not 0 < interval < 1 or abs(outside - round(outside)) > 1e-6:
        raise ValueError(f"{bins} bins do not end where a central interval of {interval:g} does")
    return float(np.sum(histogram[round(outside) : bins - round(outside)]))


def calibration(actual: Array, quantiles: Array, levels: Sequence[float]) -> Calibration:
    """For each level, the share of actual values strictly below and at or below the forecast quantile."""
    actual, quantiles, taus = _checked(actual, quantiles, levels)
    known = ~np.isnan(actual)
    y, quantiles = actual[known][:, None], quantiles[known]
    if not len(y):
        return Calibration(taus, np.full(taus.shape, np.nan), np.full(taus.shape, np.nan))
    return Calibration(taus, (y < quantiles).mean(axis=0), (y <= quantiles).mean(axis=0))


def bias(actual: Array, mean: Array) -> float:
    """The summed error as a share of what was sold: +0.05 forecast 5% too much. NaN if nothing was sold."""
    volume = np.nansum(np.asarray(actual, dtype=np.float64))
    return float(-np.nansum(_difference(actual, mean)) / volume) if volume else float("nan")


def _pinball(error: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    return np.maximum(level * error, (level - 1) * error)


def _checked(
    actual: Array, quantiles: Array, levels: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    y, q = np.asarray(actual, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    taus = np.asarray(levels, dtype=np.float64)
    if q.shape != (*y.shape, taus.size) or y.ndim != 2:
        raise ValueError(
            f"actual is {y.shape}, quantiles {q.shape}, levels {taus.shape}; want (N, H), (N, H, Q), (Q,)"
        )
    return y, q, taus


def _difference(actual: Array, mean: Array) -> NDArray[np.float64]:
    y, forecast = np.asarray(actual, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    if y.shape != forecast.shape or y.ndim != 2:
        raise ValueError(f"actual is {y.shape} and mean {forecast.shape}; both must be (N, H)")
    return y - forecast


def _started(history: Array, first: Array) -> NDArray[np.bool_]:
    started: NDArray[np.bool_] = np.arange(np.shape(history)[1]) >= np.asarray(first)[:, None]
    return started


def _mean_difference(history: NDArray[np.float64], first: Array, lag: int, power: int) -> NDArray[np.float64]:
    """The mean |y_t - y_{t-lag}|^power over the pairs inside each series' history; NaN without a pair."""
    both = _started(history, first)[:, : max(history.shape[1] - lag, 0)]
    steps = np.abs(history[:, lag:] - history[:, : both.shape[1]]) ** power
    return _row_means(np.where(both, steps, np.nan))


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of what is known in each row; NaN where nothing is."""
    count = (~np.isnan(values)).sum(axis=1)
    return np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _average(error: NDArray[np.float64], scale: NDArray[np.float64]) -> ScaledError:
    usable = np.isfinite(scale) & (scale > 0) & np.isfinite(error)
    value = float((error[usable] / scale[usable]).mean()) if usable.any() else float("nan")
    return ScaledError(value, int((~usable).sum()))
