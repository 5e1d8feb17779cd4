"""Predictive text: the rest of the word and the next ones, keystroke by keystroke."""

from __future__ import annotations
