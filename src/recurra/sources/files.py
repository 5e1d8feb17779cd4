"""Writing files so that bad luck never costs data, and telling a person which file was meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recurra.errors import InputError

__all__ = ["atomic_write", "existing_file", "fresh_name", "prepare_folder", "sync", "write_bytes"]


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
    temporary = target.with_name(f".{os.urandom(6).hex()}.{target.name}")
    try:
        with _replacing(target, temporary):
            yield temporary
    except PermissionError as error:
        raise InputError(f"the file cannot be written: {error.strerror}", file=target) from error


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new one, never a part.

    private: at no moment may anybody but its owner read it, where the system knows such rights.

    For files that recurra writes again and again, one process at a time: the temporary name is always the same,
    so that what a killed process left is written over. Raises OSError; the caller knows what file it is.
    """
    temporary = fresh_name(path)
    with _replacing(path, temporary):
        if private:
            temporary.touch(mode=0o600)
        temporary.write_bytes(content)


def fresh_name(path: Path) -> Path:
    """Where `write_bytes` writes what is to take the place of a file; a killed process may leave it behind."""
    return path.with_name(f".{path.name}.new")


def prepare_folder(folder: Path) -> None:
    """Make the folder unless it exists; InputError where it cannot be made or written to."""
    hint = "Choose another folder with --out."
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError("this is a file, a folder was expected", file=folder, hint=hint) from error
    except OSError as error:
        raise InputError(f"the folder cannot be made: {error.strerror}", file=folder, hint=hint) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError("there is no right to write into this folder", file=folder, hint=hint)


def sync(path: Path) -> None:
    """Have a file's content or a folder's list of names put on the disk; only POSIX does so for folders."""
    folder = path.is_dir()
    if folder and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _replacing(target: Path, temporary: Path) -> Iterator[None]:
    """Have the file that the block writes at `temporary` take the place of `target` when it ends well."""
    try:
        yield
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


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
    import difflib

    names = sorted(entry.name for entry in wanted.parent.iterdir() if entry.is_file())
    near = difflib.get_close_matches(wanted.name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Look into {wanted.parent.resolve()}."
    raise InputError("no such file", file=wanted, hint=hint)
