"""Predictive text: the rest of the word and the next ones, keystroke by keystroke."""

from __future__ import annotations

from recurra.language.suggestion.keyboard import Keyboard, Suggestion
from recurra.language.suggestion.personal import Personal

__all__ = ["Keyboard", "Personal", "Suggestion"]
