"""What a person sees in a terminal: progress, tables, notes; and what a program sees: `--json` and exit codes.

Results go to standard output, everything else to standard error. Progress shows only in a terminal.
Exit codes: 0 done, 1 bad input, 2 usage, 3 interrupted with the best so far kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from recurra.errors import RecurraError

__all__ = ["DONE", "INTERRUPTED", "Console", "Progress", "progress"]

DONE = 0
INTERRUPTED = 3


class Progress(Protocol):
    """A piece of long work that tells how far it is."""

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` of the total steps are behind us, with a short `note` (such as the loss)."""


class _Silent:
    def update(self, done: int, note: str = "") -> None:
        pass


@contextmanager
def progress(description: str, total: int, unit: str = "steps") -> Iterator[Progress]:
    """Show a bar with rate and end time on standard error while the block runs; silent when that is no terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich import progress as bars
    from rich.console import Console as RichConsole

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}"),
    )
    with bars.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, note="", rate="")

        class Bar:
            def update(self, done: int, note: str = "") -> None:
                speed = bar.tasks[0].speed
                rate = f"{speed:.1f} {unit}/s" if speed else ""
                bar.update(task, completed=done, note=note, rate=rate)

        yield Bar()


class Console:
    """Prints what a verb has to say, for a person or (`as_json`) as one JSON document on standard output."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def note(self, text: str) -> None:
        """Say one line on standard error: a guess made, a file written."""
        if not self.as_json:
            print(text, file=sys.stderr)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; the first column is text, the others are aligned right."""
        if self.as_json:
            return
        from rich.console import Console as RichConsole
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        RichConsole(width=None if sys.stdout.isatty() else 110).print(table)

    def result(self, document: dict[str, Any]) -> None:
        """Print the verb's result as JSON when `--json` was asked for."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False, allow_nan=False))

    def error(self, error: RecurraError) -> int:
        """Print the error where it belongs and return the exit code."""
        if self.as_json:
            print(json.dumps({"error": error.as_dict()}, ensure_ascii=False))
        else:
            print(f"recurra: {error}", file=sys.stderr)
        return error.exit_code


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
