"""Queries to SQLite, DuckDB and PostgreSQL: one SELECT, read-only, and no password in what is said."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import polars as pl

from recurra.errors import InputError, MissingExtraError, UsageError
from recurra.sources.files import existing_file
from recurra.sources.source import Source

__all__ = ["read_query"]

Ask: TypeAlias = Callable[[str], pl.DataFrame]

PATIENCE = 15  # seconds until a server that does not answer counts as unreachable
ROWS = 100_000  # of SQLite, typed at once
_FORMS = "sqlite:///sales.db, duckdb:///sales.duckdb or postgresql://user@host/database"
_SELECT = re.compile(
    r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(select|with|values|table|from)\b", re.DOTALL | re.IGNORECASE
)
_TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
)
_TABLES_OF_SQLITE = (
    "SELECT 'main', name FROM sqlite_master "
    "WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY 2"
)
# DuckDB must never fetch an extension from the network, nor open other files than the one it is given.
_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


def read_query(source: Source) -> pl.DataFrame:
    """Read what the query of a database answers; without a query its only table.

    Amounts of exact decimals (NUMERIC) may come as text with a decimal point.

    Raises
    ------
    InputError: no such file, a server that cannot be reached, a query that the database refuses, one that
        answers no rows, several tables and no query.
    UsageError: an address or a query that cannot be used.
    MissingExtraError: the database's driver is not installed.
    """
    if source.query is not None and not _SELECT.match(source.query):
        what = (
            "the query is empty" if not source.query.strip() else "the query is no SELECT; recurra only reads"
        )
        raise UsageError(what, file=source, value=source.query.strip()[:80] or None)
    with _connected(source) as ask:
        query = source.query or _only_table(source, ask)
        try:
            frame = ask(query)
        except InputError as error:
            if error.hint is not None:
                raise
            names = _tables(ask)
            seen = f"The tables are {', '.join(names[:10])}." if names else "The database has no tables."
            raise InputError(
                error.what, file=source, column=error.column, value=error.value, hint=seen
            ) from None
    if frame.height == 0 or frame.width == 0:
        raise InputError("the query has no rows", file=source, value=query[:80], hint="Check its conditions.")
    return frame


@contextmanager
def _connected(source: Source) -> Iterator[Ask]:
    """Open the database for reading; yields what sends it a query, and closes it."""
    scheme = str(source.at).partition("://")[0].lower()
    openers = {"sqlite": _sqlite, "duckdb": _duckdb, "postgresql": _postgresql, "postgres": _postgresql}
    if scheme not in openers:
        raise UsageError("databases of this kind cannot be read", value=scheme, hint=f"Use {_FORMS}.")
    with openers[scheme](source) as ask:
        yield ask


@contextmanager
def _sqlite(source: Source) -> Iterator[Ask]:
    # Python's own module rather than ADBC: SQLite's columns hold what each row likes, and stay exact here.
    file = _path(source)
    try:
        connection = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise InputError(f"the database cannot be opened: {error}", file=source) from error

    def ask(query: str) -> pl.DataFrame:
        try:
            cursor = connection.execute(query)
            names = _distinct([column[0] for column in cursor.description], source)
            frames = [pl.DataFrame(schema=names)]
            while rows := cursor.fetchmany(ROWS):
                columns = zip(names, zip(*rows, strict=True), strict=True)
                frames.append(
                    pl.DataFrame([pl.Series(name, column, strict=False) for name, column in columns])
                )
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _refused(source, query, str(error)) from error
        return pl.concat(frames, how="vertical_relaxed")

    with closing(connection):
        yield ask


@contextmanager
def _duckdb(source: Source) -> Iterator[Ask]:
    file = _path(source)
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError.of("duckdb", "sql") from error
    try:
        connection = duckdb.connect(str(file), read_only=True, config=_DUCKDB)
    except duckdb.Error as error:
        raise InputError(f"the database cannot be opened: {_brief(str(error))}", file=source) from error

    def ask(query: str) -> pl.DataFrame:
        try:
            if len(connection.extract_statements(query)) != 1:
                raise _refused(source, query, "several statements")
            answer = connection.sql(query)
            _distinct(answer.columns, source)
            return _frame(answer, source)
        except duckdb.Error as error:
            raise _refused(source, query, str(error)) from error

    with closing(connection):
        yield ask


@contextmanager
def _postgresql(source: Source) -> Iterator[Ask]:
    uri, secrets = _checked(source)
    try:
        import adbc_driver_manager
        from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError.of("adbc-driver-postgresql", "sql") from error
    try:
        connection = dbapi.connect(uri)
    except adbc_driver_manager.Error as error:
        what = f"the server cannot be reached, or lets nobody in: {_without(secrets, _brief(str(error)))}"
        hint = "The password may stand in PGPASSWORD or ~/.pgpass instead of the address."
        raise InputError(what, file=source, hint=hint) from None

    def ask(query: str) -> pl.DataFrame:
        try:
            connection.rollback()
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
                cursor.execute(query)
                frame = _frame(cursor.fetch_arrow(), source)
        except adbc_driver_manager.Error as error:
            raise _refused(source, query, _without(secrets, str(error))) from None
        extensions = [s for s in frame.get_columns() if hasattr(s.dtype, "ext_storage")]  # such as NUMERIC
        return frame.with_columns(s.ext.storage() for s in extensions)

    with closing(connection):
        yield ask


def _frame(answer: Any, source: Source) -> pl.DataFrame:
    """An Arrow stream as a frame."""
    try:
        return pl.DataFrame(answer)
    except pl.exceptions.DuplicateError as error:
        raise InputError(f"two columns have the same name: {_brief(str(error))}", file=source) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # such as intervals
        what = "the answer has a column of a type that cannot be read"
        raise InputError(what, file=source, hint="Cast it to text or a number in the query.") from error


def _path(source: Source) -> Path:
    """The file behind sqlite:///relative or sqlite:////absolute."""
    scheme, _, rest = str(source.at).partition("://")
    if not rest.startswith("/") or len(rest) < 2:
        raise UsageError("the address has no path", value=source, hint=f"Write {scheme}:///sales.db.")
    try:
        return existing_file(unquote(rest[1:]))
    except InputError as error:
        hint = f"{error.hint or ''} After {scheme}:/// comes the path; an absolute one has a fourth slash."
        raise InputError(error.what, file=source, hint=hint.strip()) from error


