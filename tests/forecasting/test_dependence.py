from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_shop import HORIZON, history_from, network_for, panel_of, sales, shop, tiny

from recurra.forecasting.dependence import fit_copula
from recurra.forecasting.distribution import Copula
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.sales.data import Panel

TAUS = np.array(LEVELS)


def copula_of(panel: Panel, horizon: int = HORIZON, seed: int = 0) -> Copula:
    network = network_for(panel, horizon=horizon)
    return fit_copula(network, history_from(panel, horizon), panel, horizon, TAUS, (1.0, 1.0), seed)


def learned(panel: Panel) -> Copula:
    """Of a trained network: only errors without a bias tell of dependence."""
    return tiny(steps=200, learning_rate=0.02, dropout=0.0).fit(panel).copula_


def test_errors_that_come_together_are_found() -> None:
    """Days of much and of little sales, for all items alike, and lasting for a while."""
    rng = np.random.default_rng(0)
    mood = np.zeros(400)
    for t in range(1, 400):
        mood[t] = 0.9 * mood[t - 1] + rng.normal()
    ours = learned(panel_of(20 + 4 * mood + rng.normal(0, 0.5, (60, 400))))
    correlation = ours.root @ ours.root.T
    assert ours.shared > 0.5
    assert correlation[0, 1] > 0.2
    assert correlation[0, 1] > correlation[0, -1]
    noise = learned(panel_of(rng.normal(20, 4, (60, 400))))
    assert noise.shared < 0.1
    assert abs(noise.root @ noise.root.T - np.eye(HORIZON)).max() < 0.25


def test_it_is_the_same_for_the_same_seed() -> None:
    panel = shop()
    one, again, other = copula_of(panel), copula_of(panel), copula_of(panel, seed=1)
    np.testing.assert_array_equal(one.root, again.root)
    assert one.shared == again.shared
    assert (one.root != other.root).any()


def test_without_a_complete_past_forecast_periods_are_independent() -> None:
    for panel in (panel_of(sales(3, HORIZON)), panel_of(sales(2, 12), [11, 11])):
        copula = copula_of(panel)
        np.testing.assert_allclose(copula.root, np.eye(HORIZON))
        assert copula.shared == 0.0


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_constant_sales_have_a_copula(value: float) -> None:
    panel = panel_of(np.full((4, 40), value))
    for each in (panel, replace(panel, whole=False), replace(panel, nonnegative=False)):
        copula = copula_of(each)
        np.testing.assert_allclose((copula.root**2).sum(1), 1)
        assert 0 <= copula.shared < 1


def test_no_more_series_than_needed_are_read() -> None:
    copula = copula_of(panel_of(np.tile(sales(6, 20), (100, 1))))
    np.testing.assert_allclose((copula.root**2).sum(1), 1)
