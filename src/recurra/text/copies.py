"""Finds in a text what repeats other texts over long runs, from a small index of them (winnowing).

Schleimer, Wilkerson, Aiken: Winnowing: local algorithms for document fingerprinting (SIGMOD 2003).
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from recurra.errors import ModelError, UsageError
from recurra.text.documents import Document
from recurra.text.words import BLANK, BREAK, MARK

__all__ = ["Copy", "CopyIndex"]

_BITS = 24  # of each fingerprint that are stored; those above are the number of its bucket
_FULL = 16  # fingerprints in a bucket, about
_BLOCK = 1 << 18  # windows at a time
# Of the scripts that put no space between words, each character is one.
_CLOSE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = re.compile(f"([{_CLOSE}]|[^{BREAK}{BLANK}{MARK}{_CLOSE}]+)")
_ARRAYS = {"low": np.uint16, "high": np.uint8, "buckets": np.int64, "starts": np.int64, "names": np.uint8}

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Copy:
    """A run of words that also stands in a document; up to some differing words in its midst.

    Attributes
    ----------
    start, stop: where it is in the text, in characters.
    document: the document's number.
    where: the document's name: the file's, with its folder's and the row.
    offset, length: where it is in the document, in characters; the length is that in the text where marks or spaces
        differ.
    words: how many of its words are sure to be the same.
    """

    start: int
    stop: int
    document: int
    where: str
    offset: int
    length: int
    words: int


class CopyIndex:
    """Knows of documents enough to find every run of `run` words or more that another text has in common with them.

    Words are compared without capitals and punctuation. Of every `run` words of a document one fingerprint or more is
    kept: the hash of half of them, and where it first stands. For run 15 that is 0.3 bytes for a character of English,
    for 31 about half.

    Attributes
    ----------
    run: how many words in common are surely found, odd, at least 3.
    """

    def __init__(self, run: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Use `build` or `from_arrays`."""
        self.run = run
        self._size = (run + 1) // 2  # words in a fingerprint, and fingerprints in a window
        self._words = _WordHashes()
        self._arrays = dict(arrays)
        self._names = bytes(arrays["names"]).decode().split("\n")

    @classmethod
    def build(cls, documents: Iterable[Document], run: int = 15) -> CopyIndex:
        """Index documents, which are gone through once. Raises UsageError for a run that is even or below 3."""
        if run < 3 or run % 2 == 0 or run > 1001:
            raise UsageError("the run of words is an odd number from 3 to 1001", value=run)
        size = (run + 1) // 2
        names: list[str] = []
        starts = [0]
        found: list[tuple[Hashes, NDArray[np.int64]]] = []
        before, more, known = "", False, _WordHashes()
        for document in documents:
            if not more:
                names.append(_name(document.where))
                starts.append(starts[-1])
            text = before + document.text
            begins, _, hashes = _hashes(text, size, known)
            kept = _winnow(hashes, size)
            found.append((hashes[kept], begins[kept] + (starts[-1] - len(before))))
            starts[-1] += len(document.text)
            more = document.more
            before = (
                text[_tail(begins, size, len(text)) :] if more else ""
            )  # a run may go on in the next part
        return cls(run, _packed(found, starts, names))

    def find(self, text: str, least: int = 0) -> list[Copy]:
        """The copies in a text, in order.

        Of every `run` words of the text that stand in a document, half or more are in a copy. A longer run is one copy,
        in which all but run - 1 of its words are sure, unless parts of it stand in several places. Words are told by
        hashes; of a million fingerprints that are in no document, two at most are taken for one that is.

        least: leave out copies of which fewer words are sure.
        """
        begins, stops, hashes = _hashes(text, self._size, self._words)
        chains = self._chains(self._known(hashes), begins)
        copies = [self._copy(chain, begins, stops) for chain in chains]
        return _outermost([copy for copy in copies if copy.words >= least])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The index as arrays, for a model folder."""
        return dict(self._arrays)

    @classmethod
    def from_arrays(cls, run: int, arrays: Mapping[str, NDArray[Any]]) -> CopyIndex:
        """The index that `to_arrays` gave; ModelError for arrays that are none."""
        if not isinstance(run, int) or not 3 <= run <= 1001 or run % 2 == 0:
            raise ModelError("the index of copies has a wrong run", value=run)
        _check(arrays)
        return cls(run, arrays)

    def _known(self, hashes: Hashes) -> list[_Hit]:
        """Which of a text's fingerprints are in the index, and where each stands first in the documents."""
        buckets, low, high = (self._arrays[name] for name in ("buckets", "low", "high"))
        places, starts = self._arrays["places"], self._arrays["starts"]
        bits = (len(buckets) - 1).bit_length() - 1
        tops, rests = _parts(hashes, bits)
        hits = []
        for number, (top, rest) in enumerate(zip(tops.tolist(), rests.tolist(), strict=True)):
            first, last = int(buckets[top]), int(buckets[top + 1])
            same = np.flatnonzero((low[first:last] == rest & 0xFFFF) & (high[first:last] == rest >> 16))
            if len(same):
                place = int(places[first + same[0]])
                hits.append(_Hit(number, place, int(np.searchsorted(starts, place, side="right")) - 1))
        return hits

    def _chains(self, hits: list[_Hit], begins: NDArray[np.int64]) -> list[list[_Hit]]:
        """Hits that follow one another in the text as in a document, so near that one word differs at most."""
        chains: list[list[_Hit]] = []
        near: list[list[_Hit]] = []
        for hit in hits:
            near = [chain for chain in near if hit.number - chain[-1].number < 3 * self._size]
            for chain in near:
                before = chain[-1]
                ahead = int(begins[hit.number] - begins[before.number])
                beside = abs(hit.place - before.place - ahead) <= 2 + ahead // 4
                if hit.document == before.document and hit.place > before.place and beside:
                    chain.append(hit)
                    break
            else:
                near.append([hit])
                chains.append(near[-1])
        return chains

    def _copy(self, chain: list[_Hit], begins: NDArray[np.int64], stops: NDArray[np.int64]) -> Copy:
        first, last = chain[0], chain[-1]
        gaps = (min(self._size, after.number - hit.number) for hit, after in itertools.pairwise(chain))
        return Copy(
            start=int(begins[first.number]),
            stop=int(stops[last.number]),
            document=first.document,
            where=self._names[first.document],
            offset=first.place - int(self._arrays["starts"][first.document]),
            length=last.place - first.place + int(stops[last.number] - begins[last.number]),
            words=sum(gaps) + self._size,
        )


