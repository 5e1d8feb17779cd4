"""Tables from files, workbooks and databases; CSV and Parquet written.

Text files are read as text, column by column: what a column means is for its job to decide, and an error can
then show a value as it stands in the file.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from recurra.errors import InputError, MissingExtraError, UsageError
from recurra.sources.delimited import refuse_ragged
from recurra.sources.encodings import not_utf8, utf8, utf8_file
from recurra.sources.files import atomic_write, existing_file
from recurra.sources.packed import LARGEST_FILE, PACKED, chunks, member
from recurra.sources.source import Source

try:
    import polars as pl
    from polars.io.plugins import register_io_source

    from recurra.sources.database import read_query
    from recurra.sources.text import (
        first_line,
        read_text,
        scan_text,
    )
    from recurra.sources.workbook import WORKBOOKS, read_sheet
except ImportError as error:
    raise MissingExtraError.of("polars", "tables") from error

__all__ = [
    "Scan",
    "Table",
    "header_rows",
    "read_source",
    "read_table",
    "scan_source",
    "write_frames",
    "write_table",
]

_JSON_LINES = (".jsonl", ".ndjson")
_TEXT = (".csv", ".tsv", ".txt")
_KINDS = (*_TEXT, *_JSON_LINES, ".parquet", *WORKBOOKS)
_UNPACKED = (".parquet", *WORKBOOKS)


SMALL = 1 << 20  # bytes of a file that is never scanned
LARGE = 256 << 20  # bytes from which on text is gone through in batches
GROWTH = 8  # how much packed text and Parquet grow, at a guess


class Scan(NamedTuple):
    """A table that is not read yet, and how many rows stand above its data where it comes from."""

    frame: pl.LazyFrame
    header_rows: int


class Table(NamedTuple):
    """A table, and how many rows stand above its data where it comes from."""

    frame: pl.DataFrame
    header_rows: int


def kind_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the kind of table (".csv", ".parquet", …) and the packing (".gz", …, "") by the name.

    Raises
    ------
    InputError: the suffix is none that recurra reads.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in PACKED else ""
    if packed == ".zip":
        suffixes = [suffix.lower() for suffix in Path(member(existing_file(path))).suffixes]
    kind = suffixes[-1] if suffixes else ""
    if kind not in _KINDS or (packed and kind in _UNPACKED):
        hint = f"Use one of {', '.join(_KINDS)}; text may be packed as {', '.join(PACKED)}."
        raise InputError("a table of this kind cannot be read", file=path, value=kind + packed, hint=hint)
    return kind, packed


def header_rows(path: str | os.PathLike[str]) -> int:
    """Return how many rows of the file stand above its first row of data: 1 with a header, otherwise 0."""
    return int(kind_of(path)[0] in (*_TEXT, *WORKBOOKS))


def read_table(path: str | os.PathLike[str], *, say: Callable[[str], object] | None = None) -> pl.DataFrame:
    """Read a table from a file; as `read_source`."""
    return read_source(Source(path), say=say).frame


def read_source(source: Source, *, say: Callable[[str], object] | None = None) -> Table:
    """Read a table.

    CSV and TSV: the delimiter is found among comma, semicolon, tab and bar; UTF-8, UTF-16 and UTF-32, otherwise
    cp1252; every column is text, an empty field null; `.gz`, `.xz`, `.bz2` and `.zip` with one file are
    unpacked. Parquet, JSON Lines, workbooks and databases keep their types. `say` is called with a sentence for
    whatever was decided.

    Raises
    ------
    InputError: no such file, a folder, an unknown suffix, an empty file, only a header, a damaged or binary
        file, one that unpacks beyond all measure, a column name used twice, a row with too many or too few
        fields (with its row; the header is row 1), a sheet that is not there.
    UsageError: `source` has an argument that is for another kind.
    """
    if source.is_database:
        _refuse_idle(source, {"sheet": False, "encoding": False})
        return Table(read_query(source), 0)
    file = existing_file(source.at)
    if file.stat().st_size == 0:
        raise InputError("the file is empty", file=file)
    kind, packed = kind_of(file)
    _refuse_idle(source, {"sheet": kind in WORKBOOKS, "encoding": kind in _TEXT, "query": False})
    above = int(kind in _TEXT)
    if kind == ".parquet":
        frame = _read_typed(file, file, pl.read_parquet)
    elif kind in WORKBOOKS:
        frame, above = read_sheet(file, source.sheet, say)
    else:
        content = b"".join(chunks(file, packed))
        if kind in _JSON_LINES:
            frame = _read_typed(file, io.BytesIO(content), pl.read_ndjson)
        else:
            frame = read_text(file, utf8(file, content, source.encoding, say))
    if frame.height == 0 or frame.width == 0:
        raise InputError("the file has no rows of data", file=file)
    return Table(frame, above)


@contextmanager
def scan_source(source: Source, *, say: Callable[[str], object] | None = None) -> Iterator[Scan | None]:
    """Scan a CSV, TSV or Parquet file that may not fit in memory; None for what `read_source` is for.

    What is packed or in another encoding is written out as UTF-8 to a temporary folder for as long as the block
    lasts. Raises as `read_source` does, also for what is found out while the block reads.
    """
    file = None if source.is_database else existing_file(source.at)
    kind, packed = kind_of(file) if file is not None and file.stat().st_size > SMALL else ("", "")
    if file is None or kind not in (*_TEXT, ".parquet"):
        yield None
        return
    unpacked = file.stat().st_size * (1 if kind in _TEXT and not packed else GROWTH)
    if unpacked <= LARGE:
        yield None
        return
    _refuse_idle(source, {"sheet": False, "encoding": kind in _TEXT, "query": False})
    with tempfile.TemporaryDirectory(prefix="recurra-") as folder:
        text, delimiter = file, ""
        try:
            if kind == ".parquet":
                yield Scan(pl.scan_parquet(file), 0)
                return

            def pieces() -> Iterator[bytes]:
                return chunks(file, packed, LARGEST_FILE)

            if packed:  # once, for it is gone through several times
                text = Path(folder) / "unpacked"
                with text.open("wb") as out:
                    out.writelines(pieces())
                packed = ""
            written, encoding = utf8_file(
                file, lambda: chunks(text, "", LARGEST_FILE), source.encoding, Path(folder) / "text"
            )
            if say is not None and source.encoding is None and encoding != "utf-8":
                say(not_utf8(file, encoding))
            text = written or text
            scan, delimiter = scan_text(file, text)
            yield Scan(scan, 1)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            if delimiter:
                with text.open(encoding="utf-8", newline="") as lines:
                    refuse_ragged(file, lines, delimiter)
            raise InputError(
                f"the file is damaged or of another kind: {first_line(error)}", file=file
            ) from error


def _refuse_idle(source: Source, used: dict[str, bool]) -> None:
    for argument, fits in used.items():
        if getattr(source, argument) is not None and not fits:
            kinds = {"sheet": "a workbook", "encoding": "a CSV or TSV file", "query": "a database"}
            raise UsageError(f"--{argument} is for {kinds[argument]}", file=source)


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write `frame` as `.csv` or `.parquet`, whole or not at all.

    Raises
    ------
    InputError: another suffix, no such folder, or no right to write there.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError("a table is written as .csv or .parquet", file=path, value=suffix)
    with atomic_write(path) as temporary:
        if suffix == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary)


def write_frames(frames: Iterator[pl.DataFrame], path: str | os.PathLike[str]) -> None:
    """Write frames of the same columns, one or more, as one `.parquet` file as they come: whole or not at all.

    Raises InputError as `write_table` does.
    """
    if Path(path).suffix.lower() != ".parquet":
        raise InputError("tables in parts are written as .parquet", file=path, value=Path(path).suffix)
    first = next(frames)
    failed: list[BaseException] = []

    def source(*asked: object) -> Iterator[pl.DataFrame]:
        try:
            yield first
            yield from frames
        except BaseException as error:
            failed.append(error)
            raise

    with atomic_write(path) as temporary:
        try:
            register_io_source(source, schema=first.schema).sink_parquet(temporary)
        except pl.exceptions.ComputeError as error:  # which has what went wrong as text alone
            raise (failed or [error])[0] from None


def _read_typed(file: Path, source: Path | io.BytesIO, read: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    try:
        return read(source)
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError(f"the file is damaged or of another kind: {first_line(error)}", file=file) from error
