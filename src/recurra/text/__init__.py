"""Text as data: documents read from files, tokenizers, the corpus cache. Nothing here needs torch."""

from __future__ import annotations

from recurra.text.copies import Copy, CopyIndex
from recurra.text.corpus import Corpus, Part
from recurra.text.documents import Document, Documents, Files, Texts
from recurra.text.tokenizer import Tokenizer
from recurra.text.words import spans, words

__all__ = [
    "Copy",
    "CopyIndex",
    "Corpus",
    "Document",
    "Documents",
    "Files",
    "Part",
    "Texts",
    "Tokenizer",
    "spans",
    "words",
]
