from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shop import HORIZON, history_from, network_for, panel_of, sales, shop, tiny

import recurra.forecasting.network as reading
from recurra.cells import CELLS
from recurra.errors import UsageError
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.history import VIEWS, History
from recurra.forecasting.network import ForecastNetwork, answer, read_all, remember
from recurra.forecasting.sales.calendar import FREQUENCIES
from recurra.forecasting.views.levels import Levels

ALL = np.arange(6)


def forecast(network: ForecastNetwork, history: History, rows: np.ndarray = ALL) -> torch.Tensor:
    """Quantiles after the last period of the history, (V, H, Q)."""
    last = history.values.shape[1] - 1
    context, standing = remember(network, history, rows, [last])[:, 0], history.after(rows, last, HORIZON)
    given = map(torch.from_numpy, (standing.place, standing.ahead, history.codes[rows]))
    return torch.from_numpy(standing.sold(answer(network, context, *given).numpy()))


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 1.0, 30.0, 1e4]), st.sampled_from([0.0, 1.0, 1e15]))
@settings(max_examples=30)
def test_quantiles_are_finite_and_never_cross(seed: int, scale: float, size: float) -> None:
    panel = panel_of(sales(6, 20, seed) * size)
    found = forecast(network_for(panel, seed=seed, scale=scale), history_from(panel))
    assert found.shape == (6, HORIZON, len(LEVELS))
    assert found.isfinite().all()
    assert (found.diff(dim=-1) >= 0).all()


def test_huge_and_tiny_sellers_side_by_side() -> None:
    panel = panel_of(np.array([np.full(20, 1e15), np.full(20, 1e-6), np.zeros(20), [0.0] * 19 + [1e15]]))
    found = forecast(network_for(panel), history_from(panel), np.arange(4))
    assert found.isfinite().all()
    assert (found.diff(dim=-1) >= 0).all()


def test_forecasts_scale_with_sales() -> None:
    """In units of its level a series looks the same whatever its size, but for the level itself."""
    panel = panel_of(sales(2, 30))
    network = network_for(panel)
    with torch.no_grad():  # forget the level, which stands behind the size and whether something was sold
        for cell in network.encoder.layers:
            cell.weight_ih[:, 2] = 0
        network.from_context.weight[:, -1] = 0
    larger = replace(panel, values=panel.values * 16)
    ours, theirs = (forecast(network, history_from(each), np.arange(2)) for each in (panel, larger))
    torch.testing.assert_close(theirs, ours * 16, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("cell", [kind.__name__ for kind in CELLS])
def test_rows_do_not_touch(cell: str) -> None:
    panel = shop()
    network, history = network_for(panel, cell=cell), history_from(panel)
    together = forecast(network, history)
    for row in range(6):
        alone = forecast(network, history, np.array([row]))
        torch.testing.assert_close(alone[0], together[row], rtol=5e-6, atol=5e-6)
    levels = history.view
    assert isinstance(levels, Levels)
    read = levels.read.copy()
    read[2] = np.nan
    found = forecast(network, replace(history, view=replace(levels, read=read)))
    assert found[2].isnan().all()
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found[others], together[others], rtol=2e-6, atol=1e-6)


def test_what_is_remembered_does_not_depend_on_what_was_read_beyond() -> None:
    panel = shop()
    network, history = network_for(panel), history_from(panel)
    origins = [60, 40, 12]
    found = remember(network, history, np.array([4, 0]), origins)
    assert found.shape == (2, 3, network.encoder.output_size)
    for place, origin in enumerate(origins):
        short = history_from(panel.until(origin + 1), inputs=history.inputs)
        alone = remember(network, short, np.array([4, 0]), [origin])
        torch.testing.assert_close(alone[:, 0], found[:, place], rtol=2e-6, atol=1e-6)


def test_a_late_series_is_read_from_its_first_period_on() -> None:
    """Whatever others sold before, and how long: as in training, where a series begins at its beginning."""
    panel = shop()
    network, history = network_for(panel), history_from(panel)
    begun = int(history.first[5])
    late = replace(
        panel,
        values=panel.values[:, begun:],
        dates=panel.dates[begun:],
        first=np.maximum(panel.first - begun, 0),
    )
    read = replace(history_from(late.select(panel.ids[5:]), inputs=history.inputs), codes=history.codes[5:])
    alone = remember(network, read, np.array([0]), [69 - begun])
    together = remember(network, history, ALL, [69])
    torch.testing.assert_close(alone[0], together[5], rtol=2e-6, atol=1e-6)
    assert remember(network, history, ALL, [3]).isfinite().all()  # it had not begun


def test_many_series_are_read_in_parts() -> None:
    panel = panel_of(np.tile(sales(3, 12), (100, 1)))
    network, history = network_for(panel), history_from(panel)
    history = replace(history, codes=np.zeros((300, 1), dtype=np.int64))
    found = remember(network, history, np.arange(300), [11])
    assert len(found) == 300
    torch.testing.assert_close(found[297:], found[:3], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("cell", ["LSTM", "MinGRU"])
@pytest.mark.parametrize("periods", [1, 3, 7])
def test_a_long_history_is_read_in_parts(cell: str, periods: int, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shop()
    network, history = network_for(panel, cell=cell), history_from(panel)
    last = history.values.shape[1] - 1
    assert len(set(history.first)) > 1
    origins = [last, last // 2, last // 3]
    whole, (after, state) = remember(network, history, ALL, origins), read_all(network, history, None)
    monkeypatch.setattr(reading, "PERIODS", periods)
    parts, (after_parts, state_parts) = (
        remember(network, history, ALL, origins),
        read_all(network, history, None),
    )
    begun = torch.from_numpy(history.first[:, None] <= np.array(origins))
    torch.testing.assert_close(parts[begun], whole[begun], rtol=5e-6, atol=5e-6)
    np.testing.assert_allclose(after_parts, after, rtol=5e-6, atol=5e-6)
    for name, each in state.items():
        np.testing.assert_allclose(state_parts[name], each, rtol=5e-6, atol=5e-6)


def test_dropout_is_for_training_only() -> None:
    panel = shop()
    network, history = network_for(panel, dropout=0.5, layers=2).train(), history_from(panel)
    assert torch.equal(forecast(network, history), forecast(network, history))
    assert not network.training


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_every_frequency_is_read(frequency: str, view: str) -> None:
    panel = panel_of(sales(3, 12), frequency=frequency, start="2001-01-01")
    found = forecast(network_for(panel, view=view), history_from(panel, view=view), np.arange(3))
    assert found.isfinite().all()


def test_an_unknown_cell_is_refused_before_a_file_is_opened() -> None:
    with pytest.raises(UsageError, match="no such cell"):
        tiny(cell="transformer").fit("no file is opened")
