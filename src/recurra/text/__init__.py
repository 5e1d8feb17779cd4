"""Text as data: documents read from files, tokenizers, the corpus cache, copies. Nothing here needs torch."""

from __future__ import annotations
