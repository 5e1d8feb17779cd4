"""A keyboard that learnt from a few dozen chats that are alike."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from recurra.language.suggestion import Keyboard

WHO = ["I", "we", "they", "my brother and I"]
WHAT = ["am going to", "went to", "want to see", "really like", "don't like"]
WHERE = ["London", "the beach", "the new bakery", "Smith's garden", "the station"]


def chats(count: int = 60, seed: int = 0) -> list[str]:
    """Conversations of six lines."""
    draw = random.Random(seed)
    lines = [f"{w} {v} {p}." for w in WHO for v in WHAT for p in WHERE]
    return ["\n".join(["How are you?", *draw.sample(lines, 4), "See you tomorrow!"]) for _ in range(count)]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return chats()


@pytest.fixture(scope="session")
def keyboard(texts: list[str]) -> Keyboard:
    """It must not be changed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Keyboard(embedding_size=16, hidden_size=32, steps=250, batch_size=8, learning_rate=1e-2).fit(texts)
    torch.set_num_threads(threads)
    return made


@pytest.fixture(scope="session")
def folder(keyboard: Keyboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keyboard") / "model"
    keyboard.save(place)
    return place


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""
