"""Made-up Esperanto, whose endings tell the part of speech: sentences that a small network learns in seconds."""

from __future__ import annotations

import numpy as np

from recurra.language.tagging import Tagger

ROOTS = [
    "dom",
    "hund",
    "kat",
    "libr",
    "flor",
    "arb",
    "urb",
    "vir",
    "knab",
    "bel",
    "grand",
    "rapid",
    "kant",
    "kur",
]
ENDINGS = {"NOUN": "o", "ADJ": "a", "VERB": "as", "ADV": "e"}
PATTERNS = (
    ("DET", "ADJ", "NOUN", "VERB", "PUNCT"),
    ("DET", "NOUN", "ADV", "VERB", "DET", "NOUN", "PUNCT"),
    ("NOUN", "VERB", "ADV", "PUNCT"),
)


def sentences(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences and their tags."""
    generator = np.random.default_rng(seed)
    tokens, tags = [], []
    for _ in range(count):
        pattern = PATTERNS[generator.integers(len(PATTERNS))]
        tags.append(list(pattern))
        tokens.append([_word(tag, generator) for tag in pattern])
    return tokens, tags


def _word(tag: str, generator: np.random.Generator) -> str:
    fixed = {"DET": "la", "PUNCT": "."}
    if tag in fixed:
        return fixed[tag]
    root = str(generator.choice(ROOTS)) if generator.random() < 0.5 else _root(generator)
    return root + ENDINGS[tag]


def _root(generator: np.random.Generator) -> str:
    """A root that is heard for the first time."""
    return "".join(generator.choice(list(letters)) for letters in ("bdfgklmprstv", "aeiou", "bdfgklmprstv"))


def names(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences whose names, of one word or two, are tagged as spans."""
    generator = np.random.default_rng(seed)
    tokens, tags = [], []
    for _ in range(count):
        name = ["Zamenhof"] if generator.random() < 0.5 else ["Ludoviko", "Zamenhof"]
        tokens.append([*name, str(generator.choice(ROOTS)) + "as", "en", "Varsovio", "."])
        tags.append([*["B-PER", "I-PER"][: len(name)], "O", "O", "B-LOC", "O"])
    return tokens, tags


def small(**arguments: object) -> Tagger:
    """A tagger that trains in a second or two."""
    given = {"word_size": 8, "character_size": 12, "hidden_size": 12, "steps": 140, "batch_size": 16}
    return Tagger(**{**given, "learning_rate": 2e-2, "dropout": 0.1, **arguments})  # type: ignore[arg-type]
