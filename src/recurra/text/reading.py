"""Text files of any size and encoding as blocks of lines; rows of JSON lines and CSV files, one after another."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recurra.errors import InputError
from recurra.sources.delimited import find_delimiter, refuse_repeated
from recurra.sources.encodings import marked_encoding, not_text
from recurra.sources.packed import LARGEST_FILE, PACKED, chunks

__all__ = ["Say", "blocks", "csv_rows", "json_rows"]

Say = Callable[[str], object]
LONGEST = 32 << 20  # bytes that are waited for before a line without end is cut
MOST = 256 << 20  # characters of a row


def blocks(file: Path, encoding: str | None = None, say: Say | None = None) -> Iterator[str]:
    """The text of a file in blocks of some millions of characters, which end with a line where lines are not longer.

    Lines end with one newline. The encoding is found where it is not told: a byte-order mark, zeros between letters,
    UTF-8; a line that is no UTF-8 is read as cp1252, and `say` is told how many were.

    Raises InputError for a file that is damaged or no text, UsageError for an unknown encoding.
    """
    packed = file.suffix.lower() if file.suffix.lower() in PACKED else ""
    pieces = chunks(file, packed, LARGEST_FILE)
    head = next(pieces, b"")
    found = encoding or marked_encoding(head)
    pieces = itertools.chain([head], pieces)
    if found not in (None, "utf-8") or encoding is not None:
        pieces = _utf8(file, pieces, found or "utf-8")
    lines = _Lines(file)
    for number, block in enumerate(_cut(pieces)):
        text = lines.decode(block)
        text = text if number else text.removeprefix("\ufeff")
        yield text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if say is not None and lines.strange:
        what = f"{lines.strange} of its lines are not UTF-8, line {lines.first} the first; they were read as cp1252"
        say(f"{file.name}: {what}. If letters look wrong, say the encoding.")


def _utf8(file: Path, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    try:
        for text in codecs.iterdecode(pieces, encoding):
            yield text.encode()
    except (UnicodeError, LookupError) as error:
        raise not_text(file, encoding, error) from error


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes cut at ends of lines, a line that is too long before a space or at least between characters."""
    data = next(pieces, b"")
    for piece in pieces:
        stop = data.rfind(b"\n") + 1
        if not stop and len(data) > LONGEST:
            stop = data.rfind(b" ") if data.rfind(b" ") > 0 else len(data) - 4
            while stop > 1 and data[stop] & 0xC0 == 0x80:
                stop -= 1
        if stop:
            yield data[:stop]
        data = data[stop:] + piece
    if data:
        yield data


class _Lines:
    """Decodes blocks of lines, and counts those that are no UTF-8."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before = 0
        self.strange = 0
        self.first = 0

    def decode(self, block: bytes) -> str:
        if (zero := block.find(b"\x00")) >= 0:
            what = "this is not a text file (it holds zero bytes)"
            row = self._before + block.count(b"\n", 0, zero) + 1
            raise InputError(what, file=self._file, row=row, hint="Give text, Markdown, JSON lines or CSV.")
        try:
            text = block.decode()
        except UnicodeDecodeError:
            lines = block.split(b"\n")
            text = "\n".join(self._line(line, row) for row, line in enumerate(lines, start=self._before + 1))
        self._before += block.count(b"\n")
        return text

    def _line(self, line: bytes, row: int) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.strange += 1
            self.first = self.first or row
        try:
            return line.decode("cp1252")
        except UnicodeDecodeError as error:
            what = "this is neither UTF-8 nor cp1252"
            hint = "Say which encoding the file has, or take the line out."
            found = line[error.start : error.end].hex(" ")
            raise InputError(what, file=self._file, row=row, value=f"byte {found}", hint=hint) from error


def _lines(file: Path, texts: Iterator[str]) -> Iterator[str]:
    """The lines of a text that comes in blocks, with their ends."""
    parts: list[str] = []
    long = 0
    for text in texts:
        for line in io.StringIO(text, newline="\n"):
            if line.endswith("\n"):
                yield "".join([*parts, line])
                parts, long = [], 0
                continue
            parts.append(line)
            long += len(line)
            if long > MOST:
                what = f"a line has more than {MOST >> 20} million characters"
                raise InputError(what, file=file, hint="Give plain text, or rows on lines of their own.")
    if parts:
        yield "".join(parts)


def json_rows(file: Path, texts: Iterator[str]) -> Iterator[tuple[int, Any]]:
    """The values of a file of JSON lines and the number of each line; InputError for a line that is no JSON."""
    for row, line in enumerate(_lines(file, texts), start=1):
        if line.isspace():
            continue
        try:
            yield row, json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = 'Each line is one JSON object, such as {"text": "…"}.'
            raise InputError(
                "the line is no JSON", file=file, row=row, value=line.strip()[:80], hint=hint
            ) from error


def csv_rows(file: Path, texts: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column and the number of each, the header's being 1.

    Raises InputError for a header with a name twice, and for a row with more or fewer fields than the header.
    """
    lines = _lines(file, texts)
    head = list(itertools.islice(lines, 100))
    delimiter = find_delimiter(head)
    refuse_repeated(file, head, delimiter)
    csv.field_size_limit(max(csv.field_size_limit(), MOST))  # the module's own limit is below a long article
    reader = csv.reader(itertools.chain(head, lines), delimiter=delimiter)
    header: list[str] = []
    try:
        for number, fields in enumerate(reader, start=1):
            if not header:
                header = [name.strip() for name in fields]
            elif fields and len(fields) != len(header):
                what = f"the row has {len(fields)} fields, the header {len(header)}"
                hint = "Quote fields that hold the delimiter or line ends."
                raise InputError(what, file=file, row=number, value=delimiter.join(fields)[:80], hint=hint)
            elif fields:
                yield number, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise InputError(f"the row cannot be read as CSV: {error}", file=file, row=reader.line_num) from error
