"""Tokenizers: text as numbers and back, without loss, whatever the text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.text import tokenizer_file
from recurra.text.merging import Merging
from recurra.text.splitting import PATTERNS, split
from recurra.text.vocabulary import learn, special_names

__all__ = ["Tokenizer"]


class Tokenizer:
    """Turns text into tokens and back; made by `train` or `from_json`.

    A text is split into words, and a word that is in the vocabulary is one token. Any other word is its UTF-8 bytes,
    which the merges that were learnt join pair by pair (kind "bpe": Sennrich et al. 2016, on bytes as GPT-2 does).
    All 256 bytes are tokens, so that every text can be written. A word has the one space before it.

    Attributes
    ----------
    kind: "bpe"; "words" (words and punctuation); "spaced" (what stands between spaces, for text that is split into
        words already); "characters"; or "bytes".
    pieces: the bytes that each token stands for; none for special tokens. After the special tokens, by falling
        frequency in the text that it was trained on.
    specials: names of the special tokens, which text never gives; the first one, `END`, stands between documents.
    merges: pairs of tokens in the order in which they are joined.
    """

    end = 0

    def __init__(
        self,
        kind: str,
        specials: Sequence[str],
        pieces: Sequence[bytes],
        merges: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Use `train` or `from_json`; pieces: those of the tokens that are not special."""
        self.kind = kind
        self.specials = tuple(specials)
        self.pieces = [b""] * len(self.specials) + list(pieces)
        self.merges = tuple(merges)
        self._pattern = re.compile(PATTERNS[kind]) if PATTERNS[kind] else None
        self._words = Merging(self.pieces, self.merges)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        kind: str = "bpe",
        size: int | None = None,
        specials: Sequence[str] = (),
    ) -> Tokenizer:
        """Learn a vocabulary of at most `size` tokens from texts, which are gone through once.

        size: with the special tokens and the 256 bytes; 8192 for "bpe", 20,000 for words, for characters all that are
            there, if None. Fewer where the texts have no more.
        specials: names of special tokens beside `END`.

        Raises UsageError for a kind, a size or names that cannot be, and MissingExtraError for kind "bpe" without
        the package tokenizers (`recurra[train]`).
        """
        return cls(*learn(texts, kind, size, specials))

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.pieces)

    def special(self, name: str) -> int:
        """The special token of this name; UsageError if there is none."""
        if name not in self.specials:
            hint = f"There are: {', '.join(self.specials)}."
            raise UsageError("the tokenizer has no such special token", value=name, hint=hint)
        return self.specials.index(name)

    def with_specials(self, names: Sequence[str]) -> Tokenizer:
        """The same tokenizer with more special tokens, behind its own; all other tokens' numbers rise by as many.

        Raises UsageError for names that cannot be.
        """
        specials, more = special_names([*self.specials[1:], *names]), len(names)
        pieces = self.pieces[len(self.specials) :]
        if taken := set(map(tokenizer_file.shown, pieces)).intersection(names):
            raise UsageError("a special token has the name of a word in the vocabulary", value=min(taken))
        return Tokenizer(self.kind, specials, pieces, [(a + more, b + more) for a, b in self.merges])

    def encode(self, text: str) -> NDArray[np.int32]:
        """The tokens of a text; never a special one.

        Raises InputError for a str with half a surrogate pair in it, which is no Unicode text.
        """
        try:
            if self._pattern is None:
                return self._words.bytes[np.frombuffer(text.encode(), np.uint8)]
            parts = [b"".join(map(self._words.__getitem__, part)) for part in split(self._pattern, text)]
        except UnicodeEncodeError as error:
            place = re.search("[\ud800-\udfff]", text)
            what = f"the text is no Unicode at character {place.start() if place else error.start}"
            raise InputError(what, value=repr(error.object[error.start]), hint="Replace it.") from error
        return np.frombuffer(b"".join(parts), np.int32)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; special ones give nothing, bytes that are no UTF-8 give U+FFFD.

        Raises UsageError for a number that is no token.
        """
        numbers = [int(token) for token in tokens]
        if numbers and not (min(numbers) >= 0 and max(numbers) < self.size):
            found = next(number for number in numbers if not 0 <= number < self.size)
            raise UsageError(f"tokens are numbers from 0 to {self.size - 1}", value=found)
        return b"".join([self.pieces[number] for number in numbers]).decode("utf-8", errors="replace")

    def to_json(self) -> str:
        """The tokenizer as the text of a tokenizer.json, which Hugging Face's tokenizers read, too."""
        return tokenizer_file.write(self.kind, PATTERNS[self.kind], self.specials, self.pieces, self.merges)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read what `to_json` gave. Raises ModelError for anything else: the file may come from a stranger."""
        return cls(*tokenizer_file.read(text, PATTERNS))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of `to_json`, in hexadecimal: the same for equal tokenizers only."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Tokenizer of {self.size} {self.kind}>"
