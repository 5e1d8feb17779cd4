"""The personal layer: what one person types, learnt at once, kept in one file on this computer and nowhere else.

The file has a JSON object in each line: a word, the words that it stood behind, and how often; or a word that is never
to be suggested. Whole texts are not kept.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from recurra.errors import InputError
from recurra.language.suggestion.lexicon import LONGEST_WORD, folded, is_word, pieces
from recurra.language.suggestion.phrases import LONGEST, Phrases
from recurra.language.suggestion.writing import SENTENCE_ENDS
from recurra.sources.files import write_bytes

__all__ = ["Personal", "usual_place"]

MEMORY = 50_000.0  # words after which what was learnt weighs 1/e
FAINTEST = 0.05  # what weighs less is forgotten
MOST = 100_000  # rows of the file


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


class Personal:
    """Words and phrases of one person, and the words that this person never wants to see.

    Parameters
    ----------
    file: where it is kept; None: only in memory.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self.file = None if file is None else Path(file)
        self.phrases: Phrases[str] = Phrases(MEMORY)
        self.blocked: set[str] = set()

    @classmethod
    def open(cls, file: str | os.PathLike[str] | None = None) -> Self:
        """Read it from its file, the usual one if None, which need not exist; InputError for one that is damaged."""
        made = cls(usual_place() if file is None else file)
        assert made.file is not None
        try:
            lines = made.file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return made
        except (OSError, UnicodeError) as error:
            raise _damaged(made.file, str(error)) from error
        phrases: list[Any] = []
        for row in _parsed(lines, made.file):
            if isinstance(row, dict) and isinstance(row.get("blocked"), str):
                made.blocked.add(row["blocked"])
            else:
                phrases.append(row)
        try:
            made.phrases.take(phrases)
        except InputError as error:
            raise _damaged(made.file, error.what, value=error.value) from error
        return made

    def learn(self, text: str) -> None:
        """Learn the words of a text, and what they stood behind, and keep it; raises as `save` does."""
        before: tuple[str, ...] = ()
        begins = True
        for piece in pieces(text):
            key = folded(piece)
            if is_word(piece):
                self.phrases.add(key, before)
                if piece != key and not begins:
                    self.phrases.writings[key] = piece
                before = (*before, key)[-LONGEST:]
            else:
                before = ()
            begins = piece in SENTENCE_ENDS
        self.save()

    def block(self, words: Iterable[str]) -> None:
        """Never suggest these words; raises as `save` does."""
        self.blocked |= {folded(word) for word in words if 0 < len(word) <= LONGEST_WORD}
        self.save()

    def wipe(self) -> None:
        """Forget all, and delete the file."""
        self.phrases, self.blocked = Phrases(MEMORY), set()
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def rows(self) -> list[dict[str, Any]]:
        """All that it knows, as it is kept: the words first, the most frequent first."""
        rows = [row for row in self.phrases.rows() if row["count"] >= FAINTEST]
        rows.sort(key=lambda row: (len(row["after"]), -row["count"], row["word"]))
        if len(rows) > MOST:
            rows = sorted(rows, key=lambda row: -row["count"])[:MOST]
        return [{"blocked": word} for word in sorted(self.blocked)] + rows

    def save(self) -> None:
        """Keep it: the file is replaced at once or not at all, and only its owner may read it; OSError if it cannot."""
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            self.file.touch(mode=0o600)
        lines = map(json.JSONEncoder(ensure_ascii=False).encode, self.rows())
        mode = self.file.stat().st_mode & 0o777
        write_bytes(self.file, "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace"))
        self.file.chmod(mode)


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
