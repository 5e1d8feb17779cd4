"""The tasks of benchmarks/cells ask for what they say, and a small run of it trains, stops, tests and prints."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "cells"
sys.path.insert(0, str(FOLDER))

import results  # noqa: E402
from results import Result  # noqa: E402
from tasks import NOTHING, Adding, Copying, Parity, Recall, Rows, Task  # noqa: E402
from train import BUDGET, CELLS, Network, Training, fitting_width, parameters  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
LEVELS = [(task, level) for task in (Adding, Copying, Parity, Recall) for level in (1, task.levels)]


def drawn(task: Task, level: int | None = None, rows: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    return task.draw(rows, Generator().manual_seed(seed), level or task.levels)


@pytest.mark.parametrize(("kind", "level"), LEVELS)
def test_a_seed_gives_one_batch_of_the_right_shape(kind: type[Task], level: int) -> None:
    x, target = drawn(kind(), level)
    assert x.shape == (16, target.shape[1], kind.inputs)
    assert all(torch.equal(*pair) for pair in zip((x, target), drawn(kind(), level), strict=True))
    assert not torch.equal(x, drawn(kind(), level, seed=1)[0])


@pytest.mark.parametrize("level", [1, 10])
def test_adding_asks_for_the_sum_of_one_marked_number_in_each_half(level: int) -> None:
    x, target = drawn(Adding(), level)
    numbers, marks = x.unbind(-1)
    assert x.shape[1] == 20 * level
    for half in marks.chunk(2, 1):
        assert torch.equal(half.sum(1), torch.ones(16))
    torch.testing.assert_close(target[:, -1], (numbers * marks).sum(1))
    assert (target[:, :-1] == NOTHING).all()


def test_adding_takes_an_answer_within_004_for_right() -> None:
    target = torch.full((4, 3), float(NOTHING))
    target[:, -1] = 1.0
    y = torch.zeros(4, 3, 1)
    y[:, -1, 0] = torch.tensor([1.03, 0.97, 1.05, float("nan")])
    assert Adding().accuracy(y, target) == 0.5


@pytest.mark.parametrize("level", [1, 8])
def test_copying_asks_for_the_symbols_in_their_order(level: int) -> None:
    x, target = drawn(Copying(), level)
    symbols = x.argmax(-1)
    for row, wanted in zip(symbols, target, strict=True):
        said = row[row < 8]
        assert torch.equal(said, wanted[-level:])
        assert (wanted[:-level] == NOTHING).all()
        assert (row[-level:] == 9).all()
        assert len(row) == 9 * level


def test_parity_counts_the_ones_so_far() -> None:
    x, target = drawn(Parity())
    for row, wanted in zip(x.argmax(-1).tolist(), target.tolist(), strict=True):
        assert wanted == [sum(row[: t + 1]) % 2 for t in range(len(row))]


def test_parity_trains_on_at_most_40_steps_and_tests_step_256() -> None:
    assert [drawn(Parity(), level)[0].shape[1] for level in range(1, 11)] == list(range(4, 41, 4))
    x, target = Parity().exam(Generator().manual_seed(0))
    assert x.shape == (1000, 256, 2)
    assert (target[:, :-1] == NOTHING).all()
    assert torch.equal(target[:, -1], x[..., 1].sum(1).long() % 2)


def test_recall_asks_for_every_pair_once_and_differs_from_row_to_row() -> None:
    x, target = drawn(Recall())
    keys, values = x[..., :16].argmax(-1), x[..., 16:].argmax(-1)
    assert (x[:, 8:, 16:] == 0).all()
    for row in range(16):
        held = dict(zip(keys[row, :8].tolist(), values[row, :8].tolist(), strict=True))
        assert len(held) == 8
        assert sorted(held) == sorted(keys[row, 8:].tolist())
        assert [held[key] for key in keys[row, 8:].tolist()] == target[row, 8:].tolist()
    assert any(not torch.equal(a, b) for a, b in pairwise(keys[:, :8]))


def test_rows_are_images_in_0_to_1_and_the_test_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    images = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8)
    np.savez(Rows.file(tmp_path), x_train=images[:2], y_train=[3, 4], x_test=images[2:], y_test=np.array([5]))
    task = Rows(tmp_path)
    x, target = drawn(task, 1)
    assert x.shape == (16, 28, 28)
    assert set(target[:, -1].tolist()) == {3, 4}
    x, target = task.exam(Generator())
    np.testing.assert_allclose(x[0] * 255, images[2], rtol=1e-6)
    assert target[0].tolist() == [NOTHING] * 27 + [5]


@pytest.mark.parametrize("cell", CELLS)
def test_a_width_comes_within_4_percent_of_the_budget_and_every_cell_learns_something(cell: str) -> None:
    training = Training(Parity(), CELLS[cell], BUDGET, 1e-2, seed=0)
    assert abs(parameters(training.network) / BUDGET - 1) < 0.04
    losses = []
    for _ in range(30):
        training.step(0.0)
        losses.append(training.loss)
    assert losses[-1] < losses[0]


def test_the_width_is_the_nearest() -> None:
    task, make = Recall(), CELLS["GRU"]
    width = fitting_width(task, make, 5000)
    off = [abs(parameters(Network(task, make, w, Generator())) - 5000) for w in range(width - 2, width + 3)]
    assert min(off) == off[2]


def test_training_climbs_the_curriculum_and_stops_when_solved() -> None:
    class Easy(Parity):
        levels, solved = 2, 0.05

        def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
            return self._bits(rows, 2 * level, generator)

    training = Training(Easy(), CELLS["GRU"], 2000, 1e-2, seed=0)
    training.run(60.0)
    assert training.solved
    assert training.level == 2
    assert training.steps > 40
    assert 0.0 < training.seconds < 60.0


def test_training_ends_when_the_loss_is_no_number() -> None:
    training = Training(Parity(), CELLS["GRU"], 2000, float("inf"), seed=0)
    training.run(60.0)
    assert not training.solved
    assert training.steps < 10


def result(cell: str, accuracy: float, **changes: object) -> Result:
    row = {
        "cell": cell,
        "task": "parity",
        "seed": 0,
        "rate": 0.01,
        "width": 8,
        "parameters": 1234,
        "steps": 100,
    }
    row |= {"seconds": 2.5, "level": 1, "levels": 10, "loss": 0.1, "solved": True, "accuracy": accuracy}
    return Result(**(row | changes))  # type: ignore[arg-type]


def test_results_survive_their_file_and_seeds_are_joined_in_the_table(tmp_path: Path) -> None:
    found = [result("LSTM", 1.0), result("LSTM", 0.985, seed=1, seconds=9.9), result("MinGRU", 0.5)]
    results.write(found, tmp_path / "found.json")
    assert results.read(tmp_path / "found.json") == found
    table = results.tables(found, ["LSTM", "GRU", "MinGRU"], ["adding", "parity"]).splitlines()
    assert table[0] == "| accuracy, seconds | parity |"
    assert table[2] == "| LSTM | 98.5 – 100.0 %, 2 – 10 s |"
    assert table[3] == "| MinGRU | 50.0 %, 2 s |"
    assert results.verdict(found) == "parity at 256, LSTM: 98.5% (at least 99%): MISSED"


@pytest.mark.slow
def test_a_tiny_run_prints_its_tables_and_says_what_it_left_out(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    arguments = ["--seconds", "0.2", "--cells", "LSTM", "--tasks", "parity,rows", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, FOLDER / "run.py", *arguments, "--json", file],
        env=os.environ | {"RECURRA_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"skipped: rows; {Rows.file(tmp_path)} is not there" in done.stdout
    assert results.tables(results.read(file), ["LSTM"], ["parity"]) in done.stdout
