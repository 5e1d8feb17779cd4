"""Text as data: documents read from files, tokenizers, the corpus cache. Nothing here needs torch."""

from __future__ import annotations

from recurra.text.tokenizer import Tokenizer
from recurra.text.words import spans, words

__all__ = ["Tokenizer", "spans", "words"]
