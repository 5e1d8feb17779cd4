"""tokenizer.json: a tokenizer in the form that Hugging Face's tokenizers read, and read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from recurra.errors import ModelError

__all__ = ["CHARACTER", "MOST", "MOST_NAME", "read", "shown", "unshown", "write"]

MOST = 1 << 20  # tokens in a vocabulary
MOST_NAME = 256  # characters of a special token's name
_MOST_TEXT = 64 << 20  # characters of a tokenizer.json
_MOST_PIECE = 1024  # bytes


def _characters() -> str:
    """GPT-2's characters for bytes: those that can be printed are themselves, others get one that can."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte) if byte in shown else chr(next(others)) for byte in range(256))


CHARACTER: Final = _characters()
# By str.translate; bytes that are not written as themselves become what no Latin-1 text has.
_SHOWN: Final = {byte: character for byte, character in enumerate(CHARACTER) if ord(character) != byte}
_UNSHOWN: Final = dict.fromkeys(_SHOWN, "\uffff") | {ord(text): chr(byte) for byte, text in _SHOWN.items()}


def shown(piece: bytes) -> str:
    """Bytes as the file writes them."""
    return piece.decode("latin-1").translate(_SHOWN)


def unshown(text: str) -> bytes:
    """The bytes that `shown` wrote; UnicodeEncodeError for any other text."""
    return text.translate(_UNSHOWN).encode("latin-1")


def write(
    kind: str,
    pattern: str,
    specials: Sequence[str],
    pieces: Sequence[bytes],
    merges: Sequence[tuple[int, int]],
) -> str:
    """The text of a tokenizer.json; `pieces` begin with one that is empty for each special token."""
    names = [*specials, *map(shown, pieces[len(specials) :])]
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token, name) for token, name in enumerate(specials)],
        "normalizer": None,
        "pre_tokenizer": _splitting(pattern),
        "post_processor": None,
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {name: token for token, name in enumerate(names)},
            "merges": [[names[left], names[right]] for left, right in merges],
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=0) + "\n"


def read(text: str, patterns: Mapping[str, str]) -> tuple[str, list[str], list[bytes], list[tuple[int, int]]]:
    """The kind, special tokens, pieces and merges in what `write` gave; ModelError for anything else."""
    if len(text) > _MOST_TEXT:
        raise _wrong(f"it has more than {_MOST_TEXT >> 20} million characters")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is no JSON ({error})") from error
    model = _of(content, "model", dict)
    kind = _kind(content, patterns)
    specials = _specials(_of(content, "added_tokens", list))
    vocabulary = dict(_of(model, "vocab", dict))
    if [vocabulary.pop(name, None) for name in specials] != list(range(len(specials))):
        raise _wrong("its special tokens are not the first ones")
    pieces = _pieces(vocabulary, len(specials))
    return kind, specials, pieces, _merges(_of(model, "merges", list), vocabulary)


_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}


def _splitting(pattern: str) -> dict[str, Any]:
    if not pattern:
        return _BYTE_LEVEL
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, _BYTE_LEVEL]}


def _added(token: int, name: str) -> dict[str, Any]:
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token, "content": name, **options, "special": True}


def _wrong(why: str, value: object = None) -> ModelError:
    hint = "Copy the whole model folder again, or train the tokenizer again."
    return ModelError(f"tokenizer.json is no recurra tokenizer: {why}", value=value, hint=hint)


def _of(content: object, key: str, kind: type) -> Any:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, kind):
        raise _wrong(f"{key!r} is missing or wrong")
    return value


def _kind(content: dict[str, Any], patterns: Mapping[str, str]) -> str:
    """Patterns are looked up, never run: one from a stranger could take for ever."""
    for kind, pattern in patterns.items():
        if content.get("pre_tokenizer") == _splitting(pattern):
            return kind
    raise _wrong("it splits text in a way that this recurra does not know")


def _specials(added: list[Any]) -> list[str]:
    names = [_of(entry, "content", str) for entry in added]
    if not 0 < len(names) <= MOST or added != [_added(token, name) for token, name in enumerate(names)]:
        raise _wrong("its special tokens are not the first ones")
    if len(set(names)) < len(names) or not all(0 < len(name) <= MOST_NAME for name in names):
        raise _wrong("the names of its special tokens are wrong")
    return names


def _pieces(vocabulary: dict[str, Any], first: int) -> list[bytes]:
    pieces = [b""] * len(vocabulary)
    if len(pieces) + first > MOST:
        raise _wrong(f"it has more than {MOST} tokens")
    for text, token in vocabulary.items():
        if isinstance(token, bool) or not isinstance(token, int) or not first <= token < first + len(pieces):
            raise _wrong("a token's number is wrong", token)
        try:
            pieces[token - first] = unshown(text if 0 < len(text) <= _MOST_PIECE else "\uffff")
        except UnicodeEncodeError as error:
            what = "a token is empty, too long, or not written in bytes"
            raise _wrong(what, text[:80]) from error
    if not all(pieces):
        raise _wrong("two tokens have the same number")
    if lacking := {bytes([byte]) for byte in range(256)}.difference(pieces):
        raise _wrong("it lacks bytes", min(lacking))
    return pieces


def _merges(merges: list[Any], vocabulary: dict[str, int]) -> list[tuple[int, int]]:
    pairs = []
    for merge in merges:
        try:
            left, right = merge
            pairs.append((vocabulary[left], vocabulary[right]))
            _ = vocabulary[left + right]
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong("a merge is not of two tokens that make a third", str(merge)[:80]) from error
    if len(set(pairs)) < len(pairs):
        raise _wrong("a merge stands there twice")
    return pairs
