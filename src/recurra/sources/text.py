"""Text files as tables: the delimiter is found, and every column stays text."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from recurra.errors import InputError
from recurra.sources.delimited import find_delimiter, refuse_ragged, refuse_repeated

__all__ = ["first_line", "read_text", "scan_text"]


def read_text(file: Path, data: bytes) -> pl.DataFrame:
    """Read UTF-8 bytes as a table whose columns are all text; an empty field is null.

    Raises InputError: nothing but blanks, a column's name used twice, a row with too many or too few fields.
    """
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of old Macs
    head = data[:65536].decode("utf-8", errors="ignore").split("\n")
    delimiter = find_delimiter(head)
    refuse_repeated(file, head, delimiter)
    try:
        frame = pl.read_csv(data, separator=delimiter, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise InputError("the file is empty", file=file) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        refuse_ragged(file, _lines(data), delimiter)
        raise InputError(f"the file cannot be read as CSV: {first_line(error)}", file=file) from error
    whole = data.count(delimiter.encode()) == (frame.height + 1) * (frame.width - 1)
    if frame.width > 1 and not whole and frame[:, -1].null_count():
        refuse_ragged(file, _lines(data), delimiter)
    return frame.rename({name: name.strip() for name in frame.columns if name.strip()})


def scan_text(file: Path, text: Path) -> tuple[pl.LazyFrame, str]:
    """Scan the UTF-8 file at `text` as `read_text` reads one; returns its delimiter, too. `file`: named in errors."""
    with text.open("rb") as stream:
        head = stream.read(1 << 16).decode("utf-8", errors="ignore").split("\n")
    delimiter = find_delimiter(head)
    refuse_repeated(file, head, delimiter)
    scan = pl.scan_csv(text, separator=delimiter, infer_schema=False)
    names = scan.collect_schema().names()
    return scan.rename({name: name.strip() for name in names if name.strip()}), delimiter


def _lines(data: bytes) -> io.StringIO:
    return io.StringIO(data.decode("utf-8"), newline="")


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
