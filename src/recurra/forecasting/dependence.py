"""How the errors of a forecast hang together, learned from the forecasts a network would have made in the past."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.forecasting.distribution import Copula, Quantiles
from recurra.forecasting.history import History
from recurra.forecasting.network import ForecastNetwork, remember, sold
from recurra.forecasting.sales.covariates import OBSERVED
from recurra.forecasting.sales.data import Panel

__all__ = ["fit_copula"]

ORIGINS = 8  # past forecasts of each series
SERIES = 512  # at most this many series
EDGE = 0.002  # probabilities nearer to 0 or 1 say little about correlation and weigh much: they are taken as this


def fit_copula(
    network: ForecastNetwork,
    history: History,
    panel: Panel,
    horizon: int,
    levels: NDArray[np.float64],
    spread: tuple[float, float],
    seed: int,
) -> Copula:
    """Estimate the copula from the probability that each past forecast, so `spread`, gave to at most what then came.

    Forecasts start at up to 8 origins, one horizon apart, over up to 512 series. For counts the probability is
    drawn at random between that of less and that of at most the value (the randomised probability integral
    transform, Czado, Gneiting & Held 2009). Periods are independent where no past forecast is complete.
    """
    length = len(panel.dates)
    origins = [length - 1 - horizon * k for k in range(1, ORIGINS + 1) if length - 1 - horizon * k >= 0]
    if not origins:
        return Copula.independent(horizon)
    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(panel.ids))[:SERIES])
    context = remember(network, history, rows, origins)
    scores = np.full((len(origins), len(rows), horizon), np.nan)
    for number, origin in enumerate(origins):
        begun = panel.first[rows] <= origin
        here = rows[begun]
        if not len(here):
            continue
        ahead = slice(origin + 1, origin + 1 + horizon)
        answered = sold(network, history, here, origin, context[torch.from_numpy(begun), number])
        floor = 0.0 if panel.nonnegative else -np.inf
        quantiles = Quantiles(levels, answered.astype(np.float64), floor).spread(*spread)
        actual = panel.values[rows[begun], ahead].astype(np.float64)
        found = _normal_scores(quantiles, actual, panel.whole, generator)
        if panel.status is not None:
            found[panel.status[rows[begun], ahead] != OBSERVED] = np.nan
        scores[number, begun] = found
    return Copula.fit(scores)


def _normal_scores(
    quantiles: Quantiles, actual: NDArray[np.float64], whole: bool, generator: np.random.Generator
) -> NDArray[np.float64]:
    below, at_most = quantiles.around(actual, whole=whole)
    u = below + (at_most - below) * generator.random(actual.shape)
    return normal_scores(np.clip(u, EDGE, 1 - EDGE))


def normal_scores(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of Φ, at probabilities inside 0 … 1."""
    return np.asarray(torch.special.ndtri(torch.from_numpy(np.ascontiguousarray(u))).numpy())
