"""The command line: `recurra <verb>`. Verbs parse, call a job and print; they hold no logic of their own."""

from __future__ import annotations

import gc
import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code, which `recurra.console` explains."""
    from recurra.cli.at_once import answer

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding lacks must not cost the result.
        sys.stdout.reconfigure(errors="backslashreplace")
    # What answers at once leaves no garbage worth a search, neither while it loads nor as it ends.
    gc.disable()
    if answer(sys.argv[1:]):
        gc.freeze()
        sys.exit(_flushed(0))
    gc.enable()
    from recurra.cli.app import app

    try:
        app(prog_name="recurra", standalone_mode=True)
    except SystemExit as end:
        sys.exit(_flushed(end.code))


def _flushed(code: str | int | None) -> str | int | None:
    """Flush what was printed; a reader that has gone (`recurra … | head -1`) is no error worth a traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What Python still holds for the closed pipe goes nowhere, also when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
