"""What the error of a forecast costs: every period of every item is a newsvendor's.

A method's forecast says how much to have: the quantile at shortage / (shortage + holding), the one of least expected
cost (Silver, Pyke & Thomas 2017, §9.2). What is left over at the end of the period costs the holding cost, what is
missing the shortage cost. Who knew the demand would have exactly that, and pay nothing. The total is the pinball loss
at each item's own ratio, weighed by its costs, so that an honest forecast cannot be beaten by another one in the mean.

Shapes: N series (rows), H periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.distribution import Quantiles

__all__ = ["ErrorCost", "error_cost"]

Array = NDArray[Any]


@dataclass(frozen=True)
class ErrorCost:
    """What one method's errors cost: `holding` and `shortage`, money; the units `left` and `missing`, and `sales`."""

    name: str
    holding: float
    shortage: float
    left: float
    missing: float
    sales: float

    @property
    def total(self) -> float:
        """Holding and shortage together."""
        return self.holding + self.shortage

    @property
    def per_unit(self) -> float:
        """The total for each unit sold; NaN where nothing was."""
        return self.total / self.sales if self.sales > 0 else math.nan

    def row(self) -> dict[str, Any]:
        """Everything as plain values."""
        return vars(self) | {"total": self.total, "per_unit": self.per_unit}


def error_cost(
    name: str, actual: Array, quantiles: Quantiles, holding: Array, shortage: Array, *, whole: bool
) -> ErrorCost:
    """The cost of a forecast `quantiles` of the demand `actual` (N, H), NaN where nobody knows it.

    `holding` and `shortage` (N,) are the costs of a unit left over at the end of a period, and of a missing one, above
    0. Where quantities are `whole`, whole units are held; returns count as no demand.
    """
    actual = np.asarray(actual, dtype=np.float64)
    holding, shortage = (np.asarray(each, dtype=np.float64)[:, None] for each in (holding, shortage))
    share = np.broadcast_to(shortage / (shortage + holding), actual.shape)
    held = np.maximum(quantiles.at(share[..., None])[..., 0], 0)
    held = np.rint(held) if whole else held
    demand = np.maximum(actual, 0)
    left, missing = np.maximum(held - demand, 0), np.maximum(demand - held, 0)
    return ErrorCost(
        name,
        holding=float(np.nansum(holding * left)),
        shortage=float(np.nansum(shortage * missing)),
        left=float(np.nansum(left)),
        missing=float(np.nansum(missing)),
        sales=float(np.nansum(demand)),
    )
