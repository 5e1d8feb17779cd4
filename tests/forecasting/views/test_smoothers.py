from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from small_shop import history_from, panel_of

from recurra.forecasting.inputs import Inputs
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.views import smoothers
from recurra.forecasting.views.smoothers import BANK, Smoothers


def seen(panel: Panel, typical: float = 20.0, *, marks: bool = False) -> Smoothers:
    """The view of a panel whose series are all of one typical size."""
    inputs = replace(Inputs.of(panel, view="trend"), marks=marks, typical=typical)
    view = history_from(panel, inputs=inputs).view
    assert isinstance(view, Smoothers)
    return view


def grown(periods: int, season: int = 12, seed: int = 0) -> np.ndarray:
    """Sales with a trend, a season and some noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, periods)
    t = np.arange(periods)
    return np.exp(3 + 0.01 * t + 0.3 * np.sin(2 * np.pi * t / season) + noise)


def by_definition(
    values: np.ndarray, season: int, gains: smoothers.Gains
) -> list[tuple[float, float, list[float]]]:
    """Level, trend and season after each period, one number after another, as the class says."""
    level, trend, seasons, corrected = 0.0, 0.0, [0.0] * season, [0] * season
    logs: list[float] = []
    flat: list[float] = []
    found = []
    for t, z in enumerate(np.log(values)):
        phase, before = t % season, level
        carried = gains.damping * trend
        new = (
            z
            if t == 0
            else level + carried + max(gains.level, 1 / (t + 1)) * (z - seasons[phase] - level - carried)
        )
        logs.append(z)
        flat.append(z - seasons[phase])
        if season > 1 and len(logs) >= season:
            mean = sum(logs[-season:]) / season + trend * (season - 1) / 2
            corrected[phase] += 1
            seasons[phase] += max(gains.season, 1 / corrected[phase]) * (z - mean - seasons[phase])
        if t > 0 and gains.trend > 0:
            trend = carried + max(gains.trend, 0.5 / (t + 1)) * (new - before - carried)
        if gains is BANK[smoothers.STRAIGHT]:
            time = np.arange(t + 1) - t / 2
            trend = 0.7 * float((time * (np.array(flat) - np.mean(flat))).sum() / ((time**2).sum() + 1))
        level = new
        found.append((level, trend, list(seasons)))
    return found


@pytest.mark.parametrize(("frequency", "season"), [("yearly", 1), ("quarterly", 4), ("monthly", 12)])
def test_the_bank_is_that_of_its_definition(frequency: str, season: int) -> None:
    values = grown(50, season)
    found = seen(panel_of([values], frequency=frequency, start="2001-01-01"))
    horizon, origin = 2 * season + 1, 40
    phase = 2001 - 1970 if season == 1 else 0  # the number of the first period, modulo the season
    standing = found.at(np.zeros(1, np.int64), np.array([[origin]]), horizon)
    for j, gains in enumerate(BANK):
        level, trend, seasons = by_definition(values, season, gains)[origin]
        assert found.level[0, origin, j] == pytest.approx(level, rel=1e-4)
        for h in range(1, horizon + 1):
            reach = sum(gains.damping**i for i in range(1, h + 1))
            expected = math.exp(level + trend * reach + seasons[(origin + h) % season])
            base = float(standing.base[0, 0, h - 1])
            told = (
                base
                if j == 0
                else base + math.sinh(standing.ahead[0, 0, h - 1, j - 1]) * float(standing.unit[0, 0])
            )
            assert told == pytest.approx(expected, rel=2e-3), (j, h, phase)


def test_hours_have_a_forecast_from_the_same_hour_of_last_week() -> None:
    values = grown(500, 168)
    panel = panel_of([values], frequency="hourly", start="2001-01-01")
    found, logs, origin, horizon = seen(panel), np.log(values), 450, 200
    standing = found.at(np.zeros(1, np.int64), np.array([[origin]]), horizon)
    told = standing.base[0, 0] + np.sinh(standing.ahead[0, 0, :, -1]) * standing.unit[0, 0]
    shift = logs[origin - 23 : origin + 1].mean() - logs[origin - 191 : origin - 167].mean()
    week = np.array([logs[origin + h - 168 * math.ceil(h / 168)] for h in range(1, horizon + 1)])
    np.testing.assert_allclose(told, np.exp(week + shift), rtol=1e-3)
    day = np.array([logs[origin + h - 24 * math.ceil(h / 24)] for h in range(1, horizon + 1)])
    np.testing.assert_allclose(standing.base[0, 0], np.exp((day + week + shift) / 2), rtol=1e-4)
    end, last = found.at_end(horizon), found.at(np.zeros(1, np.int64), np.array([[499]]), horizon)
    np.testing.assert_allclose(end.ahead[0], last.ahead[0, 0], rtol=1e-4, atol=1e-4)
    early = found.at(np.zeros(1, np.int64), np.array([[190]]), horizon)
    assert (early.ahead[..., -1] == 0).all(), "a week and a day must be known"


def test_the_unit_is_the_usual_change_from_season_to_season() -> None:
    values = grown(60)
    found = seen(panel_of([values], frequency="monthly", start="2001-01-01"))
    change, level = np.abs(values[12:] - values[:-12]), np.exp(found.level[0, -1, smoothers.MIDDLE])
    ages = np.arange(len(change))[::-1]
    weights = (1 - 1 / 500) ** ages
    expected = ((weights * change).sum() + 2 * 0.1 * level) / (weights.sum() + 2)
    assert found.unit[0, -1] == pytest.approx(expected, rel=1e-4)


def test_a_network_that_knows_nothing_forecasts_the_last_season() -> None:
    """The base of a series that repeats itself is its last season."""
    season = np.array([5.0, 7, 9, 30, 12, 11, 10, 9, 8, 7, 6, 50])
    found = seen(panel_of([np.tile(season, 6)], frequency="monthly", start="2001-01-01"))
    np.testing.assert_allclose(found.at_end(24).base[0], np.tile(season, 2), rtol=0.05)


def test_a_network_that_knows_nothing_goes_on_along_most_of_the_trend() -> None:
    values = 100 * 1.1 ** np.arange(30)
    found = seen(panel_of([values], frequency="yearly", start="2001-01-01"))
    growth = np.log(found.at_end(4).base[0]) - math.log(values[-1])
    np.testing.assert_allclose(growth, 0.7 * math.log(1.1) * np.arange(1, 5), rtol=0.03)


def test_the_trend_of_a_long_history_keeps_its_digits() -> None:
    values = np.exp(5 + 1e-5 * np.arange(5000))
    found = seen(panel_of([values], frequency="daily", start="2001-01-01"))
    assert found.running["trend"][0, smoothers.STRAIGHT] == pytest.approx(0.7e-5, rel=1e-2)


def test_a_missing_value_is_read_as_the_forecast_and_counts_nowhere() -> None:
    values = grown(40)
    said = np.full((1, 40), OBSERVED, np.uint8)
    said[0, 30] = MISSING
    values[30] = 1e6
    panel = replace(panel_of([values], frequency="monthly", start="2001-01-01"), status=said)
    found = seen(panel)
    before = found.at(np.zeros(1, np.int64), np.array([[29]]), 1)
    assert found.read[0, 30] == pytest.approx(before.base[0, 0, 0], rel=1e-6)
    assert found.unit[0, 30] == pytest.approx(found.unit[0, 29], rel=0.01)
    assert found.seen[0, 29:32].tolist() == [30, 30, 31]


def test_a_lower_bound_draws_nothing_down() -> None:
    values, said = grown(40), np.full((1, 40), OBSERVED, np.uint8)
    said[0, 39], values[39] = AT_LEAST, 0.0
    panel = panel_of([values], frequency="monthly", start="2001-01-01")
    bound, sold = seen(replace(panel, status=said)), seen(panel)
    assert bound.level[0, 39, 0] > bound.level[0, 38, 0] - 0.1
    assert sold.level[0, 39, 0] < sold.level[0, 38, 0] - 3


def test_a_period_without_sales_is_a_hundredth_of_the_mean() -> None:
    found = seen(panel_of([[10.0, 10, 0, 10, 10]], frequency="yearly", start="2001-01-01"))
    assert found.level[0, 2, 0] == pytest.approx(math.log(10) + 0.95 * math.log(0.01 * 20 / 30), rel=1e-4)


def test_forecasts_from_where_little_is_known_weigh_little() -> None:
    found = seen(panel_of([grown(40)], frequency="monthly", start="2001-01-01"))
    weight = found.weight(np.zeros(1, np.int64), np.arange(40)[None])[0]
    assert weight[0] == pytest.approx(0.1)
    assert (np.diff(weight) >= 0).all()
    assert (weight[23:] == 1).all()
