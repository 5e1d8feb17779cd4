"""The command line: `recurra <verb>`. Verbs parse, call a job and print; they hold no logic of their own."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code: 0 done, 1 bad input, 2 usage, 3 interrupted, best kept."""
    from recurra.cli.app import app

    # A window that closes on us (`recurra … | head`) is no error worth a traceback.
    try:
        app(prog_name="recurra")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
