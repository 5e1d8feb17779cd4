"""What a model's order plan would have led to in the past, beside two usual rules.

At every review the model reads on to that day, without being trained again, and says up to which level to order; then
what was really sold is played against the levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import UsageError
from recurra.forecasting.data import Panel
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.history import MEMORIES
from recurra.forecasting.replay import Played, empirical_levels, moving_average_levels, play

__all__ = ["Replay", "check_replay", "replay_stock"]

# Asked for by every method, to compare them where they reached the same fill rate. The last are for the moving average,
# whose normal demand is far from the real one: up to 6 standard deviations. A quantile ends at the largest sample.
SERVICE_LEVELS = (
    *(0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99),
    *(0.995, 0.999, 1 - 1e-4, 1 - 1e-5, 1 - 1e-6, 1 - 1e-9),
)
FILL_RATES = (0.95, 0.98)
PATHS = 1000


@dataclass(frozen=True)
class Replay:
    """The model, first, and two usual rules, over the same `periods` of demand, of which lead time + review warm up.

    `service_level` is the one that was asked for, `lost` whether what was missing was lost or delivered late.
    """

    methods: Sequence[Played]
    lead_time: int
    review: int
    service_level: float
    periods: int
    lost: bool

    def rows(self) -> list[dict[str, Any]]:
        """At the service level asked for: name, fill_rate, cycle_service, stock, missing; stock at equal fill rates."""
        found = []
        for method in self.methods:
            place = int(np.abs(method.service_levels - self.service_level).argmin())
            row: dict[str, Any] = {"name": method.name, "service_level": self.service_level}
            for name in ("fill_rate", "cycle_service", "stock", "missing"):
                row[name] = float(getattr(method, name)[place])
            row |= {f"stock_at_fill_{rate:g}": method.stock_at(rate) for rate in FILL_RATES}
            found.append(row)
        return found

    def saved(self, fill_rate: float) -> list[float]:
        """How much less stock the model held than each other rule at equal fill rate, as shares; NaN if unknown."""
        mine = self.methods[0].stock_at(fill_rate)
        return [1 - mine / other.stock_at(fill_rate) for other in self.methods[1:]]


def check_replay(lead_time: int, review: int, *, horizon: int, periods: int) -> None:
    """Raise UsageError where lead time + review does not fit the horizon, or leaves no period of `periods` to count."""
    if lead_time + review > horizon:
        raise UsageError(
            f"lead time + review is {lead_time + review} periods, but the model forecasts only {horizon}",
            hint=f"Forecast {lead_time + review} periods or more.",
        )
    if lead_time + 2 * review > periods:
        raise UsageError(
            f"a replay over {periods} periods is too short for lead time {lead_time} and review {review}",
            hint=f"Go back {lead_time + 2 * review} periods or more: more origins, or a longer horizon.",
        )


def replay_stock(
    model: Forecaster,
    panel: Panel,
    start: int,
    *,
    lead_time: int,
    review: int,
    service_level: float = 0.95,
    lost: bool = False,
) -> Replay:
    """Play the demand of `panel` from period `start` on against the levels of `model`, trained on what came before.

    Items that had not begun by then are left out. Raises UsageError where lead time and review do not fit.
    """
    periods = len(panel.dates) - start
    check_replay(lead_time, review, horizon=model.horizon, periods=periods)
    panel = panel.select([name for name, first in zip(panel.ids, panel.first, strict=True) if first < start])
    shares = sorted({*SERVICE_LEVELS, service_level})
    interval, window = lead_time + review, int(MEMORIES[panel.frequency.name][-1])
    model_levels, average, empirical = [], [], []
    for end in range(start, len(panel.dates), review):
        past = panel.until(end)
        drawn = model.forecast(past).draw(PATHS, periods=interval)
        demand = drawn.sum(axis=2, dtype=np.float64)
        levels = np.quantile(demand, shares, axis=1, method="inverted_cdf").T
        model_levels.append(np.maximum(levels, 0))
        average.append(
            moving_average_levels(past.values, past.first, interval, shares, window, whole=panel.whole)
        )
        empirical.append(empirical_levels(past.values, past.first, interval, shares, whole=panel.whole))
    named = {
        f"recurra {model.cell.upper()}": model_levels,
        "moving average + z·σ·√L": average,
        "empirical lead-time quantile": empirical,
    }
    demand = panel.values[:, start:]
    played = [
        play(name, demand, np.stack(levels), shares, lead_time=lead_time, review=review, lost=lost)
        for name, levels in named.items()
    ]
    return Replay(tuple(played), lead_time, review, service_level, periods, lost)
