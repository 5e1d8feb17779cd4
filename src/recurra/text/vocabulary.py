"""What a tokenizer learns from texts: which words or pieces of words are tokens, the most frequent first."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recurra.errors import MissingExtraError, UsageError
from recurra.text.merging import Merging
from recurra.text.splitting import PATTERNS, split
from recurra.text.tokenizer_file import CHARACTER, MOST, MOST_NAME, shown, unshown

__all__ = ["END", "learn", "special_names"]

END = "<|end|>"
_SIZES = {"bpe": 8192, "words": 20_000, "spaced": 20_000, "characters": MOST, "bytes": MOST}
_BYTES = [bytes([byte]) for byte in range(256)]
_COUNTED = 1 << 22  # different words that are kept while counting
_FED = 1 << 23  # words that pairs are counted on
_LINE = 1 << 16  # words in a line for the trainer


def learn(
    texts: Iterable[str], kind: str, size: int | None, specials: Sequence[str]
) -> tuple[str, list[str], list[bytes], list[tuple[int, int]]]:
    """The arguments of a Tokenizer; see its `train`."""
    if kind not in PATTERNS:
        what = "there is no such kind of tokenizer"
        raise UsageError(what, value=kind, hint=f"There are: {', '.join(PATTERNS)}.")
    names = special_names(specials)
    size = _SIZES[kind] if size is None else size
    least = len(names) + 256
    if not least <= size <= MOST:
        what = f"a vocabulary has {least} (the 256 bytes and the special tokens) to {MOST} tokens"
        raise UsageError(what, value=size)
    if kind == "bytes":
        return kind, names, _BYTES, []
    counts = _count(texts, kind)
    if kind == "bpe":
        return kind, names, *_pairs(counts, size - least, names)
    return kind, names, _most_frequent(counts, size - least, names), []


def special_names(specials: Sequence[str]) -> list[str]:
    """All special tokens, `END` first; UsageError for names that cannot be."""
    if isinstance(specials, str):
        raise UsageError("special tokens must be a list of names", value=specials)
    names = [END, *specials]
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME or not name.isprintable():
            what = f"a special token's name has 1 to {MOST_NAME} characters that can be printed"
            raise UsageError(what, value=repr(name))
    if len(set(names)) < len(names):
        raise UsageError("two special tokens have the same name", value=max(names, key=names.count))
    return names


def _count(texts: Iterable[str], kind: str) -> Counter[bytes]:
    """How often each word occurs; where there are too many of them, those that come up once are forgotten."""
    pattern = re.compile(PATTERNS[kind])
    counts: Counter[str] = Counter()
    for text in texts:
        for words in split(pattern, text):
            counts.update(words)
            if len(counts) > _COUNTED:
                counts = Counter({word: count for word, count in counts.items() if count > 1})
    return Counter({word.encode(errors="replace"): count for word, count in counts.items()})


def _most_frequent(counts: Counter[bytes], room: int, names: list[str]) -> list[bytes]:
    """As many words as there is room for beside the bytes, and the bytes, by falling frequency."""
    longer = [word for word in counts if len(word) > 1 and shown(word) not in names]
    words = set(sorted(longer, key=lambda word: (-counts[word], word))[:room])
    uses: Counter[bytes] = Counter()
    for word, count in counts.items():
        for part in [word] if word in words else (_BYTES[byte] for byte in word):
            uses[part] += count
    return sorted(words.union(_BYTES), key=lambda piece: (-uses[piece], piece))


def _pairs(counts: Counter[bytes], room: int, names: list[str]) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Pieces by falling frequency, and merges, pairs of tokens."""
    merges = _learnt(counts, room, names)
    pieces = list(dict.fromkeys([*_BYTES, *(left + right for left, right in merges)]))
    ids = {piece: token for token, piece in enumerate(pieces)}
    merging = Merging(pieces, [(ids[left], ids[right]) for left, right in merges])
    uses = np.zeros(len(pieces), np.int64)
    for word, count in counts.items():
        known = ids.get(word)
        for token in merging.merge(word) if known is None else [known]:
            uses[token] += count
    order = np.lexsort((np.arange(len(pieces)), -uses))
    ranks = np.empty(len(pieces), np.int64)
    ranks[order] = np.arange(len(names), len(names) + len(pieces))
    pairs = [(int(ranks[ids[left]]), int(ranks[ids[right]])) for left, right in merges]
    return [pieces[token] for token in order], pairs


def _learnt(counts: Counter[bytes], room: int, names: list[str]) -> list[tuple[bytes, bytes]]:
    """Pairs of pieces to join, as Hugging Face's trainer learns them from the words."""
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError.of("tokenizers", "train") from error
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=256 + room, initial_alphabet=list(CHARACTER), show_progress=False
    )
    model.train_from_iterator(_lines(counts), trainer)
    known = set(CHARACTER)
    merges = []
    for left, right in json.loads(model.to_str())["model"]["merges"]:
        if left in known and right in known and left + right not in names:
            known.add(left + right)
            merges.append((unshown(left), unshown(right)))
    return merges


def _lines(counts: Counter[bytes]) -> Iterator[str]:
    """The words as often as they occur, or fewer times in proportion, since the trainer wants to read them."""
    thin = max(1.0, counts.total() / _FED)
    repeated = (itertools.repeat(shown(word), round(count / thin)) for word, count in counts.items())
    every = itertools.chain.from_iterable(repeated)
    while line := " ".join(itertools.islice(every, _LINE)):
        yield line
