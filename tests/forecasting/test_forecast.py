from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recurra.errors import UsageError
from recurra.forecasting import forecast as forecast_module
from recurra.forecasting.distribution import Copula, Quantiles
from recurra.forecasting.forecast import LEVELS, QUANTILES, Forecast
from recurra.forecasting.sales.calendar import FREQUENCIES


def forecast(series: int = 3, horizon: int = 4, *, whole: bool = False, shared: float = 0.0) -> Forecast:
    """Uniform distributions: the quantile at u is 10 n + 100 h + 8 u, but for the tails."""
    corner = 10 * np.arange(series)[:, None, None] + 100 * np.arange(horizon)[:, None]
    dates = FREQUENCIES["daily"].dates(np.datetime64("2024-02-27"), horizon)
    return Forecast(
        ids=tuple(f"s{n}" for n in range(series)),
        dates=dates,
        quantiles=Quantiles(np.array(LEVELS), corner + 8 * np.array(LEVELS), 0.0),
        copula=replace(Copula.independent(horizon), shared=shared),
        frequency=FREQUENCIES["daily"],
        whole=whole,
        seed=3,
    )


def test_quantiles_are_read_off_at_any_level() -> None:
    found = forecast().at((0.15, 0.5, 0.77))
    assert found.shape == (3, 4, 3)
    np.testing.assert_allclose(found[2, 3], 320 + 8 * np.array([0.15, 0.5, 0.77]))
    with pytest.raises(UsageError, match="the quantiles do not fit"):
        forecast().at((0.5, 0.4))


def test_the_table_goes_by_series_and_then_by_date() -> None:
    table = forecast().table((0.1, 0.5))
    assert table.columns == ["unique_id", "ds", "mean", "q0.1", "q0.5"]
    assert table.schema["ds"] == pl.Date
    assert table.row(5)[:2] == ("s1", forecast().dates[1].item())
    assert table.row(5)[2] == pytest.approx(114, abs=0.1)
    assert table.row(5)[4] == pytest.approx(114)
    assert forecast().table().width == 3 + len(QUANTILES)


def test_many_series_are_drawn_as_few_are() -> None:
    """Paths are drawn in parts of 64 series; no series may notice."""
    many, few = forecast(130, shared=0.4), forecast(3, shared=0.4)
    np.testing.assert_allclose(many.draw(5)[:3], few.draw(5), rtol=1e-6)
    assert many.draw(5).shape == (130, 5, 4)
    assert len(np.unique(many.draw(5)[:, 0, 0])) == 130


def test_the_first_periods_are_those_of_all() -> None:
    np.testing.assert_array_equal(forecast().draw(5, periods=2), forecast().draw(5)[..., :2])
    np.testing.assert_array_equal(forecast().draw(5, seed=3), forecast().draw(5))


def test_paths_hang_together_as_the_copula_says() -> None:
    drawn = forecast(2, shared=0.7).draw(4000)
    for period in range(4):
        assert np.corrcoef(drawn[:, :, period])[0, 1] == pytest.approx(0.68, abs=0.04)
    assert abs(np.corrcoef(drawn[0].T)[0, 1]) < 0.06


def test_the_paths_table_is_the_drawn_array() -> None:
    table = forecast(whole=True).paths_table(6)
    drawn = forecast(whole=True).draw(6)
    np.testing.assert_array_equal(table["y"].to_numpy().reshape(3, 6, 4), drawn)
    np.testing.assert_array_equal(drawn, np.rint(drawn))
    row = table.filter(unique_id="s2", path=4)
    assert row["ds"].to_list() == forecast().dates.tolist()
    np.testing.assert_array_equal(row["y"], drawn[2, 4])


def test_tables_made_in_parts_are_those_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forecast(9, shared=0.3)
    table, paths = whole.table(), whole.paths_table(6)
    monkeypatch.setattr(forecast_module, "PART", 2 * 6 * 4)
    parts = list(whole.paths_tables(6))
    assert [part["unique_id"].n_unique() for part in parts] == [2, 2, 2, 2, 1]
    assert pl.concat(parts).equals(paths)
    assert whole.table().equals(table)
    with pytest.raises(UsageError, match="paths must be a whole number"):
        whole.paths_tables(0)


def test_a_plan_sums_along_paths() -> None:
    plan = forecast(shared=0.2).plan(lead_time=1, review=2, service_level=0.9, on_hand=7).frame
    demand = forecast(shared=0.2).draw(500)[..., :3].sum(-1, dtype=np.float64)
    np.testing.assert_allclose(plan["order_up_to"], np.quantile(demand, 0.9, axis=1, method="inverted_cdf"))
    np.testing.assert_allclose(plan["order_quantity"], plan["order_up_to"] - 7, atol=1e-5)
    with pytest.raises(UsageError, match="lead time"):
        forecast().plan(lead_time=4, review=1)
    with pytest.raises(UsageError, match="lead time"):
        forecast().plan(lead_time=1)  # a week is the review of daily data
