"""The personal layer: what one person types, learnt at once, kept in one file on this computer and nowhere else.

The file has a JSON object in each line: a word, the words that it stood behind, and how often; or a word that is never
to be suggested. Behind them come lines of what was learnt since, one for each time: how many words, and their rows;
when they have become long, they are folded into the rows above. Whole texts are not kept.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from io import BufferedRandom
from pathlib import Path
from typing import Any, NamedTuple, Self

from recurra.errors import InputError, UsageError
from recurra.language.suggestion.lexicon import folded, is_word, pieces
from recurra.language.suggestion.phrases import LONGEST, Phrases
from recurra.language.suggestion.writing import SENTENCE_ENDS
from recurra.sources.files import fresh_name, sync, write_bytes

__all__ = ["Learnt", "Personal", "usual_place"]

MEMORY = 50_000.0  # words after which what was learnt weighs 1/e
FAINTEST = 0.05  # what weighs less is forgotten
MOST = 100_000  # rows of the file
LONG = 512 * 1024  # bytes of what was learnt since, from which they are folded into the rows
MOST_WORDS = 1e9
SINCE = '{"learnt": '  # so begin the lines of what was learnt since

Row = dict[str, Any]


def usual_place() -> Path:
    """Where the personal layer lies unless told: the user's data folder; `RECURRA_PERSONAL` names another file."""
    if told := os.environ.get("RECURRA_PERSONAL"):
        return Path(told)
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
    elif sys.platform == "darwin":
        base = home / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return base / "recurra" / "personal.jsonl"


class Learnt(NamedTuple):
    """What was learnt at once: so many words, and how often each stood behind which."""

    words: int
    rows: list[Row]


