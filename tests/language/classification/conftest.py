"""A small classifier of small reviews."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recurra import ops

sys.path.insert(0, str(Path(__file__).parent))

from small_reviews import reviews, tiny

from recurra.language.classification import TextClassifier


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""


@pytest.fixture(autouse=True)
def _extension() -> None:
    if not ops.native_available():
        pytest.skip("the extension was not built")


@pytest.fixture(scope="session")
def fitted() -> Iterator[TextClassifier]:
    """A classifier fitted to 120 reviews; tests must not change it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny().fit(*reviews(120))
    torch.set_num_threads(threads)
