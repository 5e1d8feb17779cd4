"""Writing files so that bad luck never costs data, and telling a person which file was meant."""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recurra.errors import InputError

__all__ = ["atomic_write", "existing_file", "sync_folder"]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, its file takes the place of `path`.

    The file is fsynced before it is renamed, and its folder after, so that a reader sees the old file or the
    whole new one, even after a power cut. When the block raises, the temporary file is removed and `path` is
    untouched. The temporary name ends in the suffix of `path`.

    Raises
    ------
    InputError: the folder does not exist, or `path` is a folder or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError("this is a folder, a file was to be written", file=target)
    if not target.parent.is_dir():
        raise InputError(
            "the folder to write to does not exist", file=target, hint=f"Make {target.parent} first."
        )
    temporary = target.with_name(f".{secrets.token_hex(6)}.{target.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except PermissionError as error:
        raise InputError(f"the file cannot be written: {error.strerror}", file=target) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have `folder`'s list of names put on the disk; where the system has no such call, do nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return `path` if it is a file; otherwise an InputError that names the nearest names in its folder."""
    wanted = Path(path)
    if wanted.is_dir():
        raise InputError(
            "this is a folder, a file was expected", file=wanted, hint="Give the path of one file in it."
        )
    if wanted.is_file():
        return wanted
    if not wanted.parent.is_dir():
        raise InputError(f"no such file: there is no folder {wanted.parent}", file=wanted)
    names = sorted(entry.name for entry in wanted.parent.iterdir() if entry.is_file())
    near = difflib.get_close_matches(wanted.name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Look into {wanted.parent.resolve()}."
    raise InputError("no such file", file=wanted, hint=hint)
