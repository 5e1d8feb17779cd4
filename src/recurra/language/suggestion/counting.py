"""From texts to a lexicon and the tokens that a network is trained on, in one pass over the texts."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError
from recurra.language.suggestion.lexicon import (
    LINE,
    MARK,
    NUMBER,
    SPECIALS,
    START,
    UNKNOWN,
    Lexicon,
    folded,
    is_word,
    pieces,
)

__all__ = ["Corpus", "count"]

ENDS = {
    "\n",
    ".",
    "!",
    "?",
    "…",
    ":",
    '"',
    "“",
    "”",
    "‘",
    "(",
    "*",
    "-",
    "—",
    "--",
    "...",
}  # a capital may follow
PART = 600  # pieces of a long text that are kept together when texts are shuffled
MARKS = 40
FEWEST = 200  # words below which nothing is learnt


@dataclass(frozen=True)
class Corpus:
    """Texts as tokens.

    Attributes
    ----------
    lexicon: the words.
    tokens: all texts, one after another.
    parts: (P, 2) where each part that is shuffled as one begins and ends; it begins with START.
    """

    lexicon: Lexicon
    tokens: NDArray[np.uint16]
    parts: NDArray[np.int64]


def count(texts: Iterable[str], vocabulary: int, dictionary: int) -> Corpus:
    """Read texts, each a document or a conversation whose turns are lines.

    - vocabulary: how many words and marks the network is to know at most.
    - dictionary: how many words are known altogether at most.

    Raises InputError where there are too few words.
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    start, line = numbers["\0"], numbers["\n"]
    stream, begins = array("I"), []
    for text in texts:
        found = pieces(_unwrapped(text.strip()))
        if not found:
            continue
        for at in range(0, len(found), PART):
            begins.append(len(stream))
            stream.append(start)
            stream.extend([numbers[piece] for piece in found[at : at + PART]])
        if found[-1] != "\n":
            stream.append(line)
    ids = np.frombuffer(stream, np.uint32) if stream else np.zeros(0, np.uint32)
    surfaces = list(numbers)
    counts = np.bincount(ids, minlength=len(surfaces))
    lexicon, table = _lexicon(surfaces, counts, ids, vocabulary, dictionary)
    bounds = np.array([*begins, len(ids)], np.int64)
    return Corpus(lexicon, table[ids].astype(np.uint16), np.stack([bounds[:-1], bounds[1:]], 1))


def _unwrapped(text: str) -> str:
    """Text whose paragraphs are set apart by empty lines may break lines anywhere: those ends are spaces."""
    if re.search(r"\n[ \t]*\r?\n", text) is None:
        return text
    return "\n".join(" ".join(each.split("\n")) for each in re.split(r"\n(?:[ \t]*\r?\n)+", text))


def _lexicon(
    surfaces: list[str],
    counts: NDArray[np.int64],
    ids: NDArray[np.uint32],
    vocabulary: int,
    dictionary: int,
) -> tuple[Lexicon, NDArray[np.int64]]:
    """The lexicon, and the token of each surface."""
    ender = np.array([each in ENDS or each == "\0" for each in surfaces])
    inside = np.bincount(ids[1:][~ender[ids[:-1]]], minlength=len(surfaces)) if len(ids) else counts
    total: defaultdict[str, int] = defaultdict(int)
    usual: dict[str, tuple[int, int, str]] = {}
    marks: list[tuple[int, str]] = []
    words = [(number, each) for number, each in enumerate(surfaces) if number > 1 and is_word(each)]
    for number, each in words:
        key = folded(each)
        total[key] += int(counts[number])
        # The most frequent writing inside of sentences; where there is none, the one without capitals.
        rank = (int(inside[number]), -sum(map(str.isupper, each)), each)
        usual[key] = max(usual.get(key, (-1, 0, "")), rank)
    known = {number for number, _ in words}
    for number, each in enumerate(surfaces):
        if number > 1 and number not in known and not any(map(str.isdigit, each)) and not each[0].isalpha():
            marks.append((int(counts[number]), each))
    if sum(total.values()) < FEWEST:
        raise InputError(
            f"a keyboard learns from {FEWEST} words at least",
            value=sum(total.values()),
            hint="Give more text.",
        )
    kept_marks = [each for _, each in sorted(marks, key=lambda m: (-m[0], m[1]))[:MARKS]]
    by_count = sorted(total, key=lambda key: (-total[key], key))[:dictionary]
    first = SPECIALS + len(kept_marks)
    token = {key: first + n for n, key in enumerate(by_count[: max(1, vocabulary - first)])}
    order = sorted(by_count)
    lexicon = Lexicon(
        [usual[key][2] for key in order],
        np.array([total[key] for key in order], np.float32),
        np.array([token.get(key, UNKNOWN) for key in order], np.int32),
        kept_marks,
    )
    table = np.empty(len(surfaces), np.int64)
    for number, each in enumerate(surfaces):
        if number < 2:
            table[number] = (START, LINE)[number]
        elif number in known:
            table[number] = token.get(folded(each), UNKNOWN)
        elif any(map(str.isdigit, each)):
            table[number] = NUMBER
        else:
            table[number] = lexicon.mark_tokens.get(each, UNKNOWN if each[0].isalpha() else MARK)
    return lexicon, table
