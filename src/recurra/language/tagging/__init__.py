"""A tag for each word."""

from __future__ import annotations
