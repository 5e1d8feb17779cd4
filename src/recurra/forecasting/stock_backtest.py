"""What a model's order plan would have led to in the past, beside two usual rules.

At every review the model reads on to that day, without being trained again, and says up to which level to order; then
what was really sold is played against the levels. Played are plans (R, S) for any target, with uncertain lead times,
packs and least orders; not reorder points, shelf life and budgets.

Legend: N items, T periods played, S paths, K levels of each item: that of the plan first, then a curve of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.distribution import seed_of
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.covariates import OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.spreads import own_spreads
from recurra.forecasting.stock.plan import check_plan, default_review
from recurra.forecasting.stock.policies import fill_rate_levels
from recurra.forecasting.stock.replay import Played, Supply, empirical_levels, moving_average_levels, play
from recurra.forecasting.stock.rules import highest_share, item_demand
from recurra.forecasting.stock.terms import ItemTerms, StockTerms, item_terms
from recurra.forecasting.views.levels import MEMORIES

__all__ = ["Replay", "replay_stock", "replayed_items"]

Floats = NDArray[np.float64]

# The curve of every method, to compare them where they reached the same fill rate. The last are for the moving average,
# whose normal demand is far from the real one: up to 6 standard deviations. A quantile ends at the largest sample.
CURVE = (
    *(0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.87, 0.89, 0.91, 0.93, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98),
    *(0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999, 0.9995, 0.9998),
    *(1 - 1e-4, 1 - 3e-5, 1 - 1e-5, 1 - 1e-6, 1 - 1e-7, 1 - 1e-9),
)
FILL_RATES = (0.95, 0.98)
PATHS = 1000


@dataclass(frozen=True)
class Replay:
    """The model, first, and two usual rules, over the same `periods` of demand, of which the longest wait warms up.

    `terms` say what was planned for, `items` what of it held for each; `lost`: what was missing was lost, not late. In
    `unknown` periods of items the demand is not known: what was sold was played.
    """

    methods: Sequence[Played]
    terms: StockTerms
    items: Sequence[ItemTerms]
    periods: int
    lost: bool
    unknown: int = 0

    @property
    def costed(self) -> bool:
        """Whether every item has both costs."""
        return all(item.holding_cost and item.shortage_cost for item in self.items)

    def rows(self) -> list[dict[str, Any]]:
        """As planned: fill_rate, cycle_service, stock, missing, cost (NaN without costs); stock at equal fill rates."""
        found = []
        for method in self.methods:
            row: dict[str, Any] = {"name": method.name, "target": self.terms.target}
            row["service_level"] = math.nan if self.terms.target == "costs" else self.terms.service_level
            for name in ("fill_rate", "cycle_service", "stock", "missing", "cost"):
                row[name] = float(getattr(method, name)[0])
            row["cost"] = row["cost"] if self.costed else math.nan
            row |= {f"stock_at_fill_{rate:g}": method.stock_at(rate) for rate in FILL_RATES}
            found.append(row)
        return found

    def saved(self, fill_rate: float) -> list[float]:
        """How much less stock the model held than each other rule at equal fill rate, as shares; NaN if unknown."""
        mine = self.methods[0].stock_at(fill_rate)
        return [1 - mine / other.stock_at(fill_rate) for other in self.methods[1:]]


def replayed_items(terms: StockTerms, panel: Panel, *, horizon: int, periods: int) -> list[ItemTerms]:
    """What holds for each item of a replay; UsageError where it does not fit the horizon or the `periods` played."""
    if terms.policy != "periodic":
        raise UsageError(
            "only plans with a fixed review are replayed", value=terms.policy, hint="Use policy periodic."
        )
    review = default_review(panel.frequency) if terms.review is None else terms.review
    items = item_terms(terms, panel.ids, review=review, whole=panel.whole)
    check_plan(items, terms, panel.ids, horizon=horizon)
    wait, often = max(item.longest for item in items), max(item.review for item in items)
    if wait + often > periods:
        lead = max(item.lead_time.longest for item in items)
        raise UsageError(
            f"a replay over {periods} periods is too short for lead time {lead} and review {often}",
            hint=f"Go back {wait + often} periods or more: more origins, or a longer horizon.",
        )
    return items


def replay_stock(
    model: Forecaster,
    panel: Panel,
    start: int,
    terms: StockTerms,
    *,
    calibrate: bool = False,
    lost: bool = False,
) -> Replay:
    """Play the demand of `panel` from period `start` on against plans of `model`, trained on what came before.

    Items that had not begun by then are left out. With `calibrate` the model's demand is as wide as each item's past
    before `start` says (`spreads`). Uncertain lead times are drawn for each order, by the model's seed, the same for
    every method. The usual rules know no fill rate: they are asked for the same number as a chance of the cycle; where
    costs are the target, for the chance that these imply. Raises UsageError where the terms do not fit.
    """
    periods = len(panel.dates) - start
    panel = panel.select([name for name, first in zip(panel.ids, panel.first, strict=True) if first < start])
    items = replayed_items(terms, panel, horizon=model.horizon, periods=periods)
    if calibrate:
        spreads = own_spreads(model.forecast, panel.until(start), items)
        items = [replace(item, spread=float(s)) for item, s in zip(items, spreads, strict=True)]
    supply = _supply(items, panel.ids, periods, model.seed)
    shares = _shares(items, terms)
    leads, window = [item.lead_time for item in items], int(MEMORIES[panel.frequency.name][-1])
    levels: dict[str, dict[int, Floats]] = {
        f"recurra {model.cell.upper()}": {},
        "moving average + z·σ·√L": {},
        "empirical lead-time quantile": {},
    }
    mine, average, empirical = levels.values()
    longest = max(item.longest for item in items)
    for t in (t for t in range(periods) if (t % supply.review == 0).any()):
        past = panel.until(start + t)
        drawn = model.forecast(past).draw(PATHS, periods=longest)
        mine[t] = _levels(drawn, items, terms, shares, whole=panel.whole)
        known = (past.values, past.first, leads, supply.review, shares)
        average[t] = moving_average_levels(*known, window, whole=panel.whole)
        empirical[t] = empirical_levels(*known, whole=panel.whole)
    unknown = 0 if panel.status is None else int((panel.status[:, start:] != OBSERVED).sum())
    demand = panel.values[:, start:]
    played = [play(name, demand, each, supply, lost=lost) for name, each in levels.items()]
    return Replay(tuple(played), terms, tuple(items), periods, lost, unknown)


def _supply(items: Sequence[ItemTerms], ids: Sequence[str], periods: int, seed: int) -> Supply:
    lead_time = np.empty((len(items), periods), dtype=np.int64)
    for row, item, name in zip(lead_time, items, ids, strict=True):
        lead = item.lead_time
        row[:] = lead.longest
        if len(lead.periods) > 1:
            row[:] = np.random.default_rng([seed, seed_of(name)]).choice(
                lead.periods, size=periods, p=lead.chances
            )
    return Supply(
        review=np.array([item.review for item in items], dtype=np.int64),
        lead_time=lead_time,
        pack_size=np.array([item.pack_size for item in items]),
        minimum=np.array([item.minimum for item in items]),
        holding_cost=np.array([item.holding_cost for item in items]),
        shortage_cost=np.array([item.shortage_cost for item in items]),
        warm_up=max(item.longest for item in items),
    )


def _shares(items: Sequence[ItemTerms], terms: StockTerms) -> Floats:
    """What each item is asked for, and then more and less of it, its odds by the same factor for all items: (N, K).

    With costs, that is what other shortage costs would imply.
    """
    asked = np.array([highest_share(item, terms) for item in items])
    odds, curve = asked / (1 - asked), np.array(CURVE)
    usual = np.exp(np.log(odds).mean())
    scaled = (odds / usual)[:, None] * (curve / (1 - curve))
    return np.concatenate([asked[:, None], np.minimum(scaled / (1 + scaled), CURVE[-1])], axis=1)


def _levels(
    drawn: NDArray[np.float32], items: Sequence[ItemTerms], terms: StockTerms, shares: Floats, *, whole: bool
) -> Floats:
    """The model's order-up-to levels from sample paths (N, S, H), (N, K)."""
    levels = np.empty(shares.shape)
    for n, item in enumerate(items):
        before, until = (item_demand(drawn[n], item, more, whole=whole) for more in (0, item.review))
        if terms.target == "fill":
            levels[n] = fill_rate_levels(before, until, shares[n], whole=whole)
        else:
            levels[n] = np.maximum(np.quantile(until, shares[n], method="inverted_cdf"), 0)
    return levels
