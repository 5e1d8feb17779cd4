"""Sentences and tags as they are handed over, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.errors import InputError, UsageError

__all__ = ["check_tags", "checked", "sentences_of"]

LONGEST = 5000  # words of a sentence to train on
MOST_TAGS = 5000


def sentences_of(tokens: Any) -> list[list[str]]:
    """Lists of words; InputError for what is none."""
    if isinstance(tokens, str):
        raise UsageError("lists of words were expected", value=tokens[:60], hint="tag(text) takes a text.")
    found = []
    for number, sentence in enumerate(tokens, start=1):
        if isinstance(sentence, str) or not all(isinstance(word, str) for word in sentence):
            what = f"sentence {number} is no list of words"
            raise InputError(what, value=str(sentence)[:60], hint="Give lists of texts.")
        found.append(list(sentence))
    return found


def checked(tokens: Any, tags: Any) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences that have words, and their tags; InputError where they do not fit."""
    tokens, tags = sentences_of(tokens), sentences_of(tags)
    if len(tokens) != len(tags):
        raise InputError(f"there are {len(tokens)} sentences and the tags of {len(tags)}")
    for number, (words, each) in enumerate(zip(tokens, tags, strict=True), start=1):
        if len(words) != len(each):
            raise InputError(f"sentence {number} has {len(words)} words and {len(each)} tags")
        if len(words) > LONGEST:
            hint = "Is there an empty line, or a list, for each sentence?"
            raise InputError(
                f"sentence {number} has {len(words):,} words, {LONGEST:,} are possible", hint=hint
            )
        if "" in words or "" in each:
            raise InputError(f"sentence {number} holds an empty word or tag")
    kept = [row for row, words in enumerate(tokens) if words]
    if not kept:
        raise InputError("there is no sentence", hint="Give at least one with its tags.")
    return [tokens[row] for row in kept], [tags[row] for row in kept]


def check_tags(tags: Sequence[str]) -> None:
    """Raise InputError where there is nothing to choose between, or too much."""
    if len(tags) < 2:
        hint = "Is this the right column? A tagger chooses between tags."
        raise InputError("all words have the same tag", value=tags[0], hint=hint)
    if len(tags) > MOST_TAGS:
        hint = "Is this the right column?"
        raise InputError(f"there are {len(tags):,} different tags, {MOST_TAGS:,} are possible", hint=hint)
