"""Every cell in the streaming engine: it is the cell, and nothing that runs beside a session touches it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cases import Case, H, I, random_state
from numpy.typing import NDArray

from recurra import ops, state
from recurra.cell import Cell
from recurra.streaming.pack import pack, trace
from recurra.streaming.packed import Packed
from recurra.streaming.reference import Reference
from recurra.streaming.run import Engine

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

native = importlib.import_module("recurra._native")

ROWS, STEPS = 37, 9  # rows enough that threads take some each
Floats = NDArray[np.float32]


@pytest.fixture
def cell(case: Case) -> Cell:
    return case.make(I, H).eval()


@pytest.fixture
def packed(cell: Cell) -> Packed:
    return pack(cell)


@pytest.fixture
def x(cell: Cell) -> Floats:
    return torch.randn(STEPS, ROWS, cell.input_size).numpy()


@pytest.fixture
def every_variant() -> Iterator[list[str]]:
    before = native.variant()
    yield native.variants()
    native.use(before)


def named(before: Any, row: int) -> dict[str, Floats]:
    return {name: leaf[row].numpy() for name, leaf in state.flatten(before).items()}


@torch.no_grad()
def expected(cell: Cell, x: Floats, before: Any) -> tuple[Floats, Any]:
    outputs = []
    for entering in torch.from_numpy(x):
        y, before = cell.step(entering, before)
        outputs.append(y)
    return torch.stack(outputs).numpy(), before


def close(found: Floats, wanted: Floats) -> None:
    scale = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5 * scale)


def test_the_engine_is_the_cell(cell: Cell, packed: Packed, x: Floats, every_variant: list[str]) -> None:
    before = random_state(cell, ROWS)
    wanted, after = expected(cell, x, before)
    for variant in every_variant:
        native.use(variant)
        engine = Engine(packed, threads=2)
        sessions = [engine.session() for _ in range(ROWS)]
        for row, session in enumerate(sessions):
            session.set_state(named(before, row))
        close(np.stack([engine.step(sessions, each) for each in x]), wanted)
        for row in (0, ROWS - 1):
            for name, leaf in sessions[row].state.items():
                close(leaf, named(after, row)[name])


def test_the_reference_is_the_cell(cell: Cell, x: Floats) -> None:
    wanted, _ = expected(cell, x, cell.initial_state(ROWS))
    rows = Reference(trace(cell), ROWS)
    close(np.stack([rows.step(each)[0].reshape(wanted.shape[1:]) for each in x]), wanted)


def test_to_the_last_bit_whatever_runs_beside(packed: Packed, x: Floats) -> None:
    """A session among others, one alone, a prompt whole or cut, by one thread or two."""
    engine, alone = Engine(packed, threads=2), Engine(packed, threads=1)
    sessions = [engine.session() for _ in range(ROWS)]
    together = np.stack([engine.step(sessions, each) for each in x])
    for row in (0, 20, ROWS - 1):
        own = x[:, row]
        single = alone.session()
        np.testing.assert_array_equal(
            np.stack([alone.step([single], each[None])[0] for each in own]), together[:, row]
        )
        np.testing.assert_array_equal(engine.session().read(own, every=True), together[:, row])
        cut = engine.session()
        cut.read(own[:4])
        np.testing.assert_array_equal(cut.read(own[4:]), together[-1, row])
        assert all((leaf == single.state[name]).all() for name, leaf in cut.state.items())
