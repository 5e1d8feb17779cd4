"""A trained tagger's network without torch: NumPy looks words up, the engine reads them from both ends.

Legend: T words of a sentence, K tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.artifact import digest_of
from recurra.decoding import Chain
from recurra.errors import ModelError
from recurra.language.tagging.vocabulary import Vocabulary
from recurra.streaming.bidirectional import Layers
from recurra.streaming.packed import Packed
from recurra.text.characters import pooled

__all__ = ["STACK", "Running", "in_groups", "stack_digest"]

STACK = "recurrent."  # what the names of the stack's weights begin with
SENTENCES = 256  # at once: a bound on memory
GROUP = 64  # sentences whose tags are chosen at once
_AGAIN = "Copy the whole folder again, or train the model again."

Floats = NDArray[np.float32]
Weights = Mapping[str, np.ndarray[Any, Any]]


def stack_digest(weights: Weights) -> str:
    """Which stack these weights are: its programs name those that they were made of."""
    return digest_of({name: array for name, array in weights.items() if name.startswith(STACK)})


class Running:
    """The network of a tagger at use.

    Parameters
    ----------
    vocabulary: its words and tags.
    weights: the network's, by the names that `TagNetwork` gives them.
    programs: its stack, as `pack_layers` packed it.

    Raises ModelError where they do not fit together.
    """

    def __init__(self, vocabulary: Vocabulary, weights: Weights, programs: Mapping[str, Packed]) -> None:
        digest = stack_digest(weights)
        for name, program in programs.items():
            if program.description["about"].get("of") != digest:
                raise ModelError(f"{name}.packed was packed from other weights", hint=_AGAIN)
        self._layers = Layers(programs)
        words, grams, tags = len(vocabulary.words) + 1, vocabulary.grams.size, len(vocabulary.tags)
        self._words = _matrix(weights, "embedding.weight", words)
        self._grams = _matrix(weights, "characters.weight", grams)
        self._head = _matrix(weights, "head.weight", tags, self._layers.output_size)
        self._bias = _vector(weights, "head.bias", tags)
        transitions = _matrix(weights, "chain.transitions", tags, tags)
        self.chain = Chain(
            transitions, *(_vector(weights, f"chain.{name}", tags) for name in ("start", "end"))
        )
        if self._words.shape[1] + self._grams.shape[1] != self._layers.input_size:
            raise ModelError("the vectors of words do not fit the stack", value=self._layers.input_size)
        self.vocabulary = vocabulary

    def scores(
        self, tokens: Sequence[Sequence[str]], hidden: Sequence[int | None] | None = None
    ) -> list[Floats]:
        """The scores (T, K) of the tags of each word of each sentence.

        `hidden` says of each sentence which of its words is not shown: an unknown one without letters stands there.
        """
        found: list[Floats] = []
        for start in range(0, len(tokens), SENTENCES):
            part = tokens[start : start + SENTENCES]
            vectors = [self._vectors(sentence) for sentence in part]
            for row, place in enumerate((hidden or ())[start : start + SENTENCES]):
                if place is not None:
                    vectors[row][place] = self._nothing()
            found += [y @ self._head.T + self._bias for y in self._layers.read(vectors)]
        return found

    def _vectors(self, sentence: Sequence[str]) -> Floats:
        """What enters the stack (T, I)."""
        words = self._words[self.vocabulary.numbers(sentence)]
        return np.concatenate([words, pooled(self._grams, self.vocabulary.bags(sentence))], 1)

    def _nothing(self) -> Floats:
        """What stands for a word that is not shown."""
        return np.concatenate([self._words[0], self._grams[0]])


def in_groups(
    answer: Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]], scores: Sequence[NDArray[np.float32]]
) -> list[NDArray[Any]]:
    """What a chain answers to the scores (T, K) of each sentence, asked of several about as long at once."""
    order = sorted(range(len(scores)), key=lambda row: len(scores[row]))
    found: list[NDArray[Any]] = [np.zeros(0)] * len(scores)
    for start in range(0, len(order), GROUP):
        rows = order[start : start + GROUP]
        lengths = np.array([len(scores[row]) for row in rows])
        together = np.zeros((len(rows), lengths[-1], scores[rows[0]].shape[1]), np.float32)
        for place, row in enumerate(rows):
            together[place, : lengths[place]] = scores[row]
        for row, length, each in zip(rows, lengths, answer(together, lengths), strict=True):
            found[row] = each[:length]
    return found


def _matrix(weights: Weights, name: str, rows: int, columns: int | None = None) -> Floats:
    found = weights.get(name)
    fits = found is not None and found.ndim == 2 and len(found) == rows and columns in (None, found.shape[1])
    return _checked(found, name, fits, f"({rows}, {columns or '…'})")


def _vector(weights: Weights, name: str, size: int) -> Floats:
    found = weights.get(name)
    return _checked(found, name, found is not None and found.shape == (size,), f"({size},)")


def _checked(found: np.ndarray[Any, Any] | None, name: str, fits: bool, shape: str) -> Floats:
    if found is None or not fits or found.dtype != np.float32 or not np.isfinite(found).all():
        given = "nothing" if found is None else f"{found.dtype} {found.shape}"
        raise ModelError(f"{name} must be float32 {shape}, all finite", value=given, hint=_AGAIN)
    return found
