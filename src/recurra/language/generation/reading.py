"""From what `LanguageModel.fit` is given to tokens: documents, a tokenizer, what is held out. Needs no torch."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.language.generation.data import Line, Pieces, hold_out
from recurra.language.generation.settings import SIZES, kind_token
from recurra.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from recurra.language.generation.language_model import LanguageModel

__all__ = ["Data", "read", "start"]

FEWEST = 64  # tokens to learn from


@dataclass(frozen=True)
class Document:
    """A text, its kind and where it stands."""

    text: str
    kind: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Data:
    """What a model learns from.

    Attributes
    ----------
    tokenizer: made of the texts.
    kinds: the kinds of texts that there are.
    learned, held: what it learns from, and what it is tested on.
    digest: which data these are.
    notes: what was decided.
    """

    tokenizer: Tokenizer
    kinds: tuple[str, ...]
    learned: Pieces
    held: Pieces
    digest: str
    notes: tuple[str, ...]

    def start(self, kind: str | None) -> list[int]:
        """The tokens before a text."""
        return start(self.tokenizer, self.kinds, kind)

    def sample(self) -> NDArray[np.int64]:
        """A few tokens (4, T) as they come."""
        line = Line(self.held if len(self.held) else self.learned)
        return line.read(0, 256).reshape(4, 64)

    def quality(self, nats: float | None) -> dict[str, float] | None:
        """What `nats` a held-out token mean; None where nothing is held out."""
        if nats is None:
            return None
        tokens = self.held.text()
        raw = b"".join(self.tokenizer.pieces[token] for token in tokens.tolist())
        words = len(raw.split())
        total = nats * len(tokens)
        return {
            "nats_per_token": nats,
            "tokens": len(tokens),
            "bits_per_byte": total / math.log(2) / max(1, len(raw)),
            "perplexity_per_token": math.exp(nats),
            "perplexity_per_word": math.exp(min(700.0, total / max(1, words))),
        }


def start(tokenizer: Tokenizer, kinds: Sequence[str], kind: str | None) -> list[int]:
    """The tokens that stand before a text of a kind; UsageError for an unknown one."""
    if kind is None:
        return [tokenizer.end]
    if kind not in kinds:
        known = f"It knows {', '.join(kinds)}." if kinds else "It was trained on texts without kinds."
        raise UsageError("the model does not know this kind of text", value=kind, hint=known)
    return [tokenizer.end, tokenizer.special(kind_token(kind))]


def read(model: LanguageModel, texts: Any, kinds: Sequence[str | None] | None) -> Data:
    """Read texts for a model; raises as `LanguageModel.fit` does."""
    documents = list(_documents(texts, kinds))
    named = tuple(sorted({each.kind for each in documents if each.kind is not None}))
    tokenizer = Tokenizer.train(
        (each.text for each in documents),
        kind=model.tokenizer,
        size=model.vocabulary or (SIZES[model.size].vocabulary if model.tokenizer == "bpe" else None),
        specials=[kind_token(kind) for kind in named],
    )
    parts = [tokenizer.encode(each.text) for each in documents]
    tokens = np.concatenate([*parts, np.zeros(0, np.int32)])
    if len(tokens) < FEWEST:
        hint = "Give more text: a few thousand words at least."
        raise InputError("this is too little text to learn from", value=f"{len(tokens)} tokens", hint=hint)
    bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    heads, head = _heads(tokenizer, named, [each.kind for each in documents])
    whole = Pieces(tokens, bounds[:-1], bounds[1:], heads, head)
    none = np.zeros(0, np.int64)
    learned, held = (
        hold_out(whole, model.held_out, model.seed) if model.held_out else (whole, whole.part(none))
    )
    digest = hashlib.sha256(tokens.tobytes() + bounds.tobytes() + head.tobytes()).hexdigest()
    notes = (f"{len(documents):,} texts, {len(tokens):,} tokens",)
    return Data(tokenizer, named, learned, held, digest, notes)


def _heads(
    tokenizer: Tokenizer, kinds: Sequence[str], of: Sequence[str | None]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What may stand before a text, and which of it stands before each."""
    if not kinds:
        return np.array([[tokenizer.end]]), np.zeros(len(of), np.int64)
    heads = [start(tokenizer, kinds, kind) for kind in kinds] + [[tokenizer.end, tokenizer.end]]
    number = {kind: i for i, kind in enumerate(kinds)}
    return np.array(heads), np.array([number.get(kind or "", len(kinds)) for kind in of], np.int64)


def _documents(texts: Any, kinds: Sequence[str | None] | None) -> Iterable[Document]:
    if isinstance(texts, str):
        raise UsageError(
            "one string is neither a list of texts nor a path", hint="Write [text], or pathlib.Path(name)."
        )
    if isinstance(texts, os.PathLike):
        texts = [texts]
    listed = list(texts)
    if kinds is not None and len(kinds) != len(listed):
        raise UsageError(f"there are {len(listed)} texts and {len(kinds)} kinds")
    for number, each in enumerate(listed):
        if isinstance(each, os.PathLike):
            yield Document(Path(each).read_text(encoding="utf-8"), None, str(each))
        elif isinstance(each, str):
            yield Document(each, None if kinds is None else kinds[number], f"text {number + 1}")
        else:
            yield each
