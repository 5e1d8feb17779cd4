"""Small data and a tiny forecaster for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from recurra.forecasting.fitting import make_network
from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.history import History, history_of
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.network import ForecastNetwork
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.data import Panel, date_column

HORIZON = 5
TINY: dict[str, Any] = {
    "horizon": HORIZON,
    "hidden_size": 8,
    "layers": 1,
    "embedding_size": 4,
    "steps": 5,
    "batch_size": 8,
}


def tiny(**changes: Any) -> Forecaster:
    return Forecaster(**(TINY | changes))


def panel_of(
    values: Any,
    first: Any = None,
    *,
    frequency: str = "daily",
    start: str = "2023-01-02",
    ids: tuple[str, ...] | None = None,
) -> Panel:
    """A panel of the rows of `values` (N, T); zeros are put before `first`."""
    values = np.array(values, dtype=np.float32)
    first = np.zeros(len(values), dtype=np.int64) if first is None else np.asarray(first, dtype=np.int64)
    values[np.arange(values.shape[1]) < first[:, None]] = 0
    rhythm = FREQUENCIES[frequency]
    return Panel(
        ids=ids or tuple(f"item {n:02}" for n in range(len(values))),
        frequency=rhythm,
        dates=rhythm.dates(np.datetime64(start), values.shape[1]),
        values=values,
        first=first,
        whole=bool((values == np.rint(values)).all()),
        nonnegative=bool((values >= 0).all()),
    )


def sales(series: int = 6, periods: int = 70, seed: int = 0) -> NDArray[np.float32]:
    """Counts with a weekly pattern, from small sellers to large ones."""
    rng = np.random.default_rng(seed)
    week = 1 + 0.8 * np.sin(2 * np.pi * np.arange(periods) / 7)
    return rng.poisson(np.geomspace(1, 40, series)[:, None] * week).astype(np.float32)


def shop(series: int = 6, periods: int = 70, seed: int = 0) -> Panel:
    """The panel of `sales`; the last series begins late."""
    first = np.zeros(series, dtype=np.int64)
    first[-1] = periods // 2
    return panel_of(sales(series, periods, seed), first)


def frame_of(panel: Panel) -> pl.DataFrame:
    """The panel as a table of sales, from each series' first period on."""
    parts = [
        pl.DataFrame({"ds": date_column(panel.dates[first:]), "y": panel.values[row, first:]}).select(
            pl.lit(panel.ids[row]).alias("unique_id"), "ds", "y"
        )
        for row, first in enumerate(panel.first)
    ]
    return pl.concat(parts)


def history_from(
    panel: Panel, horizon: int = HORIZON, until: Any = None, view: str = "level", inputs: Inputs | None = None
) -> History:
    until = None if until is None else np.asarray(until, dtype=np.int64)
    inputs, items = inputs or Inputs.of(panel, view=view), len(panel.ids)
    who = inputs.who(panel, np.arange(1, items + 1), items)
    return history_of(panel, horizon, inputs, who, items, until=until)


def network_for(
    panel: Panel, *, seed: int = 0, scale: float = 1.0, view: str = "level", **changes: Any
) -> ForecastNetwork:
    """A network with random weights, `scale` times the usual."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = make_network(tiny(**changes), Inputs.of(panel, view=view), len(panel.ids), panel.frequency)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network.eval()


def numbers(table: pl.DataFrame) -> np.ndarray[Any, Any]:
    return table.drop("unique_id", "ds").to_numpy()


def assert_sound(table: pl.DataFrame, *, nonnegative: bool = True) -> None:
    quantiles = table.select(pl.col("^q.*$")).to_numpy()
    assert np.isfinite(numbers(table)).all()
    assert (np.diff(quantiles) >= 0).all()
    if nonnegative:
        assert numbers(table).min() >= 0
