"""What a person points at: a file or a database, and which part of it. Needs no table library."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

__all__ = ["Source"]


@dataclass(frozen=True, repr=False)
class Source:
    """Where a table is, and which part of it is meant. As text it names the place without a password.

    Attributes
    ----------
    at: the path of a file, or the address of a database: sqlite:///path, duckdb:///path, postgresql://….
    query: for a database, one SELECT; None where the database has a single table.
    sheet: for a workbook, the sheet's name; None where a single sheet has data.
    encoding: for a text file, such as cp1251; None to find it (UTF-8, UTF-16, UTF-32, otherwise cp1252).
    """

    at: str | os.PathLike[str]
    query: str | None = None
    sheet: str | None = None
    encoding: str | None = None

    @property
    def is_database(self) -> bool:
        """Whether this is an address rather than a path."""
        return isinstance(self.at, str) and re.match(r"[a-zA-Z][\w+.-]*://", self.at) is not None

    def __str__(self) -> str:
        if not self.is_database or str(self.at).startswith(("sqlite:", "duckdb:")):
            return os.fspath(self.at)
        scheme, _, rest = str(self.at).partition("://")
        credentials, at, place = rest.rpartition("@")
        return f"{scheme}://{credentials.partition(':')[0]}{at}{place.partition('?')[0]}"

    def __repr__(self) -> str:
        return f"Source({str(self)!r})"
