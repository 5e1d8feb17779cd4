"""A small shop's files, and a way to run verbs in this process."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recurra.cli.app import app

HEADER = "item,date,quantity\n"


@dataclass(frozen=True)
class Answer:
    """What a verb said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as JSON; fails on anything beside one document."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _small(one_thread: None) -> None:
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs `recurra …` in this process; an error that no person should see fails the test."""

    def run(*arguments: object) -> Answer:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="recurra")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


def lines(items: tuple[str, ...] = ("apple", "pear"), periods: int = 40, days: int = 1) -> str:
    start = datetime.date(2025, 1, 1)
    return "".join(
        f"{name},{start + datetime.timedelta(days * t)},{(7 * t + 3 * number) % 9}\n"
        for number, name in enumerate(items)
        for t in range(periods)
    )


@pytest.fixture(scope="session")
def sales_text() -> Callable[..., str]:
    """Makes the text of a sales file: (items, periods, days between two)."""
    return lambda *arguments, **named: HEADER + lines(*arguments, **named)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `sales.csv` in it: two items over 40 days."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(HEADER + lines())
    return tmp_path


@pytest.fixture(scope="session")
def trained(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, trained on `sales.csv` with horizon 5; tests must not change it."""
    place = tmp_path_factory.mktemp("trained")
    (place / "sales.csv").write_text(HEADER + lines())
    answer = run(
        "train", "forecaster", place / "sales.csv", "--horizon", 5, "--steps", 3, "--out", place / "model"
    )
    assert answer.code == 0, answer.err
    return place / "model"
