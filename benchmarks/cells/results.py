"""What a run found, as a line, as Markdown tables, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Result", "line", "read", "tables", "verdict", "write"]

BAR = 0.99  # of the parities at step 256
HELD = ("LSTM", "GRU", "SLSTM", "DeltaNet")  # the cells that must reach it
LABELS = {"DeltaNet": "DeltaNet, β ≤ 2"}


@dataclass(frozen=True)
class Result:
    """How one cell did on one task; `level` is how far it came in the curriculum's `levels`."""

    cell: str
    task: str
    seed: int
    rate: float
    width: int
    parameters: int
    steps: int
    seconds: float
    level: int
    levels: int
    loss: float
    solved: bool
    accuracy: float


def write(results: Sequence[Result], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def read(file: Path) -> list[Result]:
    return [Result(**row) for row in json.loads(file.read_text())]


def line(result: Result) -> str:
    level = f"level {result.level}/{result.levels}, " if result.levels > 1 else ""
    return (
        f"{result.task:9}{_label(result.cell):17}seed {result.seed}{result.accuracy:8.1%}   "
        f"{result.parameters:,} parameters (width {result.width}), {result.steps:,} steps, "
        f"{result.seconds:.0f} s, {level}loss {result.loss:.2g}{', solved' if result.solved else ''}"
    )


def tables(results: Sequence[Result], cells: Sequence[str], tasks: Sequence[str]) -> str:
    """Two tables in Markdown: accuracy and seconds; parameters and steps. Several seeds are joined, "90 – 100"."""
    return "\n\n".join(
        (
            _table("accuracy, seconds", results, cells, tasks, _accuracy),
            _table("parameters, steps", results, cells, tasks, _size),
        )
    )


def verdict(results: Sequence[Result]) -> str:
    """Whether the cells that must solve parity do, in the worst of the seeds that ran."""
    said = []
    for cell in HELD:
        if found := [each.accuracy for each in results if (each.cell, each.task) == (cell, "parity")]:
            reached = "reached" if min(found) >= BAR else "MISSED"
            said.append(f"parity at 256, {_label(cell)}: {min(found):.1%} (at least {BAR:.0%}): {reached}")
    return "\n".join(said)


def _table(
    title: str,
    results: Sequence[Result],
    cells: Sequence[str],
    tasks: Sequence[str],
    entry: Callable[[list[Result]], str],
) -> str:
    tasks = [task for task in tasks if any(each.task == task for each in results)]
    lines = [f"| {title} | {' | '.join(tasks)} |", f"| --- |{' ---: |' * len(tasks)}"]
    for cell in cells:
        found = [[each for each in results if (each.cell, each.task) == (cell, task)] for task in tasks]
        if any(found):
            entries = " | ".join(entry(runs) if runs else "–" for runs in found)
            lines.append(f"| {_label(cell)} | {entries} |")
    return "\n".join(lines)


def _accuracy(runs: list[Result]) -> str:
    accuracy = _span([f"{100 * share:.1f}" for share in sorted(each.accuracy for each in runs)])
    return f"{accuracy} %, {_span([f'{seconds:.0f}' for seconds in sorted(each.seconds for each in runs)])} s"


def _size(runs: list[Result]) -> str:
    return f"{runs[0].parameters:,}, {_span([f'{steps:,}' for steps in sorted(each.steps for each in runs)])}"


def _span(ordered: list[str]) -> str:
    first, last = ordered[0], ordered[-1]
    return first if first == last else f"{first} – {last}"


def _label(cell: str) -> str:
    return LABELS.get(cell, cell)
