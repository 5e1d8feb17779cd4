"""The trained network without torch: NumPy, and the engine for what is recurrent.

Legend: R texts, T words of one, V known words, P known pieces, E numbers of a word's vector, O outputs of the stack,
K classes, M members, G known runs of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ModelError
from recurra.language.classification.features import Features
from recurra.streaming.bidirectional import Layers
from recurra.streaming.packed import Packed
from recurra.text.characters import pooled

__all__ = ["Reader"]

TEXTS = 512  # that are read at once: a bound on memory
Floats = NDArray[np.float32]
TABLES = ("words", "pieces", "head", "bias")


class _Member(NamedTuple):
    layers: Layers
    words: Floats
    pieces: Floats
    head: Floats
    bias: Floats


class Reader:
    """Members that each read a text and score the classes; what counts is their mean, plus what runs of words say.

    Parameters
    ----------
    features: what is known.
    weights: runs (G + 1, K); of member m: m.words (V + 1, E), m.pieces (P, E), m.head (K, 2 O), m.bias (K,).
    programs: the layers of each member's stack, as m.0.ahead.
    members, classes: M and K.

    Raises ModelError for what does not fit together.
    """

    def __init__(
        self,
        features: Features,
        weights: Mapping[str, np.ndarray[Any, Any]],
        programs: Mapping[str, Packed],
        members: int,
        classes: int,
    ) -> None:
        self.features = features
        self.weights, self.programs = dict(weights), dict(programs)
        self._members: list[_Member] = []
        known = {f"{m}.{name}" for m in range(members) for name in TABLES} | {"runs"}
        if strange := sorted(known ^ weights.keys()):
            raise ModelError("the weights are not those of the model's members", value=strange[0])
        _check("runs", weights["runs"], (len(features.runs) + 1, classes))
        self._runs = weights["runs"].astype(np.float32)
        for m in range(members):
            prefix = f"{m}."
            layers = Layers({n.removeprefix(prefix): p for n, p in programs.items() if n.startswith(prefix)})
            tables = {name: weights[f"{m}.{name}"] for name in TABLES}
            size, width = layers.input_size, layers.output_size
            wanted = (
                (len(features.words) + 1, size),
                (features.grams.size, size),
                (classes, 2 * width),
                (classes,),
            )
            for (name, table), shape in zip(tables.items(), wanted, strict=True):
                _check(f"{m}.{name}", table, shape)
            self._members.append(_Member(layers, *(tables[name].astype(np.float32) for name in TABLES)))
        if len(programs) != sum(len(each.layers.programs) for each in self._members):
            raise ModelError("there are layers of no member", value=", ".join(sorted(programs)[:5]))

    def scores(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """The logits (R, K) of texts that were split into words; those of a text without words mean nothing.

        Raises ModelError where they are not numbers.
        """
        parts = [self._scores(texts[start : start + TEXTS]) for start in range(0, len(texts), TEXTS)]
        classes = self._runs.shape[1]
        found = np.concatenate([np.empty((0, classes)), *parts])
        if not np.isfinite(found).all():
            raise ModelError("the network's scores are not numbers", hint="Train the model again.")
        return found

    def _scores(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        seen = self.features.encode(texts)
        ends = np.cumsum(seen.lengths)[:-1]
        total = np.zeros((len(texts), self._runs.shape[1]))
        for each in self._members:
            x = each.words[seen.known] + pooled(each.pieces, seen.pieces)[seen.which]
            outputs = each.layers.read(np.split(x, ends))
            total += np.stack([_pooled(y) for y in outputs]) @ each.head.T + each.bias
        return total / len(self._members) + np.add.reduceat(self._runs[seen.runs], seen.starts)


def _check(name: str, table: np.ndarray[Any, Any], shape: tuple[int, ...]) -> None:
    numbers = table.dtype in (np.float32, np.float16)
    if table.shape != shape or not numbers or not np.isfinite(table).all():
        raise ModelError(f"{name} must be numbers {shape}, all finite", value=table.shape)


def _pooled(y: Floats) -> Floats:
    """What a text's outputs (T, O) say together, (2 O,): the largest of each and the mean."""
    if not len(y):
        return np.zeros(2 * y.shape[1], np.float32)
    return np.concatenate([y.max(0), y.mean(0, dtype=np.float64).astype(np.float32)])
