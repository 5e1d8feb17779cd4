"""Sales and any other series: from a table to quantiles, joint paths, stock plans and backtests."""

from __future__ import annotations

from recurra.errors import MissingExtraError

# This is the room's only door, so every file behind it finds these packages.
try:
    import narwhals  # noqa: F401
    import polars  # noqa: F401
except ImportError as error:
    raise MissingExtraError.of("polars or narwhals", "tables") from error

from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.production import ProductionPlan, plan_production
from recurra.forecasting.stock.plan import StockPlan

__all__ = ["Forecaster", "ProductionPlan", "StockPlan", "plan_production"]
