"""Tables in files: read CSV, TSV, JSON Lines and Parquet, write CSV and Parquet.

Text files are read as text, column by column: what a column means is for its job to decide, and an error can
then show a value as it stands in the file.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.errors import InputError, MissingExtraError
from recurra.sources.files import atomic_write, existing_file

try:
    import polars as pl
except ImportError as error:
    raise MissingExtraError.of("polars", "tables") from error

__all__ = ["header_rows", "read_table", "write_table"]

LARGEST = 4 << 30  # bytes of text after decompression
DELIMITERS = ",;\t|"
_OPENERS: dict[str, Callable[..., Any]] = {"": open, ".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_PACKED = (".gz", ".xz", ".bz2")
_JSON_LINES = (".jsonl", ".ndjson")
_TEXT = (".csv", ".tsv", ".txt")
_KINDS = (*_TEXT, *_JSON_LINES, ".parquet")


def kind_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the kind of table (".csv", ".parquet", …) and the compression (".gz", …, "") by the name.

    Raises
    ------
    InputError: the suffix is none that recurra reads.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in _PACKED else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in _KINDS or (packed and kind == ".parquet"):
        hint = f"Use one of {', '.join(_KINDS)}; text may be packed as {', '.join(_PACKED)}."
        if kind in (".xlsx", ".xls", ".ods"):
            hint = "Save the sheet as CSV first."
        raise InputError("a table of this kind cannot be read", file=path, value=kind + packed, hint=hint)
    return kind, packed


def header_rows(path: str | os.PathLike[str]) -> int:
    """Return how many rows of the file stand above its first row of data: 1 for CSV and TSV, otherwise 0."""
    return int(kind_of(path)[0] in _TEXT)


def read_table(path: str | os.PathLike[str], *, say: Callable[[str], object] | None = None) -> pl.DataFrame:
    """Read a table from a file.

    CSV and TSV: the delimiter is found among comma, semicolon, tab and bar; UTF-8 with or without a
        byte-order mark,
    UTF-16 with one, otherwise cp1252; every column is text, an empty field null; `.gz`, `.xz` and `.bz2` are
    unpacked. Parquet and JSON Lines keep their types. `say` is called with a sentence for whatever was
    decided.

    Raises
    ------
    InputError: no such file, a folder, an unknown suffix, an empty file, only a header, a damaged or binary
        file, a column name used twice, a row with too many or too few fields (with its row; the header is row
        1).
    """
    file = existing_file(path)
    kind, packed = kind_of(file)
    if file.stat().st_size == 0:
        raise InputError("the file is empty", file=file)
    if kind == ".parquet":
        frame = _read_typed(file, file, pl.read_parquet)
    elif kind in _JSON_LINES:
        frame = _read_typed(file, io.BytesIO(_bytes_of(file, packed)), pl.read_ndjson)
    else:
        frame = _read_text(file, _utf8(file, _bytes_of(file, packed), say))
    if frame.height == 0 or frame.width == 0:
        raise InputError("the file has no rows of data", file=file)
    return frame


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


def _bytes_of(file: Path, packed: str) -> bytes:
    try:
        with _OPENERS[packed](file, "rb") as stream:
            data = bytes(stream.read(LARGEST + 1))
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        hint = f"It is damaged or not a {packed} file." if packed else None
        raise InputError(f"the file cannot be read: {error}", file=file, hint=hint) from error
    if len(data) > LARGEST:
        raise InputError(
            f"the file holds more than {LARGEST >> 30} GiB of text",
            file=file,
            hint="Give it as Parquet, or in parts.",
        )
    return data


def _read_typed(file: Path, source: Path | io.BytesIO, read: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    try:
        return read(source)
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError(
            f"the file is damaged or of another kind: {_first_line(error)}", file=file
        ) from error


def _utf8(file: Path, data: bytes, say: Callable[[str], object] | None) -> bytes:
    """Return the text of a file as UTF-8 bytes without a byte-order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in data:
        raise InputError(
            "this is not a text file (it holds zero bytes)", file=file, hint="Give a CSV or Parquet file."
        )
    else:
        try:
            data.decode("utf-8")
            return data.removeprefix(b"\xef\xbb\xbf")
        except UnicodeDecodeError:
            encoding = "cp1252"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            "this is not a text file (neither UTF-8 nor cp1252)", file=file, hint="Save it as CSV UTF-8."
        ) from error
    if say is not None:
        say(f"{file.name} is not UTF-8; it was read as {encoding}.")
    return text.removeprefix("\ufeff").encode("utf-8", errors="replace")


def _read_text(file: Path, data: bytes) -> pl.DataFrame:
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
        raise InputError(f"the file cannot be read as CSV: {_first_line(error)}", file=file) from error
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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
