"""Text files as tables: the encoding and the delimiter are found, and every column stays text."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import polars as pl

from recurra.errors import InputError, RecurraError, UsageError

__all__ = ["first_line", "not_utf8", "read_text", "refuse_ragged", "scan_text", "utf8", "utf8_file"]

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
    except (UnicodeError, LookupError) as error:
        raise _no_text(file, encoding, error) from error
    if say is not None and encoding is None and found != "utf-8":
        say(not_utf8(file, found))
    return text.removeprefix("\ufeff").encode("utf-8", errors="replace")


def not_utf8(file: Path, encoding: str) -> str:
    """What is said of a file in another encoding that was found."""
    return f"{file.name} is not UTF-8; it was read as {encoding}. If letters look wrong, give --encoding."


def utf8_file(
    file: Path, pieces: Callable[[], Iterator[bytes]], encoding: str | None, target: Path
) -> tuple[Path | None, str]:
    """Write the text of a large file as UTF-8 to `target`; raises as `utf8` does.

    Returns the path, None where the pieces are UTF-8 without a mark already, and the encoding.
    """
    head = next(pieces(), b"")
    found = encoding or _encoding(file, head[:-4])  # a letter may be cut in two
    if found == "utf-8":
        try:
            for _ in codecs.iterdecode(pieces(), "utf-8"):
                pass
            if not head.startswith(codecs.BOM_UTF8):
                return None, found
        except UnicodeDecodeError as error:
            found = _unless(encoding, file, error)
    try:
        with target.open("w", encoding="utf-8", newline="") as out:
            for number, text in enumerate(codecs.iterdecode(pieces(), found)):
                out.write(text if number else text.removeprefix("\ufeff"))
    except (UnicodeError, LookupError) as error:
        raise _no_text(file, encoding, error) from error
    return target, found


def _unless(encoding: str | None, file: Path, error: UnicodeError) -> str:
    if encoding is not None:
        raise _no_text(file, encoding, error) from error
    return "cp1252"


def _no_text(file: Path, encoding: str | None, error: Exception) -> RecurraError:
    if isinstance(error, LookupError):
        hint = "Such as utf-8, cp1250, cp1251, shift_jis or gb18030."
        return UsageError("there is no such encoding", value=encoding, hint=hint)
    hint = "Say which encoding it is with --encoding (Source(…, encoding=…) in Python)."
    kind = encoding or "UTF-8 or cp1252"
    return InputError(f"this is not a text file in {kind}", file=file, hint=hint)


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
    delimiter = _delimiter(head)
    _refuse_repeated(file, head, delimiter)
    scan = pl.scan_csv(text, separator=delimiter, infer_schema=False)
    names = scan.collect_schema().names()
    return scan.rename({name: name.strip() for name in names if name.strip()}), delimiter


def _lines(data: bytes) -> io.StringIO:
    return io.StringIO(data.decode("utf-8"), newline="")


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


def refuse_ragged(file: Path, lines: Iterable[str], delimiter: str) -> None:
    """Raise the error for the first row that has more or fewer fields than the header, if there is one."""
    rows = csv.reader(lines, delimiter=delimiter)
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
