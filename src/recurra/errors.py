"""What went wrong, in a person's words: what, where (file, row, column, value) and the way out."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "InputError",
    "MissingExtraError",
    "ModelError",
    "NotFittedError",
    "RecurraError",
    "UsageError",
]


class RecurraError(Exception):
    """An error that a person can act on; the command line prints it in one paragraph, without a traceback.

    Parameters
    ----------
    what: what is wrong, one sentence without its full stop.
    file, row, column, value: where it was found. Rows count from 1 as a person would count lines of data in the
        file: the header of a text file is row 1.
    hint: what to do about it, one sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        file: object = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.file = None if file is None else str(file)
        self.row = row
        self.column = column
        self.value = None if value is None else str(value)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        place += [f"row {self.row}"] if self.row is not None else []
        place += [f"column {self.column!r}"] if self.column is not None else []
        text = f"{', '.join(place)}: {self.what}" if place else self.what
        text += f" (found {self.value!r})" if self.value is not None else ""
        text = text if text.endswith((".", "!", "?")) else text + "."
        return f"{text} {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, object]:
        """The error as plain values, for `--json`: kind, message and whichever of the places are known."""
        places = {"what": self.what, "file": self.file, "row": self.row, "column": self.column}
        places |= {"value": self.value, "hint": self.hint}
        known = {key: value for key, value in places.items() if value is not None}
        return {"kind": type(self).__name__, "message": str(self), **known}


class InputError(RecurraError, ValueError):
    """The data cannot be used as they are. Exit code 1."""


class ModelError(InputError):
    """A model folder is damaged, of another kind, or newer than this recurra. Exit code 1."""


class UsageError(RecurraError, ValueError):
    """An argument or an option does not fit. Exit code 2."""

    exit_code: ClassVar[int] = 2


class NotFittedError(UsageError, AttributeError):
    """An estimator was asked before it was fitted. Exit code 2."""


class MissingExtraError(RecurraError, ImportError):
    """A package that this verb needs is not installed. Exit code 2."""

    exit_code: ClassVar[int] = 2

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtraError:
        """The error for a missing `package` that comes with `recurra[extra]`."""
        return cls(f"{package} is not installed", hint=f"Install it with: pip install 'recurra[{extra}]'.")
