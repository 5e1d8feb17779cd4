"""What a language model learns from: documents, laid one after another in an order that changes with each epoch.

Legend: D documents, or pieces of them; a line is all of them one after another, each behind its head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Line", "Pieces"]

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents in one array of tokens, which may lie in a mapped file.

    Attributes
    ----------
    tokens: all tokens, whole numbers.
    start, stop: (D,) where each piece lies in them.
    heads: (K, H) what may stand before a piece: the end of the text before it, and the token of its kind; the last
        one stands for any kind.
    head: (D,) which of them stands before each piece.
    """

    tokens: NDArray[Any]
    start: Numbers
    stop: Numbers
    heads: Numbers
    head: Numbers

    def __len__(self) -> int:
        return len(self.start)

    @property
    def size(self) -> int:
        """How many tokens they are, heads included."""
        return int((self.stop - self.start).sum() + len(self) * self.heads.shape[1])

    def part(self, chosen: Numbers) -> Pieces:
        """Some of them."""
        return Pieces(self.tokens, self.start[chosen], self.stop[chosen], self.heads, self.head[chosen])

    def text(self) -> NDArray[np.int64]:
        """The tokens of all pieces, without heads."""
        parts = [self.tokens[a:b] for a, b in zip(self.start, self.stop, strict=True)]
        return np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64)


class Line:
    """Pieces one after another: `order` (D,) says in which order, None as they are."""

    def __init__(self, pieces: Pieces, order: Numbers | None = None) -> None:
        self.pieces = pieces if order is None else pieces.part(order)
        lengths = self.pieces.stop - self.pieces.start + pieces.heads.shape[1]
        self.begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.begins[-1])

    def begins_at(self, place: Numbers) -> NDArray[np.bool_]:
        """Whether a piece begins at each place (N,), counted round and round."""
        place = place % len(self)
        found: NDArray[np.bool_] = self.begins[np.searchsorted(self.begins, place, side="right") - 1] == place
        return found

    def read(self, place: int, count: int) -> NDArray[np.int64]:
        """`count` tokens from a place on, round and round."""
        found, filled = np.empty(count, np.int64), 0
        pieces, width = self.pieces, self.pieces.heads.shape[1]
        place %= len(self)
        number = int(np.searchsorted(self.begins, place, side="right")) - 1
        while filled < count:
            inside = place - int(self.begins[number])
            if inside < width:
                part: NDArray[Any] = pieces.heads[pieces.head[number], inside:]
            else:
                first = int(pieces.start[number]) + inside - width
                part = pieces.tokens[first : min(int(pieces.stop[number]), first + count - filled)]
            part = part[: count - filled]
            found[filled : filled + len(part)] = part
            filled, place = filled + len(part), place + len(part)
            if place == self.begins[number + 1]:
                number += 1
                if number == len(pieces):
                    number, place = 0, 0
        return found
