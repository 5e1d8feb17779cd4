"""A corpus: documents as tokens, in one array that may be larger than memory, made once and kept in a cache."""

from __future__ import annotations

import json
import os
import shutil
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from recurra.console import progress
from recurra.errors import InputError, UsageError
from recurra.sources.files import prepare_folder, sync
from recurra.text.documents import Documents
from recurra.text.tokenizer import Tokenizer

__all__ = ["Corpus", "Part"]

VERSION = 1
_TOKENS, _STARTS, _KINDS, _ABOUT = "tokens.bin", "starts.bin", "kinds.bin", "corpus.json"
_STALE = 3600  # seconds for which nobody has written to a cache in the making: its process was killed
_FEW = 20  # documents; of fewer, the ends are held out
_COPY = "Remove this folder: it is made again from the documents."


@dataclass(frozen=True)
class Part:
    """Some of the documents of a corpus, or pieces of them, to train on or to test on.

    Attributes
    ----------
    spans: where each begins and ends in the corpus's tokens, (n, 2) int64. One that begins with a document begins
        with its end token; what follows its last token is always the end token or the rest of the document.
    kinds: each one's number in the corpus's `kinds`, -1 for none, (n,) int32.
    """

    spans: NDArray[np.int64]
    kinds: NDArray[np.int32]

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents as tokens; made by `make`.

    Attributes
    ----------
    tokens: all documents, one after another, each with the end token before it, and an end token after the last;
        (n,) uint16, or uint32 for a vocabulary beyond 65,536; mapped from the cache's file where there is one.
    starts: where each document begins, at its end token, and where the last one ends, (documents + 1,) int64: document
        i is tokens[starts[i] : starts[i + 1]].
    kinds: the labels that documents have, sorted.
    kind_of: each document's number in `kinds`, -1 for none, (documents,) int32.
    """

    tokens: NDArray[np.uint16] | NDArray[np.uint32]
    starts: NDArray[np.int64]
    kinds: tuple[str, ...]
    kind_of: NDArray[np.int32]

    @classmethod
    def make(cls, documents: Documents, tokenizer: Tokenizer, cache: str | Path | None = None) -> Corpus:
        """Turn documents into tokens, or take those from the cache that the same documents and tokenizer gave.

        A bar shows tokens per second and the end time. Memory does not grow with the corpus where there is a cache.

        cache: a folder for caches; in memory, if None.

        Raises what the documents raise (InputError), and InputError for a cache that cannot be written or is damaged.
        """
        if cache is None:
            return _in_memory(documents, tokenizer)
        folder = Path(cache) / _name(documents, tokenizer)
        if not folder.is_dir():
            prepare_folder(Path(cache))
            _write(documents, tokenizer, folder)
        return _read(folder, tokenizer)

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return len(self.starts) - 1

    def split(self, held_out: float = 0.05, seed: int = 0) -> tuple[Part, Part]:
        """What to train on and what to hold out: whole documents, drawn at random with the seed.

        Of a corpus with fewer than 20 documents, or with one that is half of it, the end of each is held out instead.

        held_out: the share of all tokens that is held out, above 0 and below 1; a little more, as documents are whole.

        Raises UsageError for another share, and for a corpus that has too few tokens to hold one out.
        """
        if not 0 < held_out < 1:
            raise UsageError("the share that is held out is above 0 and below 1", value=held_out)
        spans = np.stack([self.starts[:-1], self.starts[1:]], axis=1)
        lengths = spans[:, 1] - spans[:, 0]
        if len(lengths) < _FEW or lengths.max() > lengths.sum() / 2:
            return self._ends(spans, lengths, held_out)
        order = np.random.default_rng(seed).permutation(len(lengths))
        count = int(np.searchsorted(np.cumsum(lengths[order]), held_out * lengths.sum())) + 1
        count = min(count, len(lengths) - 1)
        out, kept = np.sort(order[:count]), np.sort(order[count:])
        return Part(spans[kept], self.kind_of[kept]), Part(spans[out], self.kind_of[out])

    def _ends(
        self, spans: NDArray[np.int64], lengths: NDArray[np.int64], held_out: float
    ) -> tuple[Part, Part]:
        cuts = spans[:, 1] - np.ceil(lengths * held_out).astype(np.int64)
        if not (cuts - spans[:, 0] > 1).any():
            what = "there are too few tokens to hold some out"
            raise UsageError(what, value=int(lengths.sum()), hint="Give more text, or a text to validate on.")
        whole = cuts - spans[:, 0] > 1  # of a document of a token or two nothing is held out
        cuts = np.where(whole, cuts, spans[:, 1])
        kept = Part(np.stack([spans[:, 0], cuts], axis=1), self.kind_of)
        return kept, Part(np.stack([cuts, spans[:, 1]], axis=1)[whole], self.kind_of[whole])


class _Collected:
    """What is found while documents become tokens: where they begin, and their kinds."""

    def __init__(self) -> None:
        self.starts = array("q")
        self.kinds: dict[str, int] = {}
        self.kind_of = array("i")
        self.count = 0

    def tokens(self, documents: Documents, tokenizer: Tokenizer) -> Iterator[NDArray[np.generic]]:
        """All tokens, a document or a part of one at a time; a bar shows how far it is."""
        kind = _kind(tokenizer)
        began, more = time.monotonic(), False
        end = np.array([tokenizer.end], kind)
        with progress("text to tokens", max(documents.size >> 10, 1), "k") as bar:
            for document in documents:
                if not more:
                    self.starts.append(self.count)
                    number = -1 if document.kind is None else len(self.kinds)
                    self.kind_of.append(self.kinds.setdefault(document.kind, number) if document.kind else -1)
                    self.count += 1
                    yield end
                more = document.more
                try:
                    tokens = tokenizer.encode(document.text)
                except InputError as error:
                    raise InputError(error.what, file=document.where, value=error.value) from error
                self.count += len(tokens)
                yield tokens.astype(kind)
                rate = self.count / max(time.monotonic() - began, 1e-3)
                bar.update(documents.done >> 10, f"{self.count:,} tokens, {rate:,.0f} tokens/s")
        self.starts.append(self.count)
        yield end

    def numbered(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """The kinds sorted, and each document's number among them."""
        names = tuple(sorted(self.kinds))
        number = {self.kinds[name]: place for place, name in enumerate(names)}
        table = np.array([number[old] for old in range(len(names))] + [-1], np.int32)  # -1 is the last one
        return names, table[np.frombuffer(self.kind_of, np.int32)]


