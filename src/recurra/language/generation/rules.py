"""What tokens may come next: the rest of a word, a regular expression, a JSON schema. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, MissingExtraError, UsageError
from recurra.text.tokenizer import Tokenizer

__all__ = ["Grammar", "Rule", "StartsWith", "begins_a_word", "bits", "compile_grammar", "may_begin"]

BOUNDS = 'maxLength for strings, maxItems for lists, "additionalProperties": false for objects'


class Rule(Protocol):
    """What tokens may come next in one text."""

    def mask(self) -> NDArray[np.uint8] | None:
        """Bits of the tokens that may come, the first byte's lowest one for token 0; None: all."""

    def took(self, token: int) -> None:
        """Take note of the token that came."""

    def check(self) -> None:
        """Raise InputError where the text has ended and is not whole."""


def bits(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Booleans (V,) as a mask."""
    return np.packbits(allowed, bitorder="little")


def may_begin(pieces: Sequence[bytes], lead: bytes) -> NDArray[np.bool_]:
    """Which tokens may come where the text goes on with `lead`, one byte or more."""
    return np.array([bool(p) and (p.startswith(lead) or lead.startswith(p)) for p in pieces])


def begins_a_word(pieces: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which tokens do not go on with the word before: they begin with neither a letter nor a digit; the end is one."""
    found = np.array([bool(p) and p[0] < 128 and not p[:1].isalnum() and p[:1] not in b"'_" for p in pieces])
    found[0] = True
    return found


class StartsWith:
    """The text goes on with these bytes, then freely."""

    def __init__(self, pieces: Sequence[bytes], lead: bytes) -> None:
        self.pieces, self.lead = pieces, lead

    def mask(self) -> NDArray[np.uint8] | None:
        """As `Rule` says."""
        return bits(may_begin(self.pieces, self.lead)) if self.lead else None

    def took(self, token: int) -> None:
        """As `Rule` says."""
        self.lead = self.lead[len(self.pieces[token]) :]

    def check(self) -> None:
        """As `Rule` says."""


class Grammar:
    """The text follows a grammar of llguidance, whose matcher this moves."""

    def __init__(self, matcher: Any, end: int, less: str) -> None:
        self.matcher, self.end, self.less = matcher, end, less

    def mask(self) -> NDArray[np.uint8] | None:
        """As `Rule` says."""
        return np.frombuffer(self.matcher.compute_bitmask(), np.uint8)

    def took(self, token: int) -> None:
        """As `Rule` says."""
        if token != self.end and not self.matcher.consume_token(token):
            raise InputError(f"the grammar came to nothing: {self.matcher.get_error()}")

    def check(self) -> None:
        """As `Rule` says."""
        if not self.matcher.is_accepting():
            hint = f"Allow more with max_tokens, or ask for less: {self.less}."
            raise InputError("the text was cut off before the grammar's end", hint=hint)


def compile_grammar(
    tokenizer: Tokenizer, *, pattern: str | None = None, schema: Mapping[str, Any] | str | None = None
) -> Grammar:
    """The rule that a text matches a regular expression, as a whole, or is JSON of a schema.

    Raises UsageError for a pattern or a schema that llguidance does not understand, MissingExtraError without it.
    """
    try:
        from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
    except ImportError as error:
        raise MissingExtraError.of("llguidance", "grammar") from error
    if pattern is not None:
        grammar = LLMatcher.grammar_from_regex(pattern)
    else:
        try:
            text = schema if isinstance(schema, str) else json.dumps(schema)
            # A network may go on with white space for ever where the grammar lets it.
            grammar = LLMatcher.grammar_from_json_schema(text, {"whitespace_flexible": False})
        except (ValueError, TypeError) as error:
            raise UsageError(f"the schema is no JSON schema: {error}") from error
    known = LLTokenizer(TokenizerWrapper(_Known(tokenizer)))
    matcher = LLMatcher(known, grammar, log_level=0)
    if matcher.is_error():
        name, given = ("schema", None) if pattern is None else ("pattern", pattern)
        raise UsageError(f"the {name} cannot be used: {_reason(matcher.get_error())}", value=given)
    less = "{1,9} in the place of +" if pattern is not None else BOUNDS
    return Grammar(matcher, tokenizer.end, less)


def _reason(report: str) -> str:
    """What is wrong, out of a report of llguidance's in several lines, some of which draw it."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])


class _Known:
    """A tokenizer as llguidance asks for one."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = tokenizer.end
        self.special_token_ids = [i for i, piece in enumerate(tokenizer.pieces) if not piece]
        # llguidance tells special tokens by a byte that no text has.
        names = [b"\xff" + name.encode() for name in tokenizer.specials]
        self.tokens = [*names, *tokenizer.pieces[len(names) :]]

    def __call__(self, text: str | bytes) -> list[int]:
        known = text.decode(errors="replace") if isinstance(text, bytes) else text
        return [int(token) for token in self._tokenizer.encode(known)]
