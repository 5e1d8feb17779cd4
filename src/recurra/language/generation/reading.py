"""From what `LanguageModel.fit` is given to tokens: documents, a tokenizer, what is held out. Needs no torch."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, UsageError
from recurra.language.generation.data import Line, Pieces
from recurra.language.generation.settings import SIZES, kind_token
from recurra.text.copies import CopyIndex
from recurra.text.corpus import Corpus, Part
from recurra.text.documents import Documents, Files, Texts
from recurra.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from recurra.language.generation.language_model import LanguageModel

__all__ = ["Data", "documents_of", "read", "start"]

FEWEST = 64  # tokens to learn from
MOST_KINDS = 1000


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
    copies: finds what repeats the texts; None where that is not wanted.
    """

    tokenizer: Tokenizer
    kinds: tuple[str, ...]
    learned: Pieces
    held: Pieces
    digest: str
    notes: tuple[str, ...]
    copies: CopyIndex | None

    def opening(self, count: int) -> list[int]:
        """The first tokens of the held-out text, or of what is learned, behind what stands before them."""
        line = Line(self.held if len(self.held) else self.learned)
        return [int(token) for token in line.read(0, count)]

    def quality(self, nats: float | None) -> dict[str, float] | None:
        """What `nats` a held-out token mean; None where nothing is held out."""
        if nats is None:
            return None
        tokens = self.held.text()
        raw = b"".join(self.tokenizer.pieces[token] for token in tokens.tolist())
        total = nats * len(tokens)
        return {
            "nats_per_token": nats,
            "tokens": len(tokens),
            "bits_per_byte": total / math.log(2) / max(1, len(raw)),
            "perplexity_per_token": math.exp(nats),
            "perplexity_per_word": math.exp(min(700.0, total / max(1, len(raw.split())))),
        }


def start(tokenizer: Tokenizer, kinds: Sequence[str], kind: str | None) -> list[int]:
    """The tokens that stand before a text of a kind; None: of any; UsageError for an unknown one."""
    if kind is None:
        return [tokenizer.end] * (2 if kinds else 1)
    if kind not in kinds:
        known = f"It knows {', '.join(kinds)}." if kinds else "It was trained on texts without kinds."
        raise UsageError("the model does not know this kind of text", value=kind, hint=known)
    return [tokenizer.end, tokenizer.special(kind_token(kind))]


def read(
    model: LanguageModel,
    texts: Any,
    kinds: Any,
    validation: Any,
    cache: Path | None,
    say: Callable[[str], None],
) -> Data:
    """Read texts for a model; raises as `LanguageModel.fit` does."""
    notes: list[str] = []
    documents = documents_of(texts, kinds, notes.append)
    named: set[str] = set()
    texts = _texts(documents, named)
    tokenizer = Tokenizer.train(
        texts,
        kind=model.tokenizer,
        size=model.vocabulary or (SIZES[model.size].vocabulary if model.tokenizer == "bpe" else None),
    )
    for _ in texts:  # bytes are learnt without a look at the texts, and their kinds are wanted all the same
        pass
    if len(named) > MOST_KINDS:
        hint = "Name a column of few values."
        raise InputError("there are too many kinds of text", value=f"{len(named):,}", hint=hint)
    known = tuple(sorted(named))
    if known:
        tokenizer = tokenizer.with_specials([kind_token(kind) for kind in known])
    corpus = Corpus.make(documents, tokenizer, cache)
    if len(corpus.tokens) < FEWEST:
        hint = "Give more text: a few thousand words at least."
        raise InputError(
            "this is too little text to learn from", value=f"{len(corpus.tokens)} tokens", hint=hint
        )
    held = None
    if validation is not None:
        exam = Corpus.make(documents_of(validation, kinds, say), tokenizer, cache)
        learned, held = _whole(corpus), _pieces(exam, _whole(exam), tokenizer, known)
    elif model.held_out:
        learned, out = corpus.split(model.held_out, model.seed)
        held = _pieces(corpus, out, tokenizer, known)
    else:
        learned = _whole(corpus)
    pieces = _pieces(corpus, learned, tokenizer, known)
    digest = hashlib.sha256(f"{documents.fingerprint} {tokenizer.digest}".encode()).hexdigest()
    count = "1 text" if corpus.documents == 1 else f"{corpus.documents:,} texts"
    notes.append(f"{count}, {len(corpus.tokens):,} tokens, {tokenizer.size:,} of them different")
    if known:
        notes.append(f"Kinds of text: {', '.join(known)}")
    none = np.zeros(0, np.int64)
    copies = CopyIndex.build(documents, model.copy_run) if model.copy_run else None
    held = pieces.part(none) if held is None else held
    return Data(tokenizer, known, pieces, held, digest, tuple(notes), copies)


def documents_of(texts: Any, kinds: Any, say: Callable[[str], None]) -> Documents:
    """What `LanguageModel.fit` takes, as documents; UsageError for what is neither texts nor paths."""
    if isinstance(texts, str):
        hint = "Write [text], or pathlib.Path(name)."
        raise UsageError("one string is neither a list of texts nor a path", hint=hint)
    if isinstance(texts, os.PathLike):
        texts = [texts]
    if hasattr(texts, "fingerprint"):
        return texts  # type: ignore[no-any-return]
    texts = list(texts)
    if texts and all(isinstance(each, os.PathLike) for each in texts):
        if kinds is not None and not isinstance(kinds, str):
            raise UsageError("the kinds of files are a column's name", value=type(kinds).__name__)
        return Files(texts, kind=kinds, say=say)
    return Texts(texts, kinds)


def _texts(documents: Documents, named: set[str]) -> Any:
    """The texts one after another; their kinds go into `named`."""
    for each in documents:
        if each.kind is not None:
            named.add(each.kind)
        yield each.text


def _whole(corpus: Corpus) -> Part:
    return Part(np.stack([corpus.starts[:-1], corpus.starts[1:]], axis=1), corpus.kind_of)


def _pieces(corpus: Corpus, part: Part, tokenizer: Tokenizer, kinds: Sequence[str]) -> Pieces:
    """A part of a corpus, each document behind its head instead of behind the end token."""
    begin, stop = part.spans[:, 0], part.spans[:, 1]
    begin = begin + (np.asarray(corpus.tokens[begin]) == tokenizer.end)
    heads = np.array([start(tokenizer, kinds, kind) for kind in (*kinds, None)])
    number = {kind: i for i, kind in enumerate(kinds)}
    table = np.array([*(number[kind] for kind in corpus.kinds if kind in number), len(kinds)])
    of = table[part.kinds] if set(corpus.kinds) <= set(kinds) else np.full(len(begin), len(kinds))
    return Pieces(corpus.tokens, begin, stop, heads, of.astype(np.int64))


def sample(data: Data, rows: int = 4) -> NDArray[np.int64]:
    """A few tokens (rows, 64) as they come."""
    return np.array(data.opening(64 * rows)).reshape(rows, 64)
