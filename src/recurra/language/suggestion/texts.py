"""Texts to learn from, out of files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recurra.errors import InputError
from recurra.sources.files import existing_file
from recurra.sources.packed import PACKED, chunks

__all__ = ["read"]


def read(paths: Sequence[Path]) -> Iterator[str]:
    """The texts of files: a .jsonl file has one in each line (`text`, or the texts of its `turns`), others are one.

    Raises InputError for a file that is not there, and for lines that hold no text.
    """
    for path in paths:
        file = existing_file(path)
        packed = file.suffix if file.suffix in PACKED else ""
        text = b"".join(chunks(file, packed)).decode("utf-8-sig", errors="replace")
        if Path(file.stem if packed else file.name).suffix != ".jsonl":
            yield text
            continue
        for row, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield _text(line, file, row)


def _text(line: str, file: Path, row: int) -> str:
    try:
        found: Any = json.loads(line)
        turns = found.get("turns")
        return str(found["text"]) if turns is None else "\n".join(str(turn["text"]) for turn in turns)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        hint = 'A line is an object such as {"text": "…"}.'
        raise InputError("this line holds no text", file=file, row=row, value=line[:60], hint=hint) from error
