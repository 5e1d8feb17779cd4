"""Where data come from and go to: tables in files, workbooks and databases; files written atomically."""

from __future__ import annotations

from recurra.sources.source import Source

__all__ = ["Source"]
