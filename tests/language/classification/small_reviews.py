"""Reviews that a word decides."""

from __future__ import annotations

import random
from typing import Any

from recurra.language.classification import TextClassifier

WORDS = {
    "good": ["good", "great", "lovely", "superb", "charming", "bright"],
    "bad": ["bad", "dull", "awful", "boring", "stupid", "sad"],
}
FILLING = ["film", "plot", "story", "actor", "music", "the", "a", "is", "was", "very"]


def reviews(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts and labels."""
    draw = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        label = ("good", "bad")[number % 2]
        words = [draw.choice(FILLING) for _ in range(draw.randint(1, 6))]
        words.insert(draw.randrange(len(words) + 1), draw.choice(WORDS[label]))
        texts.append(" ".join(words).capitalize() + ".")
        labels.append(label)
    return texts, labels


def tiny(**changed: Any) -> TextClassifier:
    """A classifier that is trained in a second."""
    arguments: dict[str, Any] = {
        "size": 8,
        "hidden_size": 8,
        "members": 2,
        "epochs": 1,
        "learning_rate": 2e-2,
    }
    return TextClassifier(**arguments | changed)
