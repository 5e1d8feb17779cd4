"""One thread, and one small tagger for all tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from esperanto import names, sentences, small

from recurra.language.tagging import Tagger


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="session")
def trained() -> tuple[Tagger, Tagger]:
    """On made-up Esperanto, and on names; a fixture of a session comes before those that set threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    both = small().fit(*sentences(200)), small(steps=60).fit(*names(120))
    torch.set_num_threads(threads)
    return both


@pytest.fixture(scope="session")
def tagger(trained: tuple[Tagger, Tagger]) -> Tagger:
    """Trained on made-up Esperanto."""
    return trained[0]


@pytest.fixture(scope="session")
def namer(trained: tuple[Tagger, Tagger]) -> Tagger:
    """Trained on names."""
    return trained[1]
