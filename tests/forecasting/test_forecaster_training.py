"""How a fit stops, is killed and goes on, and whether it learns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_shop import HORIZON, assert_sound, panel_of, shop, tiny

from recurra.errors import NotFittedError, UsageError
from recurra.forecasting import settings as module
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.windows import Windows
from recurra.training import Recipe


class Killed(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


def dying(at: int, error: type[BaseException]) -> Any:
    """A `Windows.next` that raises at its `at`-th call."""
    original, calls = Windows.next, iter(range(1, 10**6))

    def following(self: Windows) -> Any:
        if next(calls) == at:
            raise error
        return original(self)

    return following


def test_max_seconds_ends_the_training(small_panel: Panel) -> None:
    model = tiny(steps=100_000, patience=None).fit(small_panel, max_seconds=0.2)
    assert model.outcome_.stopped == "time"
    assert 0 < model.outcome_.steps < 100_000
    assert_sound(model.predict())


def test_patience_ends_the_training() -> None:
    noise = np.random.default_rng(0).poisson(5, (4, 60))
    model = tiny(steps=5000, patience=1, learning_rate=0.1).fit(panel_of(noise))
    assert model.outcome_.stopped == "patience"
    assert model.outcome_.best_loss is not None


@pytest.mark.parametrize("at", [1, 4])
def test_an_interrupted_fit_keeps_a_usable_model(
    small_panel: Panel, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Windows, "next", dying(at, KeyboardInterrupt))
    model = tiny().fit(small_panel)
    assert model.outcome_.stopped == "interrupted"
    assert model.outcome_.steps == at - 1
    assert_sound(model.predict())
    assert model.simulate(2).height == 6 * 2 * HORIZON


def test_an_interruption_behind_the_training_leaves_no_half_model(
    small_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    model = tiny()
    monkeypatch.setattr("recurra.forecasting.fitting.fit_copula", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(small_panel)
    with pytest.raises(NotFittedError):
        model.predict()


@pytest.fixture
def _checkpoint_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Recipe", partial(Recipe, checkpoint_seconds=0))


@pytest.mark.usefixtures("_checkpoint_each_step")
@pytest.mark.parametrize("at", [1, 2, 27])
def test_a_killed_fit_goes_on_to_the_same_model(
    small_panel: Panel, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"steps": 30, "dropout": 0.3, "layers": 2}
    whole = tiny(**arguments).fit(small_panel)
    with monkeypatch.context() as patch:
        patch.setattr(Windows, "next", dying(at, Killed))
        with pytest.raises(Killed):
            tiny(**arguments).fit(small_panel, checkpoint=tmp_path / "run")
    model = tiny(**arguments).fit(small_panel, checkpoint=tmp_path / "run")
    assert model.outcome_.steps == 30
    assert model.predict().equals(whole.predict())
    assert model.simulate(5).equals(whole.simulate(5))
    assert model.outcome_.best_loss == whole.outcome_.best_loss


@pytest.mark.usefixtures("_checkpoint_each_step")
def test_a_fit_that_had_ended_is_not_done_again(
    small_panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tiny().fit(small_panel, checkpoint=tmp_path)
    monkeypatch.setattr(Windows, "next", dying(1, AssertionError))
    again = tiny().fit(small_panel, checkpoint=str(tmp_path))
    assert again.predict().equals(first.predict())
    for other, data in (
        (tiny(seed=1), small_panel),
        (tiny(hidden_size=9), small_panel),
        (tiny(), shop(seed=1)),
    ):
        with pytest.raises(
            UsageError,
            match=r"of a training with other data or another network.*6 daily series to .*another folder",
        ):
            other.fit(data, checkpoint=tmp_path)


SCRIPT = """
import os, signal, sys
from functools import partial
sys.path.insert(0, {tests!r})
import torch
from small_shop import shop, tiny
from recurra.forecasting import settings
from recurra.forecasting.windows import Windows
from recurra.training import Recipe
torch.set_num_threads(1)
settings.Recipe = partial(Recipe, checkpoint_seconds=0)
following, calls = Windows.next, iter(range(1000))
def dying(self):
    if next(calls) == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    return following(self)
Windows.next = dying
tiny(steps=30).fit(shop(), checkpoint={folder!r})
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills otherwise")
@pytest.mark.usefixtures("_checkpoint_each_step")
def test_a_fit_whose_process_was_killed_goes_on_to_the_same_model(tmp_path: Path) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    source = Path(module.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(source)}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    model = tiny(steps=30).fit(shop(), checkpoint=tmp_path)
    assert model.predict().equals(tiny(steps=30).fit(shop()).predict())


@pytest.mark.slow
def test_it_learns_what_weekdays_of_the_past_do_not_tell() -> None:
    """Every item has the same week, and a level that wanders off from where it was weeks ago."""
    from recurra.forecasting.backtest import backtest

    rng = np.random.default_rng(0)
    level = 20 * np.exp(rng.normal(0, 0.1, (24, 220)).cumsum(1))
    week = np.array([1, 1, 1, 1, 2, 3, 0.2])[np.arange(220) % 7]
    arguments = {"hidden_size": 24, "batch_size": 24, "steps": 400, "learning_rate": 0.01, "patience": None}
    model = tiny(horizon=7, dropout=0.0, **arguments)
    sales = panel_of(rng.poisson(level * week))
    ours, phases, naive = (score.weighted_quantile_loss for score in backtest(model, sales, origins=3).scores)
    assert ours < 0.7 * phases
    assert ours < 0.9 * naive
