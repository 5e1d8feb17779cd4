"""The classifier: texts to labels, with probabilities that can be believed and reasons that can be read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recurra import native
from recurra.errors import InputError, ModelError, UsageError
from recurra.estimator import Estimator
from recurra.language.classification.card import card
from recurra.language.classification.evaluation import Evaluation, temperature_of
from recurra.language.classification.explanation import Explanation
from recurra.language.classification.explanation import explain as explain_words
from recurra.language.classification.features import Features
from recurra.language.classification.labels import Label, label_weights, labels_of, texts_of
from recurra.language.classification.reader import Reader
from recurra.streaming.packed import BOUNDS, Packed
from recurra.text.characters import CharacterGrams
from recurra.training.outcome import Outcome, outcome_of
from recurra.training.recipe import Recipe

__all__ = ["TextClassifier"]

LEAST_STEPS = 120
MOST_UNCHECKED = 20  # labels that may have one text each
UNBALANCED = 10  # times as many texts of the most frequent class: worth a note
LARGEST = {
    "size": 4096,
    "hidden_size": 4096,
    "layers": 16,
    "members": 32,
    "epochs": 10_000,
    "batch_size": 65536,
}
LARGEST |= {"max_words": 100_000}
PROBES = 64  # drawn texts that a packed network is compared with its source on


class TextClassifier(Estimator):
    """Gives texts one label each, by bidirectional recurrent networks over words and their letters.

    Parameters
    ----------
    cell: which cell of `recurra.cells` reads: "lstm", "gru", ….
    size: numbers that stand for a word.
    hidden_size, layers: units of each direction of a layer, and layers.
    members: networks whose scores are averaged: more of them are better and slower.
    dropout: share of units dropped in training, in [0, 1).
    word_dropout: share of words taken for unknown in training, in [0, 1), so that unknown words can be read.
    epochs: how often all texts are gone through.
    batch_size, learning_rate: see `training.Recipe`; of few texts a batch holds a tenth.
    class_weight: how much a text counts by its label: "balanced", a mapping from labels to numbers, or None.
    held_out: share of the texts, in [0, 0.5], that are not trained on: the probabilities are set by them.
    max_words: words that are read of a text; of a longer one its beginning and its end.
    seed: the same seed gives the same model on the same machine.

    After `fit`: `classes_` are the labels in order, `held_out_` says how good the answers are on the texts held out,
    `notes_` what was decided about the data, `outcome_` how training went. Training needs torch; a trained model
    does not.

    The network is a bidirectional stack over the sum of a word's vector and those of its pieces (Bojanowski et al.
    2017, arXiv 1607.04606), read out by the largest and the mean of each output; beside it stand words and pairs of
    words with their log-count ratios (Wang & Manning 2012), whose scores are added. Probabilities are calibrated by
    temperature scaling (Guo et al. 2017, arXiv 1706.04599).
    """

    def __init__(
        self,
        *,
        cell: str = "lstm",
        size: int = 100,
        hidden_size: int = 100,
        layers: int = 1,
        members: int = 3,
        dropout: float = 0.4,
        word_dropout: float = 0.1,
        epochs: int = 5,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        class_weight: str | Mapping[Any, float] | None = None,
        held_out: float = 0.1,
        max_words: int = 500,
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.size = size
        self.hidden_size = hidden_size
        self.layers = layers
        self.members = members
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.held_out = held_out
        self.max_words = max_words
        self.seed = seed

    def fit(
        self,
        texts: Any,
        labels: Any,
        *,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on texts (N) and their labels (N), texts or whole numbers; forgets any earlier fit.

        `max_seconds` ends training early; Ctrl-C does too, and keeps the best so far (`outcome_.stopped` is
        "interrupted"). With `checkpoint`, a folder, a run that was killed goes on where it was when the same call is
        made again, to the same model bit for bit.

        Raises InputError for texts and labels that cannot be used (one class, a label that is missing), UsageError for
        arguments that do not fit.
        """
        self.check_arguments()
        from recurra.language.classification import fitting

        given = texts_of(texts)
        found = labels_of(labels, len(given))
        empty = Features((), CharacterGrams(()), (), self.max_words)
        split = [empty.split(text).words for text in given]
        kept = np.array([number for number, words in enumerate(split) if words], np.int64)
        classes, numbers = found
        counts = np.bincount(numbers[kept], minlength=len(classes))
        _check_classes(classes, counts)
        notes = _notes(len(given) - len(kept), classes, counts, self.class_weight)
        weights = label_weights(self.class_weight, classes, counts)
        held = self._hold_out(numbers[kept])
        inside, outside = kept[~held], kept[held]
        if len(outside):
            notes.append(f"{len(outside):,} of {len(kept):,} texts were held out.")
        else:
            notes.append(
                "No texts were held out: how good the answers are is not known, nor how sure to be of them."
            )
        features = Features.learn([split[n] for n in inside], self.max_words)
        learned = fitting.learn(
            self,
            features,
            fitting.Examples([split[n] for n in inside], numbers[inside]),
            weights,
            self._recipe(len(inside), max_seconds),
            batch_size=self._batch(len(inside)),
            folder=None if checkpoint is None else Path(checkpoint),
            fingerprint=self._fingerprint(given, numbers, classes),
        )
        reader = Reader(features, learned.weights, learned.programs, self.members, len(classes))
        temperature = temperature_of(reader.scores([split[n] for n in outside]), numbers[outside])
        # All at once: whoever interrupts what is above finds an unfitted model, not half of one.
        self._forget()
        self._reader, self._classes = reader, classes
        self.classes_ = np.array(classes)
        self.temperature_, self.prior_ = temperature, counts / counts.sum()
        self.outcome_: Outcome = learned.outcome
        self.notes_ = tuple(notes)
        self.held_out_: Evaluation | None = None
        self.figures_: dict[str, Any] | None = None
        if len(outside):
            self.held_out_ = self.evaluate(
                [given[n] for n in outside], [classes[n] for n in numbers[outside]]
            )
            self.figures_ = {n: v for n, v in self.held_out_.as_dict().items() if n != "confusion"}
        return self

    def predict(self, texts: Any) -> NDArray[Any]:
        """The most probable label of each text, (N,)."""
        best = self.predict_proba(texts).argmax(1)
        found: NDArray[Any] = self.classes_[best]
        return found

    def predict_proba(self, texts: Any) -> NDArray[np.float64]:
        """The probability of each label, (N, K) in the order of `classes_`.

        A text without a word gets the labels' shares in training. Raises NotFittedError before `fit`.
        """
        self._check_fitted()
        return self._probabilities([self._reader.features.split(text).words for text in texts_of(texts)])

    def top_k(self, texts: Any, k: int = 3) -> list[list[tuple[Label, float]]]:
        """Of each text the `k` most probable labels with their probabilities, the first one first."""
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
            raise UsageError("k must be a whole number, 1 or more", value=k)
        probabilities = self.predict_proba(texts)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : int(k)]
        return [
            [(self._classes[n], float(row[n])) for n in chosen]
            for row, chosen in zip(probabilities, order, strict=True)
        ]

    def explain(self, text: str, label: Any = None) -> Explanation:
        """What each word of a text does for a label, None for the most probable one.

        Each word is left out in turn. Raises UsageError for a label that there is none of.
        """
        self._check_fitted()
        words = self._reader.features.split(texts_of([text])[0])
        if label is None:
            number = int(self._probabilities([words.words])[0].argmax())
        else:
            number = self._number(label)
            if number < 0:
                hint = f"There are: {', '.join(map(str, self._classes[:20]))}."
                raise UsageError("the model has no such label", value=label, hint=hint)
        return explain_words(text, words, self._classes[number], number, self._probabilities)

    def evaluate(self, texts: Any, labels: Any) -> Evaluation:
        """The answers to texts beside their true labels; a label that the model does not know counts as missed."""
        given = texts_of(texts)
        probabilities = self.predict_proba(given)
        classes, numbers = labels_of(labels, len(given))
        if not given:
            raise InputError("there are no texts to evaluate on")
        truth = np.array([self._number(label) for label in classes], np.int64)[numbers]
        return Evaluation(self._classes, tuple(given), truth, probabilities)

    def score(self, texts: Any, labels: Any) -> float:
        """The share of the texts that get their true label."""
        return self.evaluate(texts, labels).accuracy

    def pack(self, weights: str = "float32", *, bound: float | None = None) -> float:
        """Store the weights in fewer bits, "float16", "int8" or "int4", once, from float32; needs no torch.

        Words' vectors are stored in float16 then. Returns how far the scores are from those before, over drawn texts,
        as a share of their size; raises UsageError where that is more than `bound` (None: 0.01, 0.1 and 0.5).
        """
        self._check_fitted()
        before = self._reader
        programs = {name: each.reformatted(weights) for name, each in before.programs.items()}
        tables = {
            name: table.astype(np.float16)
            if weights != "float32" and name.endswith(("words", "pieces", "runs"))
            else table
            for name, table in before.weights.items()
        }
        after = Reader(before.features, tables, programs, self.members, len(self._classes))
        texts = _drawn(before.features)
        there, here = before.scores(texts), after.scores(texts)
        there, here = (each - each.mean(1, keepdims=True) for each in (there, here))
        error = float(np.sqrt(np.mean((here - there) ** 2) / np.mean(there**2)))
        limit = BOUNDS[weights] if bound is None else bound
        if not error <= limit:
            what = f"with weights in {weights} the scores differ by {error:.3g} of their size, {limit:.3g} is allowed"
            raise UsageError(what, hint="Use weights of more bits, or allow more with bound= in Python.")
        self._reader = after
        return error

    def report(self, path: str | os.PathLike[str], evaluation: Evaluation | None = None) -> None:
        """Write a page with pictures of an evaluation, None for that of the texts held out, to an HTML file.

        Raises UsageError where there is none, InputError where the file cannot be written.
        """
        from recurra.language.classification.report import write_report

        self._check_fitted()
        evaluation = self.held_out_ if evaluation is None else evaluation
        if evaluation is None:
            hint = "Give what evaluate(texts, labels) returns."
            raise UsageError("a report needs texts whose labels are known", hint=hint)
        write_report(path, self, evaluation)

    def check_arguments(self) -> None:
        """Raise UsageError where an argument is out of its range, MissingExtraError where torch is not installed."""
        self._check_ranges()
        from recurra.language.classification import fitting

        fitting.cell_named(self.cell)

    def _check_ranges(self) -> None:
        for name, most in LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
                raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)
        for name, limit in (("dropout", 1), ("word_dropout", 1), ("held_out", 0.500001)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < limit:
                raise UsageError(f"{name} must be a number, 0 or more and below {limit:g}", value=value)
        if not isinstance(self.cell, str):
            raise UsageError("cell must be the name of a cell", value=self.cell)
        if not isinstance(self.class_weight, str | Mapping | None):
            raise UsageError("class_weight is 'balanced', a mapping or None", value=self.class_weight)
        Recipe(learning_rate=self.learning_rate, seed=self.seed)

    def _batch(self, texts: int) -> int:
        return int(min(self.batch_size, max(4, texts // 10)))

    def _recipe(self, texts: int, max_seconds: float | None) -> Recipe:
        steps = max(LEAST_STEPS, self.epochs * -(-texts // self._batch(texts)))
        return Recipe(
            steps=steps,
            learning_rate=self.learning_rate,
            average=0.98,
            evaluate_every=steps,
            max_seconds=max_seconds,
            seed=self.seed,
        )

    def _hold_out(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which texts (N,) are held out: the same share of each class, and never all of one."""
        held = np.zeros(len(numbers), np.bool_)
        generator = np.random.default_rng(self.seed)
        for number in range(int(numbers.max()) + 1):
            own = generator.permutation(np.flatnonzero(numbers == number))
            held[own[: min(round(self.held_out * len(own)), len(own) - 1)]] = True
        return held

    def _fingerprint(self, texts: Sequence[str], numbers: NDArray[np.int64], classes: Sequence[Label]) -> str:
        digest = hashlib.sha256(json.dumps(self.get_params(), sort_keys=True, default=str).encode())
        digest.update(json.dumps([list(classes), numbers.tolist()]).encode())
        for text in texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return f"{len(texts):,} texts, {len(classes):,} labels, {digest.hexdigest()}"

    def _probabilities(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        scores = self._reader.scores(texts) / self.temperature_
        p: NDArray[np.float64] = np.exp(scores - scores.max(1, keepdims=True, initial=-np.inf))
        p /= p.sum(1, keepdims=True)
        p[[not text for text in texts]] = self.prior_
        return p

    def _number(self, label: Any) -> int:
        """The number of a label, -1 for one that there is none of; a file's labels are texts."""
        return self._numbers.get(str(label), -1)

    @property
    def _numbers(self) -> dict[str, int]:
        return {str(each): number for number, each in enumerate(self._classes)}

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("__")]:
            delattr(self, name)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        features = self._reader.features
        grams = features.grams
        fitted = {
            "classes": list(self._classes),
            "words": list(features.words),
            "runs": list(features.runs),
            "pieces": {"grams": list(grams.grams), "shortest": grams.shortest, "longest": grams.longest},
            "temperature": self.temperature_,
            "prior": self.prior_.tolist(),
            "held_out": self.figures_,
            "notes": list(self.notes_),
            "outcome": asdict(self.outcome_),
        }
        return fitted, self._reader.weights, card(self, fitted)

    def _packed(self) -> Mapping[str, Packed]:
        return self._reader.programs

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        self._programs = dict(programs)

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._check_ranges()
        classes = labels_of(fitted["classes"], len(fitted["classes"])).classes
        if list(classes) != fitted["classes"] or len(classes) < 2:
            raise ModelError("the classes must be two labels at least, in order", value=fitted["classes"][:5])
        pieces = fitted["pieces"]
        grams = CharacterGrams(texts_of(pieces["grams"]), pieces["shortest"], pieces["longest"])
        features = Features(texts_of(fitted["words"]), grams, texts_of(fitted["runs"]), self.max_words)
        self._classes = classes
        self._reader = Reader(features, weights, self.__dict__.pop("_programs"), self.members, len(classes))
        if native.available():
            self._reader.scores([("a", "text"), ()])  # the engine looks at every number of a program
        self.temperature_ = float(fitted["temperature"])
        self.prior_ = np.array(fitted["prior"], np.float64)
        if not 0.01 < self.temperature_ < 100:
            raise ModelError("the temperature is out of range", value=self.temperature_)
        if (
            self.prior_.shape != (len(classes),)
            or not (self.prior_ >= 0).all()
            or abs(self.prior_.sum() - 1) > 1e-6
        ):
            raise ModelError("the classes' shares must sum to 1", value=self.prior_.shape)
        self.classes_ = np.array(classes)
        self.held_out_, self.figures_ = None, fitted["held_out"]
        self.notes_ = tuple(map(str, fitted["notes"]))
        self.outcome_ = outcome_of(fitted["outcome"])

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know of a classifier; nobody else calls it."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # type: ignore[import-untyped]

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )


def _check_classes(classes: Sequence[Label], counts: NDArray[np.int64]) -> None:
    if not counts.sum():
        raise InputError("there is no text with a word in it to train on")
    if len(classes) < 2:
        hint = "Give texts of two labels at least."
        raise InputError(
            "all texts have the same label, and there is nothing to tell apart", value=classes[0], hint=hint
        )
    if len(classes) > MOST_UNCHECKED and 2 * len(classes) > counts.sum():
        hint = "Is this the column of labels? Most labels need several texts."
        raise InputError(
            f"{counts.sum():,} texts have {len(classes):,} different labels", value=classes[0], hint=hint
        )
    if not counts.all():
        label = classes[int(np.argmin(counts))]
        raise InputError("no text with this label has a word in it", value=label, hint="Leave the label out.")


def _notes(
    empty: int,
    classes: Sequence[Label],
    counts: NDArray[np.int64],
    class_weight: str | Mapping[Any, float] | None,
) -> list[str]:
    notes = []
    if empty:
        notes.append(f"{empty:,} {'text' if empty == 1 else 'texts'} without a word left out.")
    low, high = int(counts.argmin()), int(counts.argmax())
    if class_weight is None and counts[high] >= UNBALANCED * counts[low]:
        notes.append(
            f"Labels are unbalanced: {classes[high]!r} has {counts[high]:,} texts, {classes[low]!r} {counts[low]:,}. "
            "With class_weight='balanced' (--balanced) rare labels count as much as frequent ones."
        )
    return notes


def _drawn(features: Features) -> list[list[str]]:
    """Texts of known words, to compare networks with."""
    generator = np.random.default_rng(0)
    words = features.words or ("text",)
    return [[words[i] for i in generator.integers(len(words), size=5 + n % 20)] for n in range(PROBES)]
