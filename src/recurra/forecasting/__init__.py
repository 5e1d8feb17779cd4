"""Sales and any other series: from a table to quantiles, joint paths, stock plans and backtests."""

from __future__ import annotations

from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.stock import StockPlan

__all__ = ["Forecaster", "StockPlan"]
