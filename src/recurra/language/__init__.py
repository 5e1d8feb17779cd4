"""Text: write, suggest the next word, classify, tag."""

from __future__ import annotations
