"""How much wider or narrower forecasts must be for their band to hold what it says, learned from held-out series.

Split conformal prediction (Vovk et al. 2005; of quantile regression: Romano, Patterson & Candès 2019): on series whose
last horizon was not trained on, the quantiles above the median are drawn from or to it until a tenth of the values lies
above the 0.9-quantile, and those below it likewise. All series together give the two factors, for one alone has too
little past; `spreads.py` does it item by item for the sums that a stock plan needs.

Legend: V held-out series, H horizon, Q quantiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.distribution import Quantiles
from recurra.forecasting.history import History
from recurra.forecasting.metrics import pit_shares
from recurra.forecasting.network import ForecastNetwork, remember, sold
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.sales.data import Panel

__all__ = ["calibrated"]

OUTSIDE = 0.1  # share of values on each side of the band
FACTORS = np.geomspace(0.5, 2.0, 57)
PRIOR = 100  # series that went as forecast: held-out ones are few, and have the same periods


def calibrated(
    network: ForecastNetwork,
    history: History,
    panel: Panel,
    horizon: int,
    levels: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> tuple[float, float]:
    """The factors of what lies below and above the median, from the last horizon of series `rows` (V,); 1 of none.

    A value counts where its forecast has it, from the probability of less to that of at most as much (as
    `pit_histogram` shares it out), a lower bound up to 1.
    """
    start = len(panel.dates) - horizon
    if not len(rows):
        return 1.0, 1.0
    context = remember(network, history, rows, [start - 1])[:, 0]
    values = sold(network, history, rows, start - 1, context).astype(np.float64)
    floor = 0.0 if panel.nonnegative else -np.inf
    actual = panel.values[rows, start:].astype(np.float64)
    status = np.zeros(actual.shape, np.uint8) if panel.status is None else panel.status[rows, start:]
    known = status != MISSING
    if not known.any():
        return 1.0, 1.0
    outside = np.empty((len(FACTORS), 2))
    for place, factor in enumerate(FACTORS):
        quantiles = Quantiles(levels, values, floor).spread(factor, factor)
        below, at_most = quantiles.around(actual, whole=panel.whole)
        at_most = np.where(status == AT_LEAST, 1.0, at_most)
        outside[place] = pit_shares(below[known], at_most[known], round(1 / OUTSIDE))[[0, -1]]
    nearest = FACTORS[np.abs(outside - OUTSIDE).argmin(0)]
    count = len(np.unique(np.flatnonzero(known) // horizon))
    below, above = nearest ** (count / (count + PRIOR))
    return float(below), float(above)
