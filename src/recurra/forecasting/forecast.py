"""A forecast of many series: their distributions, joint paths out of them, and the tables and plans made of those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recurra.errors import UsageError
from recurra.forecasting.distribution import Copula, Quantiles, normal_cdf
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.data import date_column
from recurra.forecasting.stock.arrivals import due_on_order
from recurra.forecasting.stock.plan import (
    StockPlan,
    check_plan,
    default_review,
    paths_needed,
    periods_needed,
    plan_stock,
)
from recurra.forecasting.stock.terms import StockTerms, item_terms

__all__ = ["LEVELS", "QUANTILES", "Forecast"]

# The probabilities that the network learns; any others are read off between and beyond them.
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PART = 4_000_000  # numbers that tables are made of at once: a bound on memory


@dataclass(frozen=True)
class Forecast:
    """What is expected of N series in the H periods ahead.

    Attributes
    ----------
    ids: the names of the series.
    dates: (H,) the periods ahead.
    quantiles: the distribution of each series in each period, (N, H, Q) at LEVELS.
    copula: how periods and series hang together.
    frequency: of the periods.
    whole: quantities are whole numbers, in paths and plans too.
    seed: what paths are drawn with unless told otherwise.
    """

    ids: tuple[str, ...]
    dates: NDArray[np.datetime64]
    quantiles: Quantiles
    copula: Copula
    frequency: Frequency
    whole: bool
    seed: int

    def at(self, levels: Sequence[float]) -> NDArray[np.float64]:
        """The quantiles at probabilities `levels`, (N, H, len(levels)); UsageError for levels that do not fit."""
        wanted = _checked(levels)
        return self.quantiles.at(np.broadcast_to(wanted, (*self.quantiles.values.shape[:2], len(wanted))))

    def draw(self, paths: int, seed: int | None = None, *, periods: int | None = None) -> NDArray[np.float32]:
        """Joint sample paths (N, paths, periods) of the first `periods`, or of all.

        Raises UsageError for a seed that is no whole number from 0 on.
        """
        seed = self.seed if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise UsageError("seed must be a whole number, 0 or more and below 2**63", value=seed)
        periods = periods or len(self.dates)
        drawn = np.empty((len(self.ids), paths, periods), dtype=np.float32)
        for start in range(0, len(self.ids), 64):
            part = slice(start, start + 64)
            u = normal_cdf(self.copula.draw(self.ids[part], paths, seed)[..., :periods])
            values = replace(self.quantiles, values=self.quantiles.values[part, :periods])
            drawn[part] = values.at(u.swapaxes(1, 2)).swapaxes(1, 2)
        return np.rint(drawn) if self.whole else drawn

    def table(self, levels: Sequence[float] = QUANTILES) -> pl.DataFrame:
        """The columns unique_id, ds, mean and one for each level, such as q0.1; a row for each series and period."""
        _checked(levels)
        return pl.concat([part._table(levels) for part in self._parts(len(self.dates) * len(levels))])

    def paths_table(self, paths: int, seed: int | None = None) -> pl.DataFrame:
        """Joint paths as the columns unique_id, path (0 … paths - 1), ds and y."""
        return pl.concat(self.paths_tables(paths, seed))

    def paths_tables(self, paths: int, seed: int | None = None) -> Iterator[pl.DataFrame]:
        """`paths_table` in parts of some series each, for more paths than memory holds."""
        if isinstance(paths, bool) or not isinstance(paths, int) or paths < 1:
            raise UsageError("paths must be a whole number, 1 or more", value=paths)
        return (part._paths_table(paths, seed) for part in self._parts(len(self.dates) * paths))

    def _parts(self, numbers: int) -> Iterator[Forecast]:
        """The forecast in parts of so many series that `numbers` of each are no more than PART together."""
        size = max(1, PART // numbers)
        for start in range(0, max(1, len(self.ids)), size):
            part = slice(start, start + size)
            quantiles = replace(self.quantiles, values=self.quantiles.values[part])
            yield replace(self, ids=self.ids[part], quantiles=quantiles)

    def _table(self, levels: Sequence[float]) -> pl.DataFrame:
        values = self.at(levels)
        columns = {"mean": self.quantiles.mean().ravel()}
        columns |= {f"q{level:g}": values[..., i].ravel() for i, level in enumerate(levels)}
        rows = [self._names(len(self.dates)), date_column(np.tile(self.dates, len(self.ids)))]
        return pl.DataFrame([*rows, *(pl.Series(name, column) for name, column in columns.items())])

    def _paths_table(self, paths: int, seed: int | None) -> pl.DataFrame:
        drawn, periods = self.draw(paths, seed), len(self.dates)
        number = np.tile(np.repeat(np.arange(paths, dtype=np.int32), periods), len(self.ids))
        dates = date_column(np.tile(self.dates, paths * len(self.ids)))
        return pl.DataFrame(
            [self._names(paths * periods), pl.Series("path", number), dates, pl.Series("y", drawn.ravel())]
        )

    def plan(
        self,
        *,
        seed: int | None = None,
        backend: Any = "polars",
        spreads: NDArray[np.float64] | None = None,
        **asked: Any,
    ) -> StockPlan:
        """What to order now, in the data-frame library `backend`; `asked` as `Forecaster.plan_stock` says.

        `spreads` (N,): `spreads.own_spreads` of the items.
        """
        terms = StockTerms(**asked)
        review = default_review(self.frequency, terms.policy) if terms.review is None else terms.review
        items = item_terms(terms, self.ids, review=review, whole=self.whole)
        check_plan(items, terms, self.ids, horizon=len(self.dates))
        periods = periods_needed(items, terms, len(self.dates))
        on_hand, on_order, late = due_on_order(
            terms.on_hand, terms.on_order, self.ids, self.dates, [item.longest for item in items]
        )
        drawn = self.draw(paths_needed(items, terms), seed, periods=periods)
        asked |= {"review": review, "on_hand": on_hand, "on_order": on_order}
        plan = plan_stock(drawn, self.ids, whole=self.whole, backend=backend, spreads=spreads, **asked)
        return replace(plan, notes=(*late, *plan.notes))

    def _names(self, each: int) -> pl.Series:
        places = np.repeat(np.arange(len(self.ids)), each)
        return pl.Series("unique_id", self.ids, dtype=pl.String).gather(places)


def _checked(levels: Sequence[float]) -> NDArray[np.float64]:
    try:
        wanted = np.asarray(levels, dtype=np.float64)
    except (TypeError, ValueError):
        wanted = np.zeros(0)
    inside = wanted.ndim == 1 and wanted.size and wanted[0] > 0 and wanted[-1] < 1
    if not inside or not (np.diff(wanted) > 0).all():
        hint = "Give rising numbers between 0 and 1, such as (0.1, 0.5, 0.9)."
        raise UsageError("the quantiles do not fit", value=levels, hint=hint)
    return wanted
