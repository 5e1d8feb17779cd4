from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The task is both a module for these tests and a script that they start and kill.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""
