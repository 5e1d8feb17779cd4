"""Spans out of tags: B-PER I-PER O is one span, of two words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "are_spans", "forbidden", "spans"]

OUTSIDE = "O"


class Span(NamedTuple):
    """Words `start` … `stop` - 1 of a sentence, and what they are."""

    start: int
    stop: int
    label: str


def are_spans(tags: Iterable[str]) -> bool:
    """Whether these tags, all that there are, tell spans: O, B-… and I-…, with O and a B at least."""
    known = set(tags)
    marks = {tag[:2] for tag in known - {OUTSIDE}}
    return OUTSIDE in known and "B-" in marks and marks <= {"B-", "I-"} and all(tag != "B-" for tag in known)


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence's tags, as the CoNLL 2000 and 2003 tasks count them (conlleval).

    An I that follows nothing of its label begins a span.

    >>> spans(["B-PER", "I-PER", "O", "I-LOC"])
    [Span(start=0, stop=2, label='PER'), Span(start=3, stop=4, label='LOC')]
    """
    found: list[Span] = []
    start, label = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        inside = tag.startswith("I-") and tag[2:] == label
        if label and not inside:
            found.append(Span(start, place, label))
            label = ""
        if tag[:2] in ("B-", "I-") and not inside:
            start, label = place, tag[2:]
    return found


def forbidden(tags: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may not follow which (K, K), and which may not come first (K,): an I needs a B or I of its label."""
    after = np.zeros((len(tags), len(tags)), bool)
    for column, tag in enumerate(tags):
        if tag.startswith("I-"):
            after[:, column] = [before[:1] not in "BI" or before[2:] != tag[2:] for before in tags]
    return after, np.array([tag.startswith("I-") for tag in tags], bool)
