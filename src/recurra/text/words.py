"""Words and punctuation: one split for all that works on words, the same in every release of Unicode.

The classes of characters are written out by their blocks rather than asked of Python's tables, which change with its
version: a network would then read other words than it was trained on. What is neither space, digit, punctuation nor
symbol is a letter, so that accents, vowel signs and scripts to come stay in their words.
"""

from __future__ import annotations

import re

__all__ = ["BLANK", "BREAK", "DIGIT", "LETTER", "MARK", "spans", "words"]

# The insides of character classes; literal characters, so that other regular expression engines read them alike.
BREAK = "\n\r"
BLANK = "\t\x0b\x0c\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
DIGIT = "0-9"
MARK = (
    r"\!-\/\:-\@\[-\`\{-\~"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xa1-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7"
    "\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e3f\u0e5a\u0e5b"
    "\u2010-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u206f\u20a0-\u20cf\u2190-\u2bff\u2e00-\u2e7f"
    "\u3001-\u3004\u3008-\u3020\u3030\u30fb\ufd3e\ufd3f\ufe00-\ufe1f\ufe30-\ufe6f\ufeff"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0-\uffee\ufff9-\uffff"
    "\U0001f000-\U0001faff"
)
LETTER = f"^{BREAK}{BLANK}{DIGIT}{MARK}"

_WORD = re.compile(
    f"[{DIGIT}]+(?:[.,:][{DIGIT}]+)+(?![{LETTER}])"  # 3.50, 1,000, 12:30
    f"|(?:[{DIGIT}]|[{LETTER}])+(?:['’][{LETTER}]+)*"  # sea, don't, o'clock, 3rd
    r"|\.{2,}|\-{2,}"
    f"|[{MARK}]"
)


def words(text: str) -> list[str]:
    """The words, numbers and punctuation marks of a text, in order; what is between them is white space.

    >>> words("Don't pay 3.50, it's free…")
    ["Don't", 'pay', '3.50', ',', "it's", 'free', '…']
    """
    return _WORD.findall(text)


def spans(text: str) -> list[tuple[int, int]]:
    """Where each of the `words` begins and ends in the text, in characters."""
    return [match.span() for match in _WORD.finditer(text)]
