"""The editor of `recurra type`: what is likely to come stands behind the cursor in grey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import InputError, MissingExtraError
from recurra.language.suggestion.reading import split
from recurra.sources.files import atomic_write

try:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
    from prompt_toolkit.key_binding import KeyBindings
except ImportError as error:
    raise MissingExtraError.of("prompt_toolkit", "type") from error

if TYPE_CHECKING:
    from recurra.language.suggestion import Keyboard

__all__ = ["edit", "read", "write"]

MARKS = ",.;:!?"  # stand right behind a word, before the space that a completion has left
LARGEST = 10 << 20  # bytes of a text that is edited


def read(file: Path) -> str:
    """The text of a file, "" where there is none yet; InputError for what is no text in UTF-8, or too much of it."""
    try:
        if file.exists() and file.stat().st_size > LARGEST:
            raise InputError(
                f"the file has more than {LARGEST >> 20} MB", file=file, hint="Give a smaller one."
            )
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except IsADirectoryError as error:
        raise InputError("this is a folder, a file was expected", file=file) from error
    except UnicodeError as error:
        raise InputError("the file is no text in UTF-8", file=file, hint="Convert it first.") from error


def write(file: Path, text: str) -> None:
    """Put the text in the place of the file's, at once or not at all."""
    with atomic_write(file) as fresh:
        fresh.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")


def edit(keyboard: Keyboard, before: str = "", *, learn: bool = True, **terminal: Any) -> str | None:
    """Let a person type on from a text: the text in the end, or None where it was dropped.

    learn: learn each line when it is ended, and the last one; `terminal`: prompt_toolkit's input and output.
    """
    keys = KeyBindings()
    learnt = len(before)
    spaced: int | None = None  # how long the text was behind a space that was not typed

    def choices(text: str) -> list[str]:
        return [each.text for each in keyboard.suggest(text)]

    class Grey(AutoSuggest):
        def get_suggestion(self, buffer: Any, document: Any) -> Suggestion | None:
            prefix = split(document.text)[1]
            rests = (each[len(prefix) :] for each in choices(document.text) if _goes_on(each, prefix))
            rest = next(rests, None)
            return None if rest is None or not document.is_cursor_at_the_end else Suggestion(rest)

    def take(event: Any, number: int | None) -> None:
        """Take a choice, or with None the grey one, in the place of what is typed of the word."""
        nonlocal spaced
        buffer = event.current_buffer
        text = buffer.document.text_before_cursor
        prefix = split(text)[1]
        found = choices(text)
        if number is None:
            found, number = [each for each in found if _goes_on(each, prefix)], 0
        if number < len(found):
            buffer.delete_before_cursor(len(prefix))
            buffer.insert_text(f"{found[number]} ")
            spaced = len(buffer.document.text_before_cursor)

    @keys.add("tab")
    def _(event: Any) -> None:
        take(event, None)

    for number in range(3):
        keys.add("escape", str(number + 1))(lambda event, number=number: take(event, number))

    for mark in MARKS:

        @keys.add(mark)
        def _(event: Any, mark: str = mark) -> None:
            nonlocal spaced
            buffer = event.current_buffer
            text = buffer.document.text_before_cursor
            behind = text.endswith(" ") and spaced == len(text)
            if behind:
                buffer.delete_before_cursor(1)
            buffer.insert_text(f"{mark} " if behind else mark)
            spaced = len(text) + 1 if behind else None

    @keys.add(" ")
    def _(event: Any) -> None:
        nonlocal spaced
        if spaced != len(event.current_buffer.document.text_before_cursor):  # else it is there already
            event.current_buffer.insert_text(" ")
        spaced = None

    @keys.add("enter")
    def _(event: Any) -> None:
        nonlocal learnt
        buffer = event.current_buffer
        text = buffer.document.text_before_cursor
        if learn and buffer.document.is_cursor_at_the_end and len(text) > learnt:
            keyboard.learn(text[learnt:])
            learnt = len(text)
        buffer.insert_text("\n")

    @keys.add("c-s")
    @keys.add("c-d")
    def _(event: Any) -> None:
        event.app.exit(result=event.current_buffer.text)

    def toolbar() -> str:
        found = choices(session.default_buffer.document.text_before_cursor)
        shown = "   ".join(f"{number} {each}" for number, each in enumerate(found, start=1))
        return f" {shown}    Tab takes the grey one, Alt-1 … 3 these; Ctrl-S keeps the text, Ctrl-C drops it"

    session: PromptSession[str] = PromptSession(
        auto_suggest=Grey(), key_bindings=keys, multiline=True, bottom_toolbar=toolbar, **terminal
    )
    try:
        text = session.prompt("", default=before)
    except KeyboardInterrupt:
        return None
    if learn and len(text) > learnt:
        keyboard.learn(text[learnt:])
    return text


def _goes_on(word: str, prefix: str) -> bool:
    return word.lower().startswith(prefix.lower()) and len(word) > len(prefix)