class _Hit(NamedTuple):
    """A fingerprint of the text that is in the index: its number, its place among all documents, and in which."""

    number: int
    place: int
    document: int


def _name(where: str) -> str:
    """The end of a document's place: a model folder need not tell how its maker's folders are called."""
    return "/".join(" ".join(where.split()).replace("\\", "/").split("/")[-2:])


def _hashes(text: str, size: int, known: _WordHashes) -> tuple[NDArray[np.int64], NDArray[np.int64], Hashes]:
    """Where every run of `size` words begins and ends, and its hash."""
    parts = _WORDS.split(text)
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    ends = np.cumsum(lengths)[1::2]
    begins = ends - lengths[1::2]
    words = np.frombuffer(b"".join(map(known.__getitem__, parts[1::2])), np.uint64)
    count = max(0, len(words) - size + 1)
    hashes = np.zeros(count, np.uint64)
    for number in range(size):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += words[number : number + count]
    hashes ^= hashes >> np.uint64(31)  # so that all bits depend on all words
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(29)
    return begins[:count], ends[size - 1 :], hashes


class _WordHashes(dict[str, bytes]):
    """The hash of each word without its capitals; the same in every process."""

    def __missing__(self, word: str) -> bytes:
        if len(self) >= 1 << 20:
            self.clear()
        data = word.lower().encode(errors="replace")
        self[word] = found = hashlib.blake2b(data, digest_size=8).digest()
        return found


