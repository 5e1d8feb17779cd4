"""Language models: what comes next, as new text, as a score, as the next words."""

from __future__ import annotations

from recurra.language.generation.language_model import LanguageModel
from recurra.language.generation.scoring import Score

__all__ = ["LanguageModel", "Score"]
