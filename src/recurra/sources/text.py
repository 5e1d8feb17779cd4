"""Text files as tables: the encoding and the delimiter are found, and every column stays text."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl

from recurra.errors import InputError, UsageError

__all__ = ["first_line", "read_text", "utf8"]

DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def utf8(file: Path, data: bytes, encoding: str | None, say: Callable[[str], object] | None) -> bytes:
    """Return the text of a file as UTF-8 bytes without a byte-order mark.

    Raises
    ------
    InputError: this is not text in the `encoding`, or in any that can be found.
    UsageError: there is no such encoding.
    """
    found = encoding or _encoding(file, data)
    try:
        text = data.decode(found)
    except LookupError as error:
        hint = "Such as utf-8, cp1250, cp1251, shift_jis or gb18030."
        raise UsageError("there is no such encoding", value=encoding, hint=hint) from error
    except UnicodeError as error:
        hint = "Say which encoding it is with --encoding (Source(…, encoding=…) in Python)."
        what = (
            f"this is not a text file in {found}" if encoding else "this is not a text file (UTF-8 or cp1252)"
        )
        raise InputError(what, file=file, hint=hint) from error
    if say is not None and encoding is None and found != "utf-8":
        say(f"{file.name} is not UTF-8; it was read as {found}. If letters look wrong, give --encoding.")
    return text.removeprefix("\ufeff").encode("utf-8", errors="replace")


def _encoding(file: Path, data: bytes) -> str:
    """The encoding that the byte-order mark, zeros between letters, or the bytes as a whole tell."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[: 1 << 16]
    zeros = [head[offset::2].count(0) / max(len(head) // 2, 1) for offset in (0, 1)]
    for encoding, letters, others in (("utf-16-le", zeros[0], zeros[1]), ("utf-16-be", zeros[1], zeros[0])):
        if letters < 0.1 and others > 0.4:
            return encoding
    if b"\x00" in data:
        hint = "Give a CSV or Parquet file."
        raise InputError("this is not a text file (it holds zero bytes)", file=file, hint=hint)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def read_text(file: Path, data: bytes) -> pl.DataFrame:
    """Read UTF-8 bytes as a table whose columns are all text; an empty field is null.

    Raises InputError: nothing but blanks, a column's name used twice, a row with too many or too few fields.
    """
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of old Macs
    head = data[:65536].decode("utf-8", errors="ignore").split("\n")
    delimiter = _delimiter(head)
    _refuse_repeated(file, head, delimiter)
    try:
        frame = pl.read_csv(data, separator=delimiter, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise InputError("the file is empty", file=file) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _refuse_ragged(file, data, delimiter)
        raise InputError(f"the file cannot be read as CSV: {first_line(error)}", file=file) from error
    whole = data.count(delimiter.encode()) == (frame.height + 1) * (frame.width - 1)
    if frame.width > 1 and not whole and frame[:, -1].null_count():
        _refuse_ragged(file, data, delimiter)
    return frame.rename({name: name.strip() for name in frame.columns if name.strip()})


def _delimiter(head: list[str]) -> str:
    """Return the delimiter that splits the header, and the lines after it into as many fields, most often."""
    lines = head[:20] if len(head) > 20 else head[:-1] or head  # the very last one may be cut

    def score(delimiter: str) -> tuple[int, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return (0, 0)
        if not widths or widths[0] < 2:
            return (0, 0)
        return (sum(width == widths[0] for width in widths), widths[0])

    best = max(DELIMITERS, key=score)
    return best if score(best) > (0, 0) else ","


def _refuse_repeated(file: Path, head: list[str], delimiter: str) -> None:
    try:
        header = next((row for row in csv.reader(head, delimiter=delimiter) if row), [])
    except csv.Error as error:
        raise InputError(f"the header cannot be read as CSV: {error}", file=file, row=1) from error
    counts = Counter(name.strip() for name in header)
    repeated = [name for name, count in counts.items() if count > 1 and name]
    if repeated:
        raise InputError("two columns have the same name", file=file, row=1, column=repeated[0])


def _refuse_ragged(file: Path, data: bytes, delimiter: str) -> None:
    """Raise the error for the first row that has more or fewer fields than the header, if there is one."""
    rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter)
    width = 0
    try:
        for number, row in enumerate(rows, start=1):
            width = width or len(row)
            if row and len(row) != width:
                raise InputError(
                    f"the row has {len(row)} fields, the header {width}",
                    file=file,
                    row=number,
                    value=delimiter.join(row)[:80],
                    hint="Quote fields that hold the delimiter.",
                )
    except csv.Error as error:
        raise InputError(f"the row cannot be read as CSV: {error}", file=file, row=rows.line_num) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
