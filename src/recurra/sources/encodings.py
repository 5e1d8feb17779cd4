"""The encoding of text files: found by their bytes, or as told; always handed on as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

from recurra.errors import InputError, RecurraError, UsageError

__all__ = ["find_encoding", "marked_encoding", "not_text", "not_utf8", "utf8", "utf8_file"]

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
    found = encoding or find_encoding(file, data)
    try:
        text = data.decode(found)
    except (UnicodeError, LookupError) as error:
        raise not_text(file, encoding, error) from error
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
    found = encoding or find_encoding(file, head[:-4])  # a letter may be cut in two
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
        raise not_text(file, encoding, error) from error
    return target, found


def _unless(encoding: str | None, file: Path, error: UnicodeError) -> str:
    if encoding is not None:
        raise not_text(file, encoding, error) from error
    return "cp1252"


def not_text(file: Path, encoding: str | None, error: Exception) -> RecurraError:
    """The error for what is no text in the encoding, or for an encoding that there is not."""
    if isinstance(error, LookupError):
        hint = "Such as utf-8, cp1250, cp1251, shift_jis or gb18030."
        return UsageError("there is no such encoding", value=encoding, hint=hint)
    hint = "Say which encoding it is with --encoding (Source(…, encoding=…) in Python)."
    kind = encoding or "UTF-8 or cp1252"
    return InputError(f"this is not a text file in {kind}", file=file, hint=hint)


def find_encoding(file: Path, data: bytes) -> str:
    """The encoding that the byte-order mark, zeros between letters, or the bytes as a whole tell."""
    if wide := marked_encoding(data):
        return wide
    if b"\x00" in data:
        hint = "Give a CSV or Parquet file."
        raise InputError("this is not a text file (it holds zero bytes)", file=file, hint=hint)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def marked_encoding(data: bytes) -> str | None:
    """The encoding that a byte-order mark or zeros between letters tell; None where there are neither."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[: 1 << 16]
    zeros = [head[offset::2].count(0) / max(len(head) // 2, 1) for offset in (0, 1)]
    for encoding, letters, others in (("utf-16-le", zeros[0], zeros[1]), ("utf-16-be", zeros[1], zeros[0])):
        if letters < 0.1 and others > 0.4:
            return encoding
    return None