def _checked(source: Source) -> tuple[str, list[str]]:
    """The address of a PostgreSQL server with a time limit, and what in it must not be said."""
    uri = str(source.at)
    place, _, options = uri.partition("?")
    rest = place.partition("://")[2]
    hint = "In a password write %40 for @, %2F for /, %3A for : and %25 for %."
    try:
        parts = urlsplit(place)
        wrong = "@" in parts.path or bool(re.search(r"%(?![0-9A-Fa-f]{2})", uri)) or "#" in uri
        password, _ = parts.password, parts.port
    except ValueError:  # its message would show what stands there
        wrong, password = True, None
    if wrong or not rest:
        raise UsageError(f"this is no address such as {_FORMS}", value=source, hint=hint)
    secrets = [value for name, value in parse_qsl(options) if "password" in name.lower()]
    secrets += [password, unquote(password)] if password else []
    if "connect_timeout" not in options:
        uri += f"{'&' if options else '?' if '?' not in uri else ''}connect_timeout={PATIENCE}"
    return uri, secrets


def _only_table(source: Source, ask: Ask) -> str:
    names = _tables(ask)
    if len(names) != 1:
        what = "the database has several tables" if names else "the database has no tables"
        hint = "Say what to read with --query 'SELECT … FROM …' (Source(…, query=…) in Python)."
        raise InputError(what, file=source, value=", ".join(names[:10]) or None, hint=hint)
    return f"SELECT * FROM {names[0]}"


def _tables(ask: Ask) -> list[str]:
    try:
        rows = ask(_TABLES).rows()
    except InputError:
        rows = ask(_TABLES_OF_SQLITE).rows()
    names = (name if schema in ("main", "public") else f"{schema}.{name}" for schema, name in rows)
    return [
        ".".join(part if part.isidentifier() else f'"{part}"' for part in name.split(".")) for name in names
    ]


def _refused(source: Source, query: str, why: str) -> InputError:
    several = re.search(r"multiple commands|one statement at a time|several statements", why)
    what = (
        "the query holds several statements, one is allowed"
        if several
        else f"the database refuses: {_brief(why)}"
    )
    return InputError(what, file=source, value=query[:80])


def _distinct(names: list[str], source: Source) -> list[str]:
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError("two columns have the same name", file=source, column=repeated[0])
    return names


def _without(secrets: list[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _brief(message: str) -> str:
    """The first line of what a driver says, without its codes."""
    line = next((line for line in message.strip().splitlines() if line.strip()), "no reason is given")
    return re.sub(r"^[A-Z_]+: (?:\[\w+\] )?", "", line).strip().rstrip(".")[:300]