def _winnow(hashes: Hashes, size: int) -> NDArray[np.int64]:
    """Which hashes are kept: the least of every `size` that follow one another, the last of equal ones."""
    if len(hashes) < size:
        return np.empty(0, np.int64)
    windows = sliding_window_view(hashes, size)[:, ::-1]
    starts = range(0, len(windows), _BLOCK)
    least = [windows[start : start + _BLOCK].argmin(axis=1) for start in starts]
    return np.unique(np.arange(size - 1, len(hashes)) - np.concatenate(least))


def _tail(begins: NDArray[np.int64], size: int, length: int) -> int:
    """From where on a part's text can be the beginning of a run that ends in the next part."""
    return int(begins[max(0, len(begins) - size + 1)]) if len(begins) else max(0, length - (1 << 16))


def _parts(hashes: Hashes, bits: int) -> tuple[Hashes, Hashes]:
    """The number of each hash's bucket, and what is stored of it."""
    kept = hashes >> np.uint64(64 - bits - _BITS)
    return kept >> np.uint64(_BITS), kept & np.uint64((1 << _BITS) - 1)


def _packed(
    found: list[tuple[Hashes, NDArray[np.int64]]], starts: list[int], names: list[str]
) -> dict[str, NDArray[Any]]:
    """The index's arrays: fingerprints by bucket and hash, each at its first place."""
    hashes = np.concatenate([np.empty(0, np.uint64), *(part for part, _ in found)])
    places = np.concatenate([np.empty(0, np.int64), *(part for _, part in found)])
    bits = max(0, (len(hashes) // _FULL).bit_length() - 1) if len(hashes) else 0
    kept = hashes >> np.uint64(64 - bits - _BITS)
    kept, first = np.unique(kept, return_index=True)
    places = places[first]
    tops, rests = kept >> np.uint64(_BITS), kept & np.uint64((1 << _BITS) - 1)
    return {
        "low": (rests & np.uint64(0xFFFF)).astype(np.uint16),
        "high": (rests >> np.uint64(16)).astype(np.uint8),
        "places": places.astype(np.uint32 if starts[-1] < 1 << 32 else np.uint64),
        "buckets": np.searchsorted(tops, np.arange((1 << bits) + 1, dtype=np.uint64)).astype(np.int64),
        "starts": np.array(starts, np.int64),
        "names": np.frombuffer("\n".join(names).encode(errors="replace"), np.uint8),
    }


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ModelError for arrays that would be read beyond their ends."""
    try:
        if any(arrays[name].ndim != 1 or arrays[name].dtype != kind for name, kind in _ARRAYS.items()):
            raise ValueError("the types are wrong")
        places, buckets, starts = arrays["places"], arrays["buckets"], arrays["starts"]
        if places.dtype not in (np.uint32, np.uint64) or not len(places) == len(arrays["low"]) == len(
            arrays["high"]
        ):
            raise ValueError("the sizes are wrong")
        if len(buckets) < 2 or (len(buckets) - 1).bit_count() != 1 or len(buckets) > 1 << 32:
            raise ValueError("the number of buckets is wrong")
        for rising, last in ((buckets, len(places)), (starts, None)):
            if (
                not len(rising)
                or rising[0] != 0
                or (np.diff(rising) < 0).any()
                or last not in (None, rising[-1])
            ):
                raise ValueError("the buckets or documents do not follow one another")
        if len(places) and int(places.max()) >= starts[-1]:
            raise ValueError("a place is beyond the documents")
        if bytes(arrays["names"]).decode().count("\n") + 1 != max(1, len(starts) - 1):
            raise ValueError("the names are not as many as the documents")
    except (LookupError, ValueError) as error:
        raise ModelError(f"the index of copies is damaged: {error}") from error


def _outermost(copies: list[Copy]) -> list[Copy]:
    """The copies that are not within another, in order."""
    found: list[Copy] = []
    for copy in sorted(copies, key=lambda copy: (copy.start, -copy.stop)):
        if not found or copy.stop > found[-1].stop:
            found.append(copy)
    return found
