"""`python -m recurra.cli` is `recurra`."""

from __future__ import annotations

from recurra.cli import main

main()