def _kind(tokenizer: Tokenizer) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if tokenizer.size <= 1 << 16 else np.uint32


def _in_memory(documents: Documents, tokenizer: Tokenizer) -> Corpus:
    collected = _Collected()
    tokens = np.concatenate(list(collected.tokens(documents, tokenizer)))
    names, kind_of = collected.numbered()
    return Corpus(tokens, np.array(collected.starts, np.int64), names, kind_of)


def _name(documents: Documents, tokenizer: Tokenizer) -> str:
    return f"corpus-{VERSION}-{documents.fingerprint[:24]}-{tokenizer.digest[:16]}"


def _write(documents: Documents, tokenizer: Tokenizer, folder: Path) -> None:
    """Make the cache beside its place, and put it there when it is whole and on the disk."""
    fresh = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    try:
        for left in folder.parent.glob(f".{folder.name}.new-*"):
            written = left / _TOKENS if (left / _TOKENS).exists() else left
            if left == fresh or time.time() - written.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        collected = _Collected()
        with (fresh / _TOKENS).open("wb", buffering=1 << 20) as file:
            for tokens in collected.tokens(documents, tokenizer):
                _put(file, tokens)
        names, kind_of = collected.numbered()
        (fresh / _STARTS).write_bytes(np.array(collected.starts, "<i8").tobytes())
        (fresh / _KINDS).write_bytes(kind_of.astype("<i4").tobytes())
        about = {"tokens": collected.count + 1, "documents": len(kind_of), "kinds": names}
        (fresh / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
        for part in (*fresh.iterdir(), fresh):
            sync(part)
        if folder.is_dir():  # another process was quicker
            return
        fresh.rename(folder)
        sync(folder.parent)
    except OSError as error:
        what = f"the corpus cannot be written: {error.strerror or error}"
        raise InputError(
            what, file=folder.parent, hint="Free some space, or choose another folder."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put(file: BinaryIO, tokens: NDArray[np.generic]) -> None:
    file.write(tokens.astype(tokens.dtype.newbyteorder("<"), copy=False).data)


def _read(folder: Path, tokenizer: Tokenizer) -> Corpus:
    kind = np.dtype(_kind(tokenizer)).newbyteorder("<")
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        tokens = np.memmap(folder / _TOKENS, kind, mode="r")
        starts = np.fromfile(folder / _STARTS, "<i8")
        kind_of = np.fromfile(folder / _KINDS, "<i4")
        whole = len(tokens) == about["tokens"] == starts[-1] + 1 and len(starts) == len(kind_of) + 1
        whole = (
            whole and len(kind_of) == about["documents"] and (np.diff(starts) > 0).all() and starts[0] == 0
        )
        if not whole or (len(kind_of) and not -1 <= kind_of.min() <= kind_of.max() < len(about["kinds"])):
            raise ValueError("its parts do not fit")
        return Corpus(tokens, starts, tuple(about["kinds"]), kind_of)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"the corpus's cache is damaged: {error}", file=folder, hint=_COPY) from error
