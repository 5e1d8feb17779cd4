"""How widely each item's lead-time demand really spread around its forecast, learned from its own past.

A forecast that is honest over all items together can still be too wide for the steady ones and too narrow for the
lumpy ones: how one day hangs on the next, and how far the largest orders go, is not the same for all. From past
forecasts of intervals that have happened, with demand A, mean m and variance v,

    s² = (Σ (A - m)² + c v̄) / (Σ v + c v̄)

says how much wider an item's demand was than was said; v̄ is the mean of its v, and c intervals that went as forecast
keep s near 1 where little is known. A plan then takes m + s (X - m) for a sampled demand X.

Legend: N items, S paths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.forecast import Forecast
from recurra.forecasting.sales.covariates import OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.stock.plan import check_plan, default_review
from recurra.forecasting.stock.rules import demand_until
from recurra.forecasting.stock.terms import ItemTerms, StockTerms, item_terms

__all__ = ["check_past", "own_spreads", "plan_spreads"]

MOST, FEWEST = 26, 12  # past intervals: a year of fortnights; with fewer than these the ratio is mostly noise
PRIOR = 5  # intervals that went as forecast
PATHS = 250
BOUNDS = (0.25, 4.0)


def own_spreads(
    ask: Callable[[Panel], Forecast], panel: Panel, items: Sequence[ItemTerms]
) -> NDArray[np.float64]:
    """The spread s of each of N items, from what `ask` forecasts at up to 26 past dates of `panel`, (N,).

    The intervals, of lead time + review, do not overlap; those in which an item had run out or nobody knows the demand
    are left out. Raises UsageError where the history holds fewer than 12.
    """
    origins = check_past(len(panel.dates), items)
    longest = max(item.longest for item in items)
    known = np.ones(panel.values.shape, dtype=bool) if panel.status is None else panel.status == OBSERVED
    places = {name: place for place, name in enumerate(panel.ids)}
    squares, variances, counts = (np.zeros(len(items)) for _ in range(3))
    for end in origins:
        if not (panel.first < end).any():
            continue
        past = panel.until(end)
        drawn = ask(past).draw(PATHS, periods=longest)
        for name, paths in zip(past.ids, drawn, strict=True):
            n = places[name]
            span = slice(end, end + round(items[n].lead_time.mean) + items[n].review)
            if known[n, span].all():
                said = demand_until(paths, items[n].lead_time, items[n].review)
                squares[n] += (panel.values[n, span].sum(dtype=np.float64) - said.mean()) ** 2
                variances[n] += said.var()
                counts[n] += 1
    usual = PRIOR * variances / np.maximum(counts, 1)
    ratio = np.where(variances > 0, (squares + usual) / np.maximum(variances + usual, 1e-300), 1.0)
    return np.asarray(np.clip(np.sqrt(ratio), *BOUNDS))


def plan_spreads(
    ask: Callable[[Panel], Forecast], panel: Panel, terms: StockTerms, horizon: int
) -> NDArray[np.float64]:
    """`own_spreads` for a plan; UsageError too where lead time + review do not fit the `horizon` of `ask`."""
    review = default_review(panel.frequency, terms.policy) if terms.review is None else terms.review
    items = item_terms(terms, panel.ids, review=review, whole=panel.whole)
    check_plan(items, terms, panel.ids, horizon=horizon)
    return own_spreads(ask, panel, items)


def check_past(periods: int, items: Sequence[ItemTerms]) -> list[int]:
    """The past dates to forecast from, the newest first; UsageError where `periods` of history hold too few."""
    longest = max(item.longest for item in items)
    origins = list(range(periods - longest, longest - 1, -longest))[:MOST]
    if len(origins) < FEWEST:
        raise UsageError(
            f"calibrating a plan needs {FEWEST} past stretches of {longest} periods, and {periods} periods of history "
            f"hold {len(origins)}",
            hint="Plan without it.",
        )
    return origins
