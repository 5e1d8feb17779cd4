"""Documents: texts in memory, or in files and folders that are read one after another, each with its kind."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from recurra.errors import InputError, UsageError
from recurra.sources.files import existing_file
from recurra.sources.packed import PACKED, member
from recurra.text.reading import Say, blocks, csv_rows, json_rows

__all__ = ["Document", "Documents", "Files", "Texts"]

PLAIN = (".txt", ".text", ".md", ".markdown")
LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv")
COLUMNS = ("text", "content", "body", "turns", "messages")  # where text is looked for, unless told
_HALVES = re.compile("[\ud800-\udfff]")
UNPACKED = 4  # how much text grows when it is unpacked, at a guess


@dataclass(frozen=True, slots=True)
class Document:
    """A text.

    Attributes
    ----------
    text: never blank, unless it is a part; out of a file, with newlines only between lines.
    kind: its label; None where it has none.
    where: its file, and row in it; or its number in a list.
    more: whether the next document goes on where this one ends, since the file is too large to be read at once.
    """

    text: str
    kind: str | None = None
    where: str = ""
    more: bool = False


class Documents(Protocol):
    """What can be gone through more than once, and gives the same documents in the same order."""

    @property
    def size(self) -> int:
        """How much there is to read, in bytes or characters."""

    @property
    def done(self) -> int:
        """How much of it is read, as far as is known."""

    @property
    def fingerprint(self) -> str:
        """Differs when the documents may differ."""

    def __iter__(self) -> Iterator[Document]:
        """Go through them from the first."""


class Texts:
    """Texts that are in memory as documents; blank ones are left out.

    kinds: the label of each, or None.

    Raises UsageError for kinds that are not as many, InputError for what is no str and where all are blank.
    """

    def __init__(self, texts: Sequence[str], kinds: Sequence[str | None] | None = None) -> None:
        if isinstance(texts, str):
            raise UsageError("texts must be a list of strings", value=texts[:80], hint="Write [text].")
        if kinds is not None and len(kinds) != len(texts):
            raise UsageError("there must be a kind for each text", value=f"{len(kinds)} for {len(texts)}")
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise InputError(f"text {number} is no string", value=repr(text)[:80])
        for kind in kinds or ():
            if kind is not None and not isinstance(kind, str):
                raise UsageError("a kind is a string or None", value=repr(kind)[:80])
        if not any(text and not text.isspace() for text in texts):
            raise InputError("there is no text", value=f"{len(texts)} blank texts")
        self._texts = list(texts)
        self._kinds = list(kinds) if kinds is not None else [None] * len(self._texts)
        self.size = sum(map(len, self._texts))
        self.done = 0

    @property
    def fingerprint(self) -> str:
        """A hash of texts and kinds."""
        digest = hashlib.sha256()
        for text, kind in zip(self._texts, self._kinds, strict=True):
            data = text.encode(errors="replace")
            digest.update(f"{len(data)} {kind!r} ".encode(errors="replace") + data)
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Document]:
        self.done = 0
        for number, (text, kind) in enumerate(zip(self._texts, self._kinds, strict=True)):
            if text and not text.isspace():
                yield Document(text, kind, f"text {number}")
            self.done += len(text)


class _File(NamedTuple):
    path: Path
    form: str  # one of PLAIN, LINES, TABLES
    column: str | None
    kind: str | None
    size: int


class Files:
    """Documents in files: .txt and .md, one in each; .jsonl and .csv, one in each row; folders with all in them.

    A packed file (.gz, .xz, .bz2, .zip) is read like the file in it. A sub-folder's name is the kind of what is in it.
    `reviews.csv:body` or `chats.jsonl:turns` says where in a row the text stands, `posts/:body` for all tables of a
    folder; otherwise it is looked for under text, content, body, turns and messages. In JSON it may be a list of
    strings or of objects with text, which become lines. A file that is named twice is read once.

    Parameters
    ----------
    paths: files and folders.
    kind: the column or key in which rows have their kind.
    encoding: of all files; found for each, if None.
    say: is told, once, what was left out and what was read in another way than as UTF-8.

    Raises InputError for a path that does not exist; while reading, for files that are no text, rows without text, and
    where there is no text at all.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        kind: str | None = None,
        encoding: str | None = None,
        say: Say | None = None,
    ) -> None:
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        self._paths = [str(path) for path in paths]
        self._kind = kind
        self._encoding = encoding
        self._say = say
        self._left_out: Counter[str] = Counter()
        self._files = _once(file for path in self._paths for file in self._found(path))
        self.size = sum(file.size for file in self._files)
        self.done = 0

    @property
    def fingerprint(self) -> str:
        """A hash of the files' paths, sizes and times of change, and of the settings."""
        parts: list[object] = [self._kind, self._encoding]
        for file in self._files:
            parts += [str(file.path.resolve()), *file[1:], existing_file(file.path).stat().st_mtime_ns]
        return hashlib.sha256(json.dumps(parts).encode(errors="replace")).hexdigest()

    def __iter__(self) -> Iterator[Document]:
        say, self._say = self._say, None  # another time there is nothing new to tell
        left_out = Counter(self._left_out)
        self.done, before, count, more = 0, 0, 0, False
        for file in self._files:
            growth = UNPACKED if file.path.suffix.lower() in PACKED else 1
            read = 0
            for document in self._read(file, say):
                if more or document.more or (document.text and not document.text.isspace()):
                    count += 1
                    yield document
                else:
                    left_out["blank"] += 1
                more = document.more
                read += len(document.text)
                self.done = before + min(file.size, read // growth)
            before += file.size
            self.done = before
        if say is not None and left_out:
            say(f"Left out: {', '.join(f'{number} {what}' for what, number in left_out.most_common())}.")
        if not count:
            what = "there is no text" if self._files else "there is no file with text"
            hint = f"Give {', '.join(PLAIN[::2] + LINES[:1] + TABLES[:1])} files, or a folder with some."
            raise InputError(what, file=", ".join(self._paths[:3]) or None, hint=hint)

    def _found(self, path: str) -> Iterator[_File]:
        place, column = _with_column(path)
        if not place.is_dir():
            file = existing_file(place)
            form = _form(file)
            if column is not None and form in PLAIN:
                raise UsageError("a text file has no columns", file=file, value=column)
            yield _File(file, form, column, None, file.stat().st_size)
            return
        for folder, folders, names in os.walk(place, onerror=_unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = Path(folder).relative_to(place).parts
            for name in sorted(names):
                file = Path(folder, name)
                suffixes = [suffix.lower() for suffix in file.suffixes]
                form = next((s for s in reversed(suffixes) if s not in PACKED), "")
                if name.startswith("."):
                    continue
                if form not in PLAIN + LINES + TABLES or not file.is_file():
                    self._left_out[f"{form or 'other'} files"] += 1
                    continue
                told = None if form in PLAIN else column
                yield _File(file, form, told, below[0] if below else None, file.stat().st_size)

    def _read(self, file: _File, say: Say | None) -> Iterator[Document]:
        texts = blocks(file.path, self._encoding, say)
        if file.form in PLAIN:
            yield from _parts(file, texts)
            return
        rows = json_rows(file.path, texts) if file.form in LINES else csv_rows(file.path, texts)
        for row, value in rows:
            text, kind = self._of_row(file, row, value)
            yield Document(text, kind, f"{file.path}, row {row}")

    def _of_row(self, file: _File, row: int, value: Any) -> tuple[str, str | None]:
        if isinstance(value, str) and file.column is None:
            return _clean(value), file.kind
        if not isinstance(value, dict):
            raise InputError("the line is no JSON object", file=file.path, row=row, value=str(value)[:80])
        columns = COLUMNS if file.column is None else (file.column,)
        column = next((name for name in columns if name in value), None)
        if column is None:
            what = "the row has no text" if file.column is None else "the row has no such column"
            hint = f"It has: {', '.join(list(value)[:10])}. Name the text's after the path: {file.path}:NAME."
            raise InputError(what, file=file.path, row=row, column=file.column, hint=hint)
        text = _joined(value[column])
        text = text if text is None else _clean(text)
        if text is None:
            found = ascii(value[column])[:80]
            raise InputError("this is no text", file=file.path, row=row, column=column, value=found)
        kind = value.get(self._kind) if self._kind is not None else None
        if isinstance(kind, list | dict):
            raise InputError(
                "this is no kind", file=file.path, row=row, column=self._kind, value=str(kind)[:80]
            )
        return text, file.kind if kind in (None, "") else _clean(str(kind))


def _once(files: Iterator[_File]) -> list[_File]:
    """Each file once: one that is named apart from its folder keeps the folder's kind and has the column named."""
    found: dict[Path, _File] = {}
    for file in files:
        key = file.path.resolve()
        old = found.setdefault(key, file)
        found[key] = old._replace(column=file.column or old.column, kind=old.kind or file.kind)
    return list(found.values())


def _unreadable(error: OSError) -> None:
    hint = "Check its permissions."
    raise InputError(
        f"the folder cannot be read: {error.strerror}", file=error.filename, hint=hint
    ) from error


def _with_column(path: str) -> tuple[Path, str | None]:
    name, colon, column = path.rpartition(":")
    if colon and column and not Path(path).exists() and Path(name).exists():
        return Path(name), column
    return Path(path), None


def _form(file: Path) -> str:
    """What kind of file this is; one with another suffix, which a person has named, is text."""
    packed = file.suffix.lower()
    name = file if packed not in PACKED else Path(member(file)) if packed == ".zip" else file.with_suffix("")
    suffix = name.suffix.lower()
    return suffix if suffix in LINES + TABLES else PLAIN[0]


def _parts(file: _File, texts: Iterator[str]) -> Iterator[Document]:
    text = next(texts, "")
    for following in texts:
        yield Document(text, file.kind, str(file.path), more=True)
        text = following
    yield Document(text, file.kind, str(file.path))


def _clean(text: str) -> str:
    """A text out of JSON, whose escapes allow what no file of text has: halves of surrogate pairs become U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def _joined(value: Any) -> str | None:
    """The text of a JSON value: itself, or a list's lines; None where it is neither."""
    if not isinstance(value, list):
        return "" if value is None else value if isinstance(value, str) else None
    lines = [part if isinstance(part, str) else _line(part) for part in value]
    return None if None in lines else "\n".join(line for line in lines if line is not None)


def _line(part: Any) -> str | None:
    found = part.get("text", part.get("content")) if isinstance(part, dict) else None
    return found if isinstance(found, str) else None
