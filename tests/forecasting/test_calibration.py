from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from small_shop import HORIZON, history_from, network_for, panel_of, tiny

from recurra.forecasting import network
from recurra.forecasting.calibration import calibrated
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.forecasting.sales.data import Panel

TAUS = np.array(LEVELS)
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
PERIODS = 30


def noise(series: int, *, whole: bool = False) -> Panel:
    """Sales of 100 or so, as a normal distribution of deviation 10 has them, or one of 1 rounded."""
    drawn = np.random.default_rng(0).normal(100, 1 if whole else 10, (series, PERIODS))
    return panel_of(np.rint(drawn) if whole else drawn)


def factors(panel: Panel, deviations: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Of forecasts that say the quantiles are `deviations` (Q,) from 100."""
    history, rows = history_from(panel), np.arange(len(panel.ids))
    standing = history.after(rows, PERIODS - HORIZON - 1, HORIZON)
    said = np.broadcast_to(100 + deviations, (len(rows), HORIZON, len(LEVELS))).astype(np.float32)
    answers = (said - standing.base[..., None]) / standing.unit[:, None, None]
    monkeypatch.setattr(network, "answer", lambda *_: torch.from_numpy(answers.astype(np.float32)))
    return calibrated(network_for(panel), history, panel, HORIZON, TAUS, rows)


@pytest.mark.parametrize(("below", "above"), [(1.0, 1.0), (0.7, 1.0), (1.25, 0.8)])
@pytest.mark.parametrize("whole", [False, True])
def test_it_undoes_what_is_too_wide_or_too_narrow(
    below: float, above: float, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deviation = 1 if whole else 10
    said = deviation * NORMAL / np.where(NORMAL < 0, below, above)
    found = factors(noise(1500, whole=whole), said, monkeypatch)
    assert found == pytest.approx((below, above), rel=0.08)


def test_few_series_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    many, few = (factors(noise(count), 5 * NORMAL, monkeypatch) for count in (1500, 10))
    assert many == pytest.approx((2.0, 2.0), rel=0.1)
    assert max(few) < 1.3


def test_a_lower_bound_may_have_been_anything_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many values are cut off at the shelf: the others alone would look too low."""
    panel = noise(1500)
    shelf = np.where(np.random.default_rng(1).random(panel.values.shape) < 0.5, 95.0, np.inf).astype(
        np.float32
    )
    status = np.where(panel.values > shelf, AT_LEAST, OBSERVED).astype(np.uint8)
    cut = replace(panel, values=np.minimum(panel.values, shelf), status=status)
    assert factors(cut, 10 * NORMAL, monkeypatch) == pytest.approx((1.0, 1.0), rel=0.06)


def test_none_are_as_forecast() -> None:
    panel = noise(3)
    history, network = history_from(panel), network_for(panel)
    assert calibrated(network, history, panel, HORIZON, TAUS, np.zeros(0, np.int64)) == (1.0, 1.0)
    nobody = replace(panel, status=np.full(panel.values.shape, MISSING, np.uint8))
    assert calibrated(network, history, nobody, HORIZON, TAUS, np.arange(3)) == (1.0, 1.0)


def test_a_fitted_model_forecasts_with_it() -> None:
    model = tiny(steps=20).fit(noise(30))
    assert model.spread_ != (1.0, 1.0)
    model.nonnegative_ = False  # so that nothing is cut off at 0
    calibrated_forecast = model.forecast().quantiles.values
    below, above = model.spread_
    model.spread_ = (1.0, 1.0)
    plain = model.forecast().quantiles
    np.testing.assert_allclose(calibrated_forecast, plain.spread(below, above).values)
    middle = len(LEVELS) // 2
    np.testing.assert_array_equal(calibrated_forecast[..., middle], plain.values[..., middle])
