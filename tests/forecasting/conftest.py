from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from small_shop import frame_of, shop, tiny

from recurra.forecasting.forecaster import Forecaster
from recurra.forecasting.sales.data import Panel


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="session")
def small_panel() -> Panel:
    """Six series of counts over ten weeks, the last one half as long."""
    return shop()


@pytest.fixture(scope="session")
def fitted(small_panel: Panel) -> Forecaster:
    """A forecaster fitted to a Polars frame of `small_panel`; tests must not change it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = tiny().fit(frame_of(small_panel))
    torch.set_num_threads(threads)
    return model
