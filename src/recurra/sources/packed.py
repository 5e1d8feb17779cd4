"""Packed files: opened by their suffix, and never unpacked beyond what a table can be."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from recurra.errors import InputError

__all__ = ["LARGEST_FILE", "PACKED", "check_unpacked_size", "chunks", "member"]

LARGEST = 4 << 30  # bytes of text in memory
LARGEST_FILE = 256 << 30  # bytes of text unpacked to the disk
MODEST = 256 << 20  # bytes that any file may unpack to
RATIO = 250  # what larger ones may unpack to, as a multiple of their size; tables of sales pack to 1/5 … 1/50
CHUNK = 16 << 20
_OPENERS: Final[dict[str, Callable[..., Any]]] = {
    "": open,
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
}
PACKED = (".gz", ".xz", ".bz2", ".zip")
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, NotImplementedError)


def member(file: Path) -> str:
    """The name of the one file in a `.zip`; InputError where there are several, none, or the archive is damaged.

    What macOS adds and hidden files do not count.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    except (*_DAMAGED, ValueError) as error:
        raise InputError(f"the file cannot be read: {error}", file=file, hint=_hint(".zip")) from error
    seen = [e for e in entries if not e.filename.startswith("__MACOSX/") and Path(e.filename).name[:1] != "."]
    names = ", ".join(entry.filename for entry in seen[:5]) + (", …" if len(seen) > 5 else "")
    if len(seen) != 1:
        what = "the archive holds several files" if seen else "the archive holds no file"
        hint = "Unpack it, and give one of them." if seen else None
        raise InputError(what, file=file, value=names or None, hint=hint)
    if seen[0].flag_bits & 1:
        raise InputError("the archive is encrypted", file=file, value=names, hint="Unpack it first.")
    return seen[0].filename


def chunks(file: Path, packed: str, largest: int | None = None) -> Iterator[bytes]:
    """Yield the content of a file, unpacked, in pieces; InputError where it is damaged or beyond all measure.

    largest: bytes that it may have; as many as memory may hold, if None.
    """
    size, done = file.stat().st_size, 0
    try:
        with _opened(file, packed) as stream:
            while piece := stream.read(CHUNK):
                done += len(piece)
                check_unpacked_size(file, done, size if packed else None, largest)
                yield piece
    except PermissionError as error:
        raise InputError("the file may not be read", file=file, hint="Check its permissions.") from error
    except _DAMAGED as error:
        raise InputError(f"the file cannot be read: {error}", file=file, hint=_hint(packed)) from error


def check_unpacked_size(file: Path, unpacked: int, packed: int | None, largest: int | None = None) -> None:
    """Refuse what unpacks to more than a table can be: a decompression bomb. `packed`: bytes, None for a plain file."""
    largest = LARGEST if largest is None else largest
    if unpacked > largest:
        what = f"the file holds more than {largest >> 30} GiB of text"
        raise InputError(what, file=file, hint="Give it as Parquet, or in parts.")
    if packed is not None and unpacked > max(MODEST, RATIO * packed):
        what = f"the file unpacks to more than {RATIO} times its size, as no table or text does"
        raise InputError(
            what, file=file, hint="If it is what you mean, unpack it yourself and give the result."
        )


@contextmanager
def _opened(file: Path, packed: str) -> Iterator[IO[bytes]]:
    if packed == ".zip":
        with zipfile.ZipFile(file) as archive, archive.open(member(file)) as stream:
            yield stream
    else:
        with _OPENERS[packed](file, "rb") as stream:
            yield stream


def _hint(packed: str) -> str | None:
    return f"It is damaged or not a {packed} file." if packed else None
