"""What a person sees in a terminal: progress, tables, notes; and what a program sees: `--json` and exit codes.

Results go to standard output, everything else to standard error. Progress shows only in a terminal.
Exit codes: 0 done, 1 bad input, 2 usage, 3 interrupted with the best so far kept,
130 interrupted before there was anything to keep.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from recurra.errors import RecurraError

__all__ = ["DONE", "INTERRUPTED", "STOPPED", "Console", "Progress", "progress"]

DONE = 0
INTERRUPTED = 3
STOPPED = 130  # as shells say it of a command that Ctrl-C ended
PIPE_WIDTH = 1000
LONGEST_NAME = 48


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

    console = RichConsole(stderr=True)
    figures = [
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}"),
    ]
    # The figures take some 60 columns; the bar, then the description, come where there is room.
    room: list[bars.ProgressColumn] = [bars.TextColumn("{task.description}")] if console.width >= 100 else []
    room += [bars.BarColumn(bar_width=20)] if console.width >= 80 else []
    columns = [*room, *figures]
    with bars.Progress(*columns, console=console, transient=True) as bar:
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
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Tell a decision or a warning: a line on standard error, or one of the document's `notes`."""
        self.notes.append(text)
        self.say(f"· {text}")

    def say(self, text: str) -> None:
        """Tell a person, on standard error, what the document of `--json` holds elsewhere."""
        if not self.as_json:
            print(_printable(text), file=sys.stderr)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; the first column is text, the others are aligned right.

        A terminal that is too narrow for it gets a paragraph for each row. A pipe has no width.
        """
        if self.as_json:
            return
        from rich.console import Console as RichConsole
        from rich.measure import Measurement
        from rich.table import Table

        cells = [[_cell(value) for value in row] for row in rows]
        table = Table()
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for row in cells:
            table.add_row(*row)
        # Names come from the data: they are no markup and no emoji codes.
        width = None if sys.stdout.isatty() else PIPE_WIDTH
        console = RichConsole(width=width, markup=False, emoji=False, highlight=False)
        needed = Measurement.get(console, console.options.update(width=PIPE_WIDTH), table).maximum
        print(_printable(title))
        if needed <= console.width:
            console.print(table)
            return
        for name, *values in cells:
            pairs = [f"{column} {value}" for column, value in zip(columns[1:], values, strict=True) if value]
            print(name)
            for line in textwrap.wrap(", ".join(pairs), max(20, console.width - 2)):
                print(f"  {line}")

    def result(self, document: Mapping[str, Any]) -> None:
        """Print the verb's result as JSON, with its notes, when `--json` was asked for."""
        self._print_json(document)

    def error(self, error: RecurraError) -> int:
        """Print the error where it belongs and return the exit code."""
        self._print_json({"error": error.as_dict()})
        self.say(f"recurra: {error}")
        return error.exit_code

    def _print_json(self, document: Mapping[str, Any]) -> None:
        if self.as_json:
            # ASCII with escapes passes through every encoding that a pipe may have.
            print(json.dumps({"notes": self.notes, **document}, allow_nan=False))


def _printable(text: str) -> str:
    """The text without control characters, which could move the cursor or hide what was printed."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = _printable(str(value))
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
