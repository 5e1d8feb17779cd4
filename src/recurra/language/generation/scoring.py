"""How surprising a text is to a language model. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.streaming.run import Session

__all__ = ["Score", "log_softmax", "score", "scored"]

AT_ONCE = 256  # tokens: a bound on memory


@dataclass(frozen=True)
class Score:
    """How surprising a text is, token by token.

    Attributes
    ----------
    tokens: the text of each token; one that ends inside a character shows U+FFFD.
    nats: (T,) the surprise of each: -log of its probability after all before it.
    bytes: of the text in UTF-8.
    words: of the text, between spaces.
    """

    tokens: list[str]
    nats: NDArray[np.float64]
    bytes: int
    words: int

    @property
    def total(self) -> float:
        """Nats of the whole text."""
        return float(self.nats.sum())

    @property
    def bits_per_byte(self) -> float:
        """Comparable between tokenizers; 0 for an empty text."""
        return self.total / math.log(2) / max(1, self.bytes)

    @property
    def perplexity(self) -> float:
        """For each token; not comparable between tokenizers."""
        return math.exp(self.total / max(1, len(self.nats)))

    @property
    def perplexity_per_word(self) -> float:
        """For each word between spaces; comparable between tokenizers, infinite where it is beyond numbers."""
        nats = self.total / max(1, self.words)
        return math.exp(nats) if nats < 700 else math.inf

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "tokens": len(self.nats),
            "bytes": self.bytes,
            "words": self.words,
            "nats": self.total,
            "bits_per_byte": self.bits_per_byte,
            "perplexity": self.perplexity,
        }


def log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-probabilities (…, V) of scores (…, V)."""
    x = np.asarray(scores, np.float64)
    x = x - x.max(-1, keepdims=True)
    found: NDArray[np.float64] = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return found


def score(session: Session, tokens: NDArray[np.int64], pieces: Sequence[bytes], text: str) -> Score:
    """Read a text's tokens into a session that has begun, and say how surprising each is."""
    nats = np.zeros(len(tokens))
    before = log_softmax(session.scores)
    for start in range(0, len(tokens), AT_ONCE):
        part = tokens[start : start + AT_ONCE]
        after = log_softmax(session.read(part, every=True))
        known = np.concatenate([before[None], after[:-1]])
        nats[start : start + len(part)] = -known[np.arange(len(part)), part]
        before = after[-1]
    return scored(nats, tokens, pieces, text)


def scored(nats: NDArray[np.float64], tokens: NDArray[np.int64], pieces: Sequence[bytes], text: str) -> Score:
    """The score of a text from its tokens' surprises."""
    shown = [pieces[token].decode(errors="replace") for token in tokens]
    return Score(shown, nats, len(text.encode()), len(text.split()))
