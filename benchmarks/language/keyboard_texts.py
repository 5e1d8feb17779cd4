"""The texts of the English keyboard, in three parts by a fixed rule.

Of the conversations of dialogue/chitchat and of the books of text/books, in the order of their files, number n (from 0)
is for testing where n % 20 is 19, for tuning where it is 9, and else for training.
Sentences of pairs/tatoeba are for training only.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
PARTS = {19: "test", 9: "valid"}


def _rows(name: str, part: str) -> Iterator[Any]:
    file = DATA / name
    if not file.exists():
        raise SystemExit(f"{file} is not there: RECURRA_DATA must name the folder that holds it")
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if PARTS.get(number % 20, "train") == part:
                yield json.loads(line)


def chats(part: str) -> Iterator[str]:
    """Conversations, a line for each turn."""
    for row in _rows("dialogue/chitchat.jsonl.xz", part):
        yield "\n".join(" ".join(turn["text"].split()) for turn in row["turns"])


def books(part: str) -> Iterator[str]:
    """Books, without Markdown's signs."""
    for row in _rows("text/books.jsonl.xz", part):
        yield re.sub(r"[_*#]+", "", row["text"])


def sentences(together: int = 30) -> Iterator[str]:
    """The English sentences of Tatoeba (CC BY 2.0 FR), each once, in no order, some `together` as lines of a text."""
    found: dict[str, None] = {}
    for pair in ("en-de", "en-fr"):
        with lzma.open(DATA / f"pairs/tatoeba.{pair}.tsv.xz", "rt", encoding="utf-8") as lines:
            found |= dict.fromkeys(line.partition("\t")[0] for line in lines)
    order = list(found)
    random.Random(0).shuffle(order)
    for start in range(0, len(order), together):
        yield "\n".join(order[start : start + together])
