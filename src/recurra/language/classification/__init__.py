"""Texts with labels."""

from __future__ import annotations
