"""Cells are found by their names."""

from __future__ import annotations

import pytest

from recurra.cells import CELLS
from recurra.errors import UsageError
from recurra.training.named import cell_named


def test_cells_are_found_in_any_case() -> None:
    assert cell_named("LSTM") is cell_named("lstm")
    assert {cell_named(kind.__name__) for kind in CELLS} == set(CELLS)
    for wrong in ("lstmm", "", 5, None):
        with pytest.raises(UsageError, match=r"no such cell.*Use one of .*gru, .*lstm"):
            cell_named(wrong)  # type: ignore[arg-type]
