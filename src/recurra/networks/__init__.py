"""Modules made of cells."""

from __future__ import annotations

from recurra.networks.recurrent import Recurrent

__all__ = ["Recurrent"]
