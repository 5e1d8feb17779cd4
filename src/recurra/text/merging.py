"""Words as tokens: those of the vocabulary at once, others by joining bytes, and remembered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

__all__ = ["Merging"]

REMEMBERED = 1 << 20  # words


class Merging(dict[str, bytes]):
    """The tokens of each word, as the memory of an array of int32; found out when a word is met first.

    pieces: the bytes of each token, none for special tokens; all single bytes are among them.
    merges: pairs of tokens whose joined bytes are a piece, the first to join first.
    """

    def __init__(self, pieces: Sequence[bytes], merges: Sequence[tuple[int, int]]) -> None:
        self._ids = {piece: token for token, piece in enumerate(pieces) if piece}
        self.bytes = np.array([self._ids[bytes([byte])] for byte in range(256)], np.int32)
        self._joined = {
            pair: (rank, self._ids[pieces[pair[0]] + pieces[pair[1]]]) for rank, pair in enumerate(merges)
        }

    def __missing__(self, word: str) -> bytes:
        if len(self) >= REMEMBERED:
            self.clear()
        data = word.encode()
        known = self._ids.get(data)
        tokens = np.array(self.merge(data) if known is None else [known], np.int32)
        self[word] = memory = tokens.tobytes()
        return memory

    def merge(self, data: bytes) -> list[int]:
        """Join the pair that was learnt first, its leftmost place first, until no pair is left."""
        tokens: list[int] = [int(self.bytes[byte]) for byte in data]
        joined = self._joined
        while joined and len(tokens) > 1:
            found = [
                (*joined[pair], place)
                for place, pair in enumerate(itertools.pairwise(tokens))
                if pair in joined
            ]
            if not found:
                break
            _, token, place = min(found)
            tokens[place : place + 2] = [token]
        return tokens
