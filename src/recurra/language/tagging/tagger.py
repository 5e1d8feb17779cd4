"""The tagger: a tag for each word of a sentence, by a bidirectional recurrent network and a linear-chain CRF."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recurra import __version__, native
from recurra.decoding import Chain
from recurra.errors import ModelError, RecurraError, UsageError
from recurra.estimator import Estimator
from recurra.language.tagging import metrics
from recurra.language.tagging.calibration import SOUND, cooled, temperature_of
from recurra.language.tagging.card import card
from recurra.language.tagging.running import Running, in_groups
from recurra.language.tagging.sentences import check_tags, checked, sentences_of
from recurra.language.tagging.spans import are_spans, forbidden
from recurra.language.tagging.vocabulary import Vocabulary
from recurra.streaming.packed import Packed
from recurra.text.words import spans as word_spans
from recurra.training.outcome import Outcome, outcome_of
from recurra.training.recipe import Recipe

__all__ = ["TaggedWord", "Tagger"]

HELD_OUT, MOST_HELD_OUT = 0.1, 2000  # share of the sentences, and how many at most
ROUNDS, STEPS = 12, (100, 20_000)  # unless told otherwise: so often through the data, within these bounds
EVALUATIONS = 20
CALIBRATED = 500  # held-out sentences that probabilities are fitted to
EXPLAINED = 500  # words of a sentence to explain
LARGEST = {
    "word_size": 4096,
    "character_size": 4096,
    "hidden_size": 8192,
    "layers": 32,
    "batch_size": 65_536,
}

Sentences = Sequence[Sequence[str]]


class TaggedWord(NamedTuple):
    """A word of a text, where it stands there (in characters), its tag, and how probable that is."""

    word: str
    start: int
    stop: int
    tag: str
    probability: float


class Tagger(Estimator):
    """Gives each word of a sentence a tag: parts of speech, names, chunks, slots.

    Parameters
    ----------
    cell: which cell of `recurra.cells` reads: "lstm", "gru", ….
    word_size, character_size: numbers that the network learns about a word, and about its letters.
    hidden_size, layers: units of a layer in each direction, and layers.
    dropout: share of units dropped in training, in [0, 1).
    steps: how many batches to train on; None takes twelve times through the data.
    batch_size, learning_rate: see `training.Recipe`.
    patience: stop after this many evaluations (20 in all) without improvement; None for never.
    seed: the same seed gives the same model on the same machine.

    After `fit`: `classes_` are the tags, `outcome_` says how training went, `held_out_` are the sentences and tags that
    chose the weights (not saved). Training needs torch, use does not.

    The network is that of Huang, Xu & Yu 2015 (arXiv 1508.01991), with letters beside words as in Lample et al. 2016
    (arXiv 1603.01360): embeddings of words and of pieces of words, a bidirectional stack, and a linear-chain CRF. Where
    tags are spans (B-…, I-…, O), only sequences that can be are answered.
    """

    def __init__(
        self,
        *,
        cell: str = "lstm",
        word_size: int = 100,
        character_size: int = 64,
        hidden_size: int = 128,
        layers: int = 1,
        dropout: float = 0.4,
        steps: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 4e-3,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.word_size = word_size
        self.character_size = character_size
        self.hidden_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        tokens: Sentences,
        tags: Sentences,
        *,
        validation: tuple[Sentences, Sentences] | None = None,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on sentences, lists of words, and their tags, as many; forgets any earlier fit.

        `validation`, tokens and tags like these, says which weights are kept; without, a tenth of the sentences is held
        out for it, if there are 20 or more. `max_seconds` ends training early; Ctrl-C does too, and keeps the best so
        far (`outcome_.stopped` is "interrupted"). With `checkpoint`, a folder, a run that was killed goes on where it
        was when the same call is made again.

        Raises InputError for sentences that cannot be used, UsageError for arguments that do not fit.
        """
        self.check_arguments()
        from recurra.language.tagging import fitting

        tokens, tags = checked(tokens, tags)
        if validation is None:
            training, held_out = self._split(tokens, tags)
        else:
            training, held_out = (tokens, tags), checked(*validation)
        vocabulary = Vocabulary.learn(*training)
        check_tags(vocabulary.tags)
        recipe = self._recipe(len(training[0]), max_seconds)
        self._forget()
        learned = fitting.learn(
            self,
            vocabulary,
            training,
            held_out,
            recipe,
            folder=None if checkpoint is None else Path(checkpoint),
            fingerprint=self._fingerprint(training, held_out),
        )
        # All at once: whoever interrupts what is above finds an unfitted model, not half of one.
        self.outcome_: Outcome = learned.outcome
        self.held_out_ = held_out
        self.vocabulary_, self.weights_, self._programs = vocabulary, learned.weights, learned.programs
        self.temperature_ = self._temperature(held_out)
        return self

    @property
    def classes_(self) -> tuple[str, ...]:
        """The tags, in the order of the columns of `predict_proba`."""
        self._check_fitted()
        return self.vocabulary_.tags

    def predict(self, tokens: Sentences) -> list[list[str]]:
        """The most probable tags of each sentence, as many as it has words, chosen together (Viterbi)."""
        tokens = sentences_of(tokens)
        known = self.classes_
        found = in_groups(self._chain.best, self._running.scores(tokens))
        return [[known[number] for number in numbers] for numbers in found]

    def predict_proba(self, tokens: Sentences) -> list[NDArray[np.float64]]:
        """The probability of each tag of `classes_` at each word (T, K) of each sentence, over all sequences.

        They are fitted to the held-out sentences by one number, the temperature (Guo et al. 2017, arXiv 1706.04599).
        """
        tokens = sentences_of(tokens)
        self._check_fitted()
        return self._probabilities(self._running.scores(tokens), self.temperature_)

    def top_k(self, tokens: Sentences, k: int = 3) -> list[list[list[tuple[str, float]]]]:
        """The k most probable tags of each word of each sentence, with their probabilities, the best first."""
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
            raise UsageError("k must be a whole number, 1 or more", value=k)
        known = self.classes_
        found = []
        for chances in self.predict_proba(tokens):
            best = np.argsort(-chances, 1, kind="stable")[:, : int(k)]
            found.append(
                [[(known[n], float(row[n])) for n in each] for row, each in zip(chances, best, strict=True)]
            )
        return found

    def tag(self, text: str) -> list[TaggedWord]:
        """The words of a text, their places, tags and probabilities.

        Words are those of `recurra.text.words`; where training had n't, 's and the like as words, they are cut off.
        """
        if not isinstance(text, str):
            raise UsageError(
                "a text was expected", value=type(text).__name__, hint="predict takes lists of words."
            )
        self._check_fitted()
        places = []
        for start, stop in word_spans(text):
            for part in self.vocabulary_.parts(text[start:stop]):
                places.append((start, start + len(part)))
                start += len(part)
        words = [text[start:stop] for start, stop in places]
        (tags,), (chances,) = self.predict([words]), self.predict_proba([words])
        known = {tag: number for number, tag in enumerate(self.classes_)}
        return [
            TaggedWord(word, start, stop, tag, float(row[known[tag]]))
            for word, (start, stop), tag, row in zip(words, places, tags, chances, strict=True)
        ]

    def explain(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """How much each word of a sentence speaks for each word's tag (T, T), by occlusion.

        Row t, column s: by how much the probability of the tag of word t falls when word s is hidden; below 0 where it
        rises. Zeiler & Fergus 2014 (arXiv 1311.2901), section 4.2, on words. Raises UsageError for a sentence of more
        than 500 words.
        """
        (sentence,) = sentences_of([tokens])
        self._check_fitted()
        if len(sentence) > EXPLAINED:
            hint = "Explain a part of it."
            raise UsageError(f"at most {EXPLAINED} words can be explained", value=len(sentence), hint=hint)
        size = len(sentence)
        places: list[int | None] = [None, *range(size)]
        scores = self._running.scores([sentence] * (size + 1), places)
        chances = np.stack(self._probabilities(scores, self.temperature_))
        best = self._chain.best(scores[0][None])[0]
        of_best = chances[:, np.arange(size), best]  # (1 + T, T)
        return np.asarray((of_best[0] - of_best[1:]).T)

    def score(self, tokens: Sentences, tags: Sentences) -> float:
        """The share of words whose tag is right."""
        return self.evaluate(tokens, tags).accuracy

    def evaluate(self, tokens: Sentences, tags: Sentences) -> metrics.Scores:
        """How good the tags of sentences are: accuracy, each tag's own scores, and those of spans where there are."""
        self._check_fitted()
        tokens, tags = checked(tokens, tags)
        return metrics.scores(tokens, tags, self.predict(tokens), set(self.vocabulary_.words))

    def pack(self, weights: str = "float32") -> float:
        """Store the stack's matrices in "float32", "float16", "int8" or "int4"; `save` keeps them.

        Returns the share of words of a drawn text whose tag changes. Raises UsageError where the stack's outputs are
        too far from what was trained.
        """
        self._check_fitted()
        from recurra.language.tagging import fitting

        words = np.random.default_rng(0).choice([*self.vocabulary_.words, "?"], (64, 16)).tolist()
        before = self.predict(words)
        self._programs = fitting.pack(self, weights)
        self._unload()
        return float(np.mean(np.array(before) != np.array(self.predict(words))))

    def check_arguments(self) -> None:
        """Raise UsageError where an argument is out of its range, MissingExtraError where torch is not installed.

        Raises RecurraError where recurra's extension was not built: no tagger runs without it.
        """
        self._check_ranges()
        _check_extension()
        from recurra.language.tagging import fitting

        fitting.cell_named(self.cell)

    def _check_ranges(self) -> None:
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
                raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float):
            raise UsageError("dropout must be a number, 0 or more and below 1", value=self.dropout)
        if not 0 <= self.dropout < 1:
            raise UsageError("dropout must be a number, 0 or more and below 1", value=self.dropout)
        if not isinstance(self.cell, str):
            raise UsageError("cell must be the name of a cell", value=self.cell)
        self._recipe(1, None)

    def _recipe(self, sentences: int, max_seconds: float | None) -> Recipe:
        steps = (
            int(np.clip(ROUNDS * sentences / self.batch_size, *STEPS)) if self.steps is None else self.steps
        )
        return Recipe(
            steps=steps,
            learning_rate=self.learning_rate,
            average=0.995,
            evaluate_every=max(1, steps // EVALUATIONS) if isinstance(steps, int) else 1,
            patience=self.patience,
            max_seconds=max_seconds,
            seed=self.seed,
        )

    def _split(self, tokens: Sentences, tags: Sentences) -> tuple[tuple[Sentences, Sentences], ...]:
        """Sentences to train on, and those held out."""
        count = min(int(HELD_OUT * len(tokens)), MOST_HELD_OUT) if len(tokens) >= 20 else 0
        order = np.random.default_rng(self.seed).permutation(len(tokens))
        parts = np.sort(order[count:]), np.sort(order[:count])
        return tuple(([tokens[row] for row in rows], [tags[row] for row in rows]) for rows in parts)

    def _fingerprint(self, *parts: tuple[Sentences, Sentences]) -> str:
        digest = hashlib.sha256()
        arguments = {k: v for k, v in self.get_params(deep=False).items() if k != "patience"}
        digest.update(json.dumps(arguments, sort_keys=True, default=str).encode())
        for sentence in (each for part in parts for side in part for each in side):
            digest.update(json.dumps(list(sentence)).encode())
        return f"{len(parts[0][0]):,} sentences, {digest.hexdigest()}"

    @cached_property
    def _running(self) -> Running:
        _check_extension()
        return Running(self.vocabulary_, self.weights_, self._programs)

    @cached_property
    def _chain(self) -> Chain:
        """The chain, without what cannot be where tags are spans."""
        chain, tags = self._running.chain, self.vocabulary_.tags
        if not are_spans(tags):
            return chain
        after, first = forbidden(tags)
        return Chain(
            np.where(after, -np.inf, chain.transitions), np.where(first, -np.inf, chain.start), chain.end
        )

    def _probabilities(self, scores: Sequence[NDArray[np.float32]], temperature: float) -> list[NDArray[Any]]:
        chain = cooled(self._chain, temperature)
        return in_groups(chain.marginals, [each / np.float32(temperature) for each in scores])

    def _temperature(self, held_out: tuple[Sentences, Sentences]) -> float:
        """The temperature that fits the probabilities to held-out sentences, the first ones if they are many."""
        tokens, tags = (side[:CALIBRATED] for side in held_out)
        numbers = {tag: number for number, tag in enumerate(self.vocabulary_.tags)}
        right = [np.array([numbers.get(tag, -1) for tag in each], np.int64) for each in tags]
        scores = self._running.scores(tokens)
        return temperature_of(lambda temperature: self._probabilities(scores, temperature), right)

    def _unload(self) -> None:
        for name in ("_running", "_chain"):
            self.__dict__.pop(name, None)

    def _forget(self) -> None:
        self._unload()
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("__")]:
            delattr(self, name)

    def __getstate__(self) -> dict[str, Any]:
        """Without what runs: each process, and each copy, has engines of its own."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_running", "_chain")}

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know of an estimator; nobody else calls it."""
        from sklearn.utils import InputTags, Tags, TargetTags  # type: ignore[import-untyped]

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True),
            input_tags=InputTags(one_d_array=True, two_d_array=False),
        )

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        fitted: dict[str, Any] = {"vocabulary": self.vocabulary_.as_dict(), "outcome": asdict(self.outcome_)}
        fitted["temperature"] = self.temperature_
        return fitted, dict(self.weights_), card(self, fitted, __version__)

    def _packed(self) -> Mapping[str, Packed]:
        return self._programs

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        if not programs:
            raise ModelError("a tagger's stack is missing", hint="Copy the whole folder again.")
        self._programs = dict(programs)

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._check_ranges()
        self.vocabulary_ = Vocabulary.from_dict(fitted["vocabulary"])
        self.weights_ = dict(weights)
        self.outcome_ = outcome_of(fitted["outcome"])
        self.temperature_ = float(fitted["temperature"])
        if not SOUND[0] <= self.temperature_ <= SOUND[1]:
            raise ModelError("the temperature of probabilities is out of range", value=self.temperature_)
        _ = self._running  # it is made, and so checked, now


def _check_extension() -> None:
    if not native.available():
        hint = "See recurra doctor."
        raise RecurraError("a tagger needs recurra's extension, which was not built here", hint=hint)
