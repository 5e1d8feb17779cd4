"""The run's diary: one JSON line per step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType

__all__ = ["Metrics"]


class Metrics:
    """Writes one JSON line per step to `path`; with None it writes nothing.

    Lines after `step`, which a killed run wrote after its last checkpoint, are cut off, as is a torn line.
    """

    def __init__(self, path: Path | None, step: int = 0) -> None:
        self._file = None
        if path is not None:
            if path.exists():
                os.truncate(path, _length(path, step))
            self._file = path.open("a", encoding="utf-8", newline="\n")

    def write(self, row: dict[str, float]) -> None:
        """Append one line; it outlives this process from here on."""
        if self._file is not None:
            self._file.write(json.dumps(row, allow_nan=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Force the lines onto the disk, so that no checkpoint is ahead of them."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _length(path: Path, step: int) -> int:
    """How many bytes of the file belong to whole lines up to and including `step`."""
    length = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                written = json.loads(line)["step"]
            except (ValueError, LookupError, TypeError):
                break
            if not line.endswith(b"\n") or not isinstance(written, int) or written > step:
                break
            length += len(line)
    return length
