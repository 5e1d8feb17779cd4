"""A small model that has learnt a few sentences, for the tests that only use it."""

from __future__ import annotations

import pytest
import torch

from recurra import LanguageModel

TALE = "The old ship went out to sea. The captain saw the storm and was calm. The sea was dark and cold. "
POST = "Buy our lamps today! A lamp for every room, a light for every night. Spring sale: half the price! "


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    """Knows tales and posts; tests must not change it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network waits long for a second one
    texts = [TALE * 2, POST * 2] * 12
    learner = LanguageModel(
        "gru", "tiny", steps=300, vocabulary=320, batch_size=8, window=32, learning_rate=0.01
    )
    learner.fit(texts, ["tale", "post"] * 12)
    torch.set_num_threads(threads)
    return learner
