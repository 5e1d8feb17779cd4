"""The keyboard: what a person is about to type."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from recurra.errors import ModelError, UsageError
from recurra.estimator import Estimator
from recurra.language.suggestion.card import card
from recurra.language.suggestion.lexicon import Lexicon, folded
from recurra.language.suggestion.personal import Personal
from recurra.language.suggestion.phrases import Phrases
from recurra.language.suggestion.reading import Reader
from recurra.streaming.packed import Packed
from recurra.training.outcome import Outcome

__all__ = ["Keyboard", "Suggestion"]

LARGEST = {
    "vocabulary": 60_000,
    "dictionary": 1_000_000,
    "embedding_size": 1024,
    "hidden_size": 4096,
    "layers": 8,
    "batch_size": 1024,
    "span": 1000,
    "exact": 60_000,
    "drawn": 60_000,
}


class Suggestion(NamedTuple):
    """A word that may be meant, as it would be written here, and how probable it is among the words."""

    text: str
    probability: float


class Keyboard(Estimator):
    """Predictive text: the rest of the word and the next words, keystroke by keystroke.

    A recurrent network over words says what comes next; a dictionary, the words of the text so far and a personal layer
    say the rest. Using it needs no torch.

    Parameters
    ----------
    vocabulary: how many words and marks the network knows at most.
    dictionary: how many words are known at most; those beyond the network's are told apart by how often they come.
    cell: name of a cell in `recurra.cells`; an LSTM has coupled gates and a projection.
    embedding_size, hidden_size, layers: numbers of a word's vector, of a layer, and of layers.
    dropout: of what enters the layers and of what leaves them, in training.
    epochs: times that the texts are read; `steps`, if any, says it in batches.
    batch_size, span: rows of a batch, and steps of each.
    learning_rate: the highest.
    exact, drawn: tokens of the softmax that are counted exactly, and drawn, in training.
    blocked: words that are never suggested.
    weights: how the network's matrices are kept: "float32", "float16", "int8" or "int4".
    seed: of everything random.
    """

    def __init__(
        self,
        *,
        vocabulary: int = 10_000,
        dictionary: int = 50_000,
        cell: str = "lstm",
        embedding_size: int = 96,
        hidden_size: int = 632,
        layers: int = 1,
        dropout: float = 0.0,
        epochs: float = 2.0,
        steps: int | None = None,
        batch_size: int = 64,
        span: int = 20,
        learning_rate: float = 4e-3,
        exact: int = 1024,
        drawn: int = 512,
        blocked: Sequence[str] = (),
        weights: str = "int8",
        seed: int = 0,
    ) -> None:
        self.vocabulary = vocabulary
        self.dictionary = dictionary
        self.cell = cell
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.span = span
        self.learning_rate = learning_rate
        self.exact = exact
        self.drawn = drawn
        self.blocked = blocked
        self.weights = weights
        self.seed = seed
        self._personal: Personal | None = None

    def fit(
        self,
        texts: Iterable[str],
        *,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on texts, each a document, or a conversation whose turns are lines; forgets any earlier fit.

        `max_seconds` ends training early; Ctrl-C does too, and keeps the best so far. With `checkpoint`, a folder, a
        run that was killed goes on where it was when the same call is made again.

        Raises InputError for too little text, UsageError for arguments that do not fit.
        """
        self.check_arguments()
        if isinstance(texts, str):
            raise UsageError("texts must be several, not one string", hint="Give a list: [text].")
        from recurra.language.suggestion import counting, fitting

        fitting.check_cell(self.cell)
        corpus = counting.count(texts, self.vocabulary, self.dictionary)
        folder = None if checkpoint is None else Path(checkpoint)
        outcome, network = fitting.fit(self, corpus, max_seconds, folder, self._fingerprint(corpus))
        packed = fitting.pack_network(network, self.weights, corpus)
        self.lexicon_, self.outcome_, self.network_ = corpus.lexicon, outcome, packed
        self.parameters_ = sum(each.numel() for each in network.parameters())
        self.__dict__.pop("_reading", None)
        return self

    def suggest(self, context: str, prefix: str | None = None, k: int = 3) -> list[Suggestion]:
        """The k words that are most probably meant, the most probable first.

        - context: the text so far.
        - prefix: the beginning of the word that is being typed; "" where none is; None: it is the end of `context`.
        - k: how many at most.

        A word that is the prefix itself is none of them. Raises UsageError for k below 1, NotFittedError before `fit`.
        """
        self._check_fitted()
        if k < 1:
            raise UsageError("k is 1 or more", value=k)
        return [Suggestion(*each) for each in self._reading.suggest(context, prefix, k)]

    @property
    def personal(self) -> Personal | None:
        """The personal layer; whoever changes it assigns it again. `save` does not keep it."""
        return self._personal

    @personal.setter
    def personal(self, layer: Personal | None) -> None:
        self._personal = layer
        if "_reading" in self.__dict__:
            self._reading.take(*self._own())

    def learn(self, text: str) -> None:
        """Learn a text that was typed, at once: its words and phrases go into the personal layer, which is kept.

        Without a personal layer it is kept in memory only. Raises OSError where its file cannot be written.
        """
        if self._personal is None:
            self.personal = Personal()
        assert self._personal is not None
        words, rows = self._personal.learn(text)
        if "_reading" in self.__dict__:
            self._reading.learn(words, rows)

    def _own(self) -> tuple[Phrases[str] | None, set[str]]:
        blocked = {folded(word) for word in self.blocked}
        return (
            (None, blocked)
            if self._personal is None
            else (self._personal.phrases, blocked | self._personal.blocked)
        )

    @cached_property
    def _reading(self) -> Reader:
        return Reader(self.lexicon_, self.network_, *self._own())

    def pack(self, weights: str = "float32") -> float:
        """A keyboard is packed by `fit`, in the format `Keyboard(weights=…)`: raises UsageError."""
        hint = f"Its matrices are in {self.weights}; train with Keyboard(weights=…) for another format."
        raise UsageError("a keyboard is packed already", value=weights, hint=hint)

    def check_arguments(self) -> None:
        """Raise UsageError where an argument is out of its range."""
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise UsageError("dropout must be a number, 0 or more and below 1", value=self.dropout)
        if isinstance(self.blocked, str) or not all(isinstance(each, str) for each in self.blocked):
            raise UsageError("blocked must be a list of words", value=self.blocked)
        if not isinstance(self.epochs, int | float) or not self.epochs > 0:
            raise UsageError("epochs must be a number above 0", value=self.epochs)

    def _fingerprint(self, corpus: Any) -> str:
        import hashlib
        import json

        # How it is kept and what is never shown change nothing in training.
        arguments = {
            name: value for name, value in self.get_params().items() if name not in ("weights", "blocked")
        }
        digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode())
        digest.update(corpus.tokens.tobytes())
        return f"{len(corpus.tokens):,} tokens, {digest.hexdigest()}"

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        lexicon = self.lexicon_
        fitted = {
            "words": " ".join(lexicon.words),
            "marks": list(lexicon.marks),
            "parameters": self.parameters_,
            "outcome": asdict(self.outcome_),
        }
        arrays = {
            "tokens": lexicon.tokens.astype(np.uint16),
            "counts": np.log2(lexicon.counts).astype(np.float16),
        }
        return fitted, arrays, card(self)

    def _packed(self) -> Mapping[str, Packed]:
        return {"network": self.network_}

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        if programs.keys() != {"network"}:
            raise ModelError("a keyboard has one packed network", value=", ".join(programs))
        self._program = programs["network"]

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self.check_arguments()
        counts = np.exp2(weights["counts"].astype(np.float32))
        lexicon = Lexicon(
            fitted["words"].split(" "), counts, weights["tokens"].astype(np.int32), fitted["marks"]
        )
        network = self.__dict__.pop("_program")
        known = network.description
        inputs = [[size, offset is None] for _, size, offset in known["inputs"]]
        if inputs != [[lexicon.vocabulary, True]] or [s for _, s in known["outputs"]] != [
            [1, lexicon.vocabulary]
        ]:
            raise ModelError("network.packed does not fit the words of this model")
        self.outcome_ = Outcome(**fitted["outcome"])
        self.parameters_ = int(fitted["parameters"])
        self.lexicon_, self.network_ = lexicon, network
