"""Sales as people have them, and what goes along with them, read into a `Panel` of numbers."""

from __future__ import annotations
