from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_shop import panel_of

from recurra.errors import UsageError
from recurra.forecasting.distribution import Copula, Quantiles
from recurra.forecasting.forecast import LEVELS, Forecast
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.sales.covariates import AT_LEAST
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.spreads import check_past, own_spreads
from recurra.forecasting.stock.terms import ItemTerms, StockTerms, item_terms

RATE, DAYS = 20.0, 28 * 5


def terms(panel: Panel, **asked: Any) -> list[ItemTerms]:
    return item_terms(StockTerms(**({"lead_time": 2, "review": 3} | asked)), panel.ids, review=1, whole=True)


def honest(past: Panel) -> Forecast:
    """The right forecast of independent Poisson sales, the same on every day."""
    sample = np.random.default_rng(0).poisson(RATE, 200_000) + np.random.default_rng(1).uniform(
        -0.5, 0.5, 200_000
    )
    values = np.broadcast_to(np.quantile(sample, LEVELS), (len(past.ids), 10, len(LEVELS)))
    daily = FREQUENCIES["daily"]
    quantiles = Quantiles(np.array(LEVELS), values, 0.0)
    dates = daily.dates(past.dates[-1], 11)[1:]
    return Forecast(past.ids, dates, quantiles, Copula.independent(10), daily, True, 0)


@pytest.fixture
def panel() -> Panel:
    """One item as it is forecast, one that never changes, and one of which every week is good or bad as a whole."""
    generator = np.random.default_rng(2)
    weeks = np.repeat(generator.choice([0.5, 1.5], DAYS // 5), 5)
    return panel_of([generator.poisson(RATE, DAYS), np.full(DAYS, RATE), RATE * weeks])


def test_spreads_are_those_of_the_items_own_past(panel: Panel) -> None:
    _, none, wide = own_spreads(honest, panel, terms(panel))
    # Of 26 intervals that never differ, with 5 as forecast: s² = 5 / 31. Half a week up or down: 50² against 5 × 20.
    assert none == pytest.approx(np.sqrt(5 / 31), abs=0.02)
    assert wide == pytest.approx(4.0)  # the most there is
    moderate = panel_of([np.full(DAYS, RATE) + np.tile(np.repeat([2.0, -2.0], 5), DAYS // 10)])
    (spread,) = own_spreads(honest, moderate, terms(moderate))
    assert spread == pytest.approx(np.sqrt((26 * 10**2 + 5 * 100) / (31 * 100)), abs=0.05)


def test_items_that_go_as_forecast_keep_their_spread() -> None:
    panel = panel_of(np.random.default_rng(4).poisson(RATE, (60, DAYS)))
    assert np.square(own_spreads(honest, panel, terms(panel))).mean() == pytest.approx(1, abs=0.1)


def test_what_nobody_knows_says_nothing(panel: Panel) -> None:
    status = np.zeros(panel.values.shape, dtype=np.uint8)
    values = panel.values.copy()
    values[1, -12:], status[1, -12:] = 0, AT_LEAST
    spreads = own_spreads(honest, replace(panel, values=values, status=status), terms(panel))
    assert spreads[1] == pytest.approx(np.sqrt(5 / 28), abs=0.02)  # 23 intervals are left
    assert own_spreads(honest, replace(panel, values=values), terms(panel))[1] > 1


def test_an_item_that_has_just_begun_keeps_what_was_forecast(panel: Panel) -> None:
    young = replace(panel, first=np.array([0, DAYS - 3, 0]))
    assert own_spreads(honest, young, terms(panel))[1] == 1
    alone = panel_of(np.full((1, DAYS), RATE), [DAYS // 2])
    assert 0.3 < own_spreads(honest, alone, terms(alone))[0] < 0.8


def test_too_little_past(panel: Panel) -> None:
    items = terms(panel)
    assert check_past(65, items) == list(range(60, 4, -5))
    with pytest.raises(
        UsageError, match="needs 12 past stretches of 5 periods, and 64 periods of history hold 11"
    ):
        check_past(64, items)
    with pytest.raises(UsageError, match="needs 12 past stretches"):
        own_spreads(honest, panel.until(40), items)


def test_items_that_wait_differently_have_intervals_of_their_own(panel: Panel) -> None:
    items = [replace(item, review=review) for item, review in zip(terms(panel), (3, 1, 3), strict=True)]
    asked = []

    def ask(past: Panel) -> Forecast:
        asked.append(len(past.dates))
        return honest(past)

    assert own_spreads(ask, panel, items)[1] == pytest.approx(np.sqrt(5 / 31), abs=0.02)
    assert asked == list(range(DAYS - 5, DAYS - 5 - 26 * 5, -5))
