"""Delimited text, row by row, without a table library: which delimiter it has, and what is wrong with it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from recurra.errors import InputError

__all__ = ["DELIMITERS", "find_delimiter", "refuse_ragged", "refuse_repeated"]

DELIMITERS = ",;\t|"


def find_delimiter(head: list[str]) -> str:
    """Return the delimiter that splits the header, and the lines after it into as many fields, most often."""
    lines = head[:20] if len(head) > 20 else head[:-1] or head  # the very last one may be cut

    def score(delimiter: str) -> tuple[int, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return (0, 0)
        if not widths or widths[0] < 2:
            return (0, 0)
        return (sum(width == widths[0] for width in widths), widths[0])

    best = max(DELIMITERS, key=score)
    return best if score(best) > (0, 0) else ","


def refuse_repeated(file: Path, head: list[str], delimiter: str) -> None:
    """Raise the error for a name that two columns have."""
    try:
        header = next((row for row in csv.reader(head, delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise InputError(f"the header cannot be read as CSV: {error}", file=file, row=1) from error
    counts = Counter(name.strip() for name in header)
    repeated = [name for name, count in counts.items() if count > 1 and name]
    if repeated:
        raise InputError("two columns have the same name", file=file, row=1, column=repeated[0])


def refuse_ragged(file: Path, lines: Iterable[str], delimiter: str) -> None:
    """Raise the error for the first row that has more or fewer fields than the header, if there is one."""
    rows = csv.reader(lines, delimiter=delimiter)
    width = 0
    try:
        for number, row in enumerate(rows, start=1):
            width = width or len(row)
            if row and len(row) != width:
                raise InputError(
                    f"the row has {len(row)} fields, the header {width}",
                    file=file,
                    row=number,
                    value=delimiter.join(row)[:80],
                    hint="Quote fields that hold the delimiter.",
                )
    except csv.Error as error:
        raise InputError(f"the row cannot be read as CSV: {error}", file=file, row=rows.line_num) from error
