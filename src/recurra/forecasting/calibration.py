"""How much wider or narrower forecasts must be for their band to hold what it says, learned from held-out series.

Split conformal prediction (Vovk et al. 2005; of quantile regression: Romano, Patterson & Candès 2019): on series whose
last horizon was not trained on, the quantiles above the median are drawn from or to it until a tenth of the values lies
above the 0.9-quantile, and those below it likewise. All series together give the two factors, for one alone has too
little past; `spreads.py` does it item by item for the sums that a stock plan needs.

Legend: V held-out series, H horizon, Q quantiles.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.history import History
from recurra.forecasting.network import ForecastNetwork, answer, remember
from recurra.forecasting.sales.covariates import OBSERVED
from recurra.forecasting.sales.data import Panel

__all__ = ["calibrated"]

OUTSIDE = 0.1  # share of values on each side of the band
FACTORS = np.geomspace(0.5, 2.0, 57)
PRIOR = 30  # series that went as forecast, so that few held-out ones change little


def calibrated(
    network: ForecastNetwork,
    history: History,
    panel: Panel,
    horizon: int,
    levels: NDArray[np.float64],
    rows: NDArray[np.int64],
    seed: int,
) -> tuple[float, float]:
    """The factors of what lies below and above the median, from the last horizon of series `rows` (V,); 1 of none.

    For counts the place of a value among the quantiles is drawn at random between those of less and of at most it (the
    randomised probability integral transform, Czado, Gneiting & Held 2009).
    """
    start = len(panel.dates) - horizon
    if not len(rows):
        return 1.0, 1.0
    standing = history.after(rows, start - 1, horizon)
    given = map(torch.from_numpy, (standing.place, standing.ahead, history.codes[rows]))
    answers = answer(network, remember(network, history, rows, [start - 1])[:, 0], *given).numpy()
    values, floor = standing.sold(answers).astype(np.float64), 0.0 if panel.nonnegative else -np.inf
    actual = panel.values[rows, start:].astype(np.float64)
    known = (
        np.ones(actual.shape, dtype=bool) if panel.status is None else panel.status[rows, start:] == OBSERVED
    )
    if not known.any():
        return 1.0, 1.0
    drawn = np.random.default_rng(seed).random(actual.shape)
    outside = np.empty((len(FACTORS), 2))
    for place, factor in enumerate(FACTORS):
        quantiles = Quantiles(levels, values, floor).spread(factor, factor)
        below, at_most = quantiles.around(actual, whole=panel.whole)
        u = (below + (at_most - below) * drawn)[known]
        outside[place] = (u < OUTSIDE).mean(), (u > 1 - OUTSIDE).mean()
    nearest = FACTORS[np.abs(outside - OUTSIDE).argmin(0)]
    count = len(np.unique(np.flatnonzero(known) // horizon))
    below, above = nearest ** (count / (count + PRIOR))
    return float(below), float(above)
