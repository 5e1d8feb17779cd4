"""Cells by the names that people give them."""

from __future__ import annotations

from typing import Any

from recurra.cells import CELLS
from recurra.errors import UsageError

__all__ = ["cell_named"]


def cell_named(name: str) -> Any:
    """The cell of `recurra.cells` called `name`, in any case; UsageError for an unknown one."""
    kinds = {kind.__name__.lower(): kind for kind in CELLS}
    if not isinstance(name, str) or name.lower() not in kinds:
        raise UsageError("there is no such cell", value=name, hint=f"Use one of {', '.join(kinds)}.")
    return kinds[name.lower()]
