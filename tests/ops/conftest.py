"""Lets these tests import scans.py, and runs them on one thread: the networks are far too small for two."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""
