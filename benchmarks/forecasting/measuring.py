"""What the forecasting benchmarks share: processes measured apart, figures kept in a file, verdicts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.bench.limits import cpu

__all__ = ["Kept", "apart", "verdict"]

ROOT = Path(__file__).resolve().parents[2]


class Kept:
    """The figures of one run, by name, in a JSON file where there is one: what is there already is not run again.

    Each has the machine and the date beside it, for a file may be filled in parts.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.figures: dict[str, dict[str, Any]] = {}
        if file is not None and file.is_file():
            self.figures = json.loads(file.read_text())

    def __contains__(self, name: str) -> bool:
        return name in self.figures

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.figures[name]

    def add(self, name: str, figures: Mapping[str, Any]) -> None:
        """Keep figures with where and when, in the file at once."""
        about = {"machine": f"{cpu()}, {os.cpu_count()} cores", "date": time.strftime("%Y-%m-%d")}
        self.figures[name] = {**figures, **about}
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            beside = self.file.with_suffix(".part")
            beside.write_text(json.dumps(self.figures, indent=1, sort_keys=True) + "\n")
            beside.replace(self.file)

    def sources(self) -> str:
        """One line: where and when the figures were measured."""
        told = sorted({f"{each['machine']}, {each['date']}" for each in self.figures.values()})
        return f"measured on {'; '.join(told)}; Python {platform.python_version()}"


def apart(command: Sequence[str | Path], *, log: Path | None = None) -> tuple[float, float]:
    """Run a command in a process of its own: the seconds of processors that it took, and its gigabytes at the peak.

    What it prints goes into `log`. Ends the program where the command fails, with the last of what it printed.
    """
    with tempfile.TemporaryFile("w+") if log is None else log.open("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            told = "".join(out.readlines()[-20:])
            sys.exit(f"{' '.join(map(str, command))} failed with code {process.returncode}\n{told}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def verdict(what: str, found: float, bar: float, unit: str = "×") -> str:
    """One line that says whether a figure is within its bar; a figure that is not known says so."""
    if not np.isfinite(found):
        return f"{what}: not measured (at most {bar:g} {unit})"
    return f"{what}: {found:.3f} {unit} (at most {bar:g}): {'reached' if found <= bar else 'MISSED'}"