class Personal:
    """Words and phrases of one person, and the words that this person never wants to see.

    Parameters
    ----------
    file: where it is kept; None: only in memory.

    Attributes
    ----------
    torn: whether the file ends inside of a line, which a process wrote that was killed: it is left out.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self.file = None if file is None else Path(file)
        self.phrases: Phrases[str] = Phrases(MEMORY)
        self.blocked: set[str] = set()
        self.torn = False
        self._since = 0  # bytes of the lines of what was learnt since

    @classmethod
    def open(cls, file: str | os.PathLike[str] | None = None) -> Self:
        """Read it from its file, the usual one if None, which need not exist; InputError for one that is damaged."""
        made = cls(usual_place() if file is None else file)
        assert made.file is not None
        try:
            whole, line_feed, last = made.file.read_bytes().rpartition(b"\n")
            lines = whole.decode().split("\n") if line_feed else []
        except FileNotFoundError:
            return made
        except (OSError, UnicodeError) as error:
            raise _damaged(made.file, str(error)) from error
        if last and _is_json(last):  # an editor left out the line's end
            lines.append(last.decode())
        else:
            made.torn = bool(last)
        for number, row in enumerate(_parsed(lines, made.file), start=1):
            try:
                made._take(row)
            except InputError as error:
                raise _damaged(made.file, error.what, number, error.value) from error
        made._since = sum(len(line.encode()) + 1 for line in lines if line.startswith(SINCE))
        return made

    def _take(self, row: Any) -> None:
        """Take in a line of the file."""
        if isinstance(row, dict) and isinstance(row.get("blocked"), str):
            self.blocked.add(row["blocked"])
        elif isinstance(row, dict) and "learnt" in row:
            words, rows = row["learnt"], row.get("rows")
            if not isinstance(words, int) or not 0 <= words < MOST_WORDS or not isinstance(rows, list):
                raise InputError("this line does not say what was learnt", value=str(row)[:60])
            self.phrases.fade(words)
            for each in rows:
                self.phrases.take(each)
        else:
            self.phrases.take(row)

    def learn(self, text: str) -> Learnt:
        """Learn the words of a text, and what they stood behind, and keep it; OSError where its file cannot be written.

        Returns what that was.
        """
        fresh: Phrases[str] = Phrases(MEMORY)
        count = 0
        before: tuple[str, ...] = ()
        begins = True
        for piece in pieces(text):
            key = folded(piece)
            if is_word(piece):
                fresh.add(key, before)
                count += 1
                if piece != key and not begins:
                    fresh.writings[key] = piece
                before = (*before, key)[-LONGEST:]
            else:
                before = ()
            begins = piece in SENTENCE_ENDS
        learnt = Learnt(count, _kept(fresh))
        if count:
            row = {"learnt": count, "rows": learnt.rows}
            self._append([row])
            self._take(row)
        return learnt

    def block(self, words: Iterable[str]) -> None:
        """Never suggest these words.

        Raises UsageError for what is no word, and would never be suggested, OSError where the file cannot be written.
        """
        words = [word.strip() for word in words]
        for word in words:
            if pieces(word) != [word] or not is_word(word):
                raise UsageError(
                    "this is no word that could be suggested", value=word, hint="Give single words."
                )
        fresh = {folded(word) for word in words} - self.blocked
        self._append([{"blocked": word} for word in sorted(fresh)])
        self.blocked |= fresh

    def wipe(self) -> None:
        """Forget all, and delete the file."""
        self.phrases, self.blocked, self.torn, self._since = Phrases(MEMORY), set(), False, 0
        if self.file is not None:
            self.file.unlink(missing_ok=True)
            fresh_name(self.file).unlink(missing_ok=True)

    def rows(self) -> list[Row]:
        """All that it knows, as it is kept: the words first, the most frequent first."""
        return [{"blocked": word} for word in sorted(self.blocked)] + _kept(self.phrases)

    def _append(self, rows: Sequence[Row]) -> None:
        """Put lines behind those of the file, and have them on the disk when this returns."""
        if self.file is None or not rows:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        begins = not self.file.exists()
        lines = _encoded(rows)
        with open(self.file, "a+b", opener=_private) as file:
            file.write(_end_of(file) + lines)
            file.flush()
            os.fsync(file.fileno())
        if begins:
            sync(self.file.parent)
        self.torn = False
        self._since += len(lines)
        if self._since > LONG:
            self._fold(self.file)

    def _fold(self, file: Path) -> None:
        """Make rows of what was learnt since, of all that the file has now: another process may have added to it."""
        size = file.stat().st_size
        content = _encoded(type(self).open(file).rows())
        if file.stat().st_size == size:  # else next time
            write_bytes(file, content, private=True)
            self._since = 0


def _kept(phrases: Phrases[str]) -> list[Row]:
    """What is worth keeping: the most frequent words first, and no more than `MOST`."""
    rows = [row for row in phrases.rows() if row["count"] >= FAINTEST]
    rows.sort(key=lambda row: (len(row["after"]), -row["count"], row["word"]))
    return sorted(rows, key=lambda row: -row["count"])[:MOST] if len(rows) > MOST else rows


def _encoded(rows: Iterable[Row]) -> bytes:
    lines = map(json.JSONEncoder(ensure_ascii=False).encode, rows)
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _end_of(file: BufferedRandom) -> bytes:
    """What to write before a line that is added; what a process that was killed left of its line is cut off."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return b""
    file.seek(-1, os.SEEK_CUR)
    if file.read() == b"\n":
        return b""
    file.seek(0)
    begins = file.read().rfind(b"\n") + 1
    file.seek(begins)
    if _is_json(file.read()):
        return b"\n"
    file.truncate(begins)
    return b""


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _parsed(lines: list[str], file: Path) -> list[Any]:
    """The JSON value of each line: all at once, which is several times as fast; one by one to find what is damaged."""
    try:
        rows = json.loads(f"[{','.join(lines)}]")
        if len(rows) == len(lines):
            return list(rows)
    except (ValueError, RecursionError):
        pass
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise _damaged(file, "this line is no JSON", number) from error
    return rows


def _damaged(file: Path, what: str, row: int | None = None, value: object = None) -> InputError:
    hint = "Repair it, or start anew: recurra suggest --wipe-personal."
    return InputError(
        f"the personal layer cannot be read: {what}", file=file, row=row, value=value, hint=hint
    )
