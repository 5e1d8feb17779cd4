"""Language models: what comes next, as new text, as a score, as the next words."""

from __future__ import annotations
