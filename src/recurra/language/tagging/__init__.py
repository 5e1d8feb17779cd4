"""A tag for each word: parts of speech, names, chunks."""

from __future__ import annotations

from recurra.language.tagging.tagger import TaggedWord, Tagger

__all__ = ["TaggedWord", "Tagger"]
