"""How text is cut into the words that tokens never reach across."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recurra.text.words import BLANK, BREAK, DIGIT, LETTER, MARK

__all__ = ["PATTERNS", "split"]

_SPACES = f"|[{BREAK}]{{1,32}}|[{BLANK}]{{1,32}}(?=[{BLANK}{BREAK}])|[{BLANK}]{{1,32}}"
# By kind of tokenizer. They stand in every tokenizer.json: one that changes is a new kind. A match is short and looks
# little ahead, less than SIGHT characters together, so that joining pieces is quick and long texts can be cut.
PATTERNS = {
    "bpe": (
        f"['’](?:s|t|re|ve|m|ll|d)(?![{LETTER}])"
        f"| ?[{LETTER}]{{1,32}}| ?[{DIGIT}]{{1,3}}| ?[{MARK}]{{1,32}}{_SPACES}"
    ),
    "words": f" ?[{DIGIT}]{{1,16}}| ?[{LETTER}]{{1,32}}(?:['’][{LETTER}]{{1,32}})?| ?[{MARK}]{_SPACES}",
    "spaced": f" ?[^{BREAK}{BLANK}]{{1,64}}| ?[{BREAK}]|[{BLANK}]",
    "characters": "[\x00-\U0010ffff]",
    "bytes": "",
}
SIGHT = 80
WINDOW = 1 << 20  # characters


def split(pattern: re.Pattern[str], text: str, window: int = WINDOW) -> Iterator[list[str]]:
    """The words of a text, some at a time, so that a long text takes little memory beside itself."""
    start = 0
    while len(text) - start > window:
        stop = start + window
        words = pattern.findall(text, start, stop)
        while stop > start + window - SIGHT:  # they might be longer without the window's end
            stop -= len(words.pop())
        yield words
        start = stop
    yield pattern.findall(text, start)
