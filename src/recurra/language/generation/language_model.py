"""The language model: a recurrent network that says what comes next, as new text, as a score, as the next words."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from recurra import native
from recurra.artifact import digest_of
from recurra.errors import InputError, RecurraError, UsageError
from recurra.estimator import Estimator
from recurra.language.generation import generating, persistence, reading, settings, writing
from recurra.language.generation import recent as cache
from recurra.language.generation.scoring import Score, score, scored
from recurra.language.generation.settings import Architecture
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine
from recurra.text.copies import Copy
from recurra.training.outcome import Outcome
from recurra.training.recipe import Recipe

if TYPE_CHECKING:
    from recurra.networks import TokenNetwork

__all__ = ["LanguageModel"]

EPOCHS, STEPS, LOOKS = 10, (300, 40_000), 20  # unless told otherwise; so many looks at the held-out text


class LanguageModel(Estimator):
    """Learns from texts what comes next; then writes, scores and completes.

    Parameters
    ----------
    cell: which cell of `recurra.cells`, or which block of `recurra.networks.blocks`, remembers: "lstm", "gru", ….
    size: "tiny", "small", "medium" or "large", what the five arguments that follow are unless given.
    vocabulary: how many tokens.
    embedding_size, hidden_size, layers: numbers of a token's vector, units of a layer, and layers.
    dropout: share of what passes between layers that is dropped in training, the same units at all steps.
    tokenizer: "bpe", "words", "spaced", "characters" or "bytes": see `recurra.text.tokenizer`.
    tied: whether one matrix reads tokens and scores them.
    cutoffs: where an adaptive softmax has its clusters, for large vocabularies; it needs tied=False.
    sampled: how many tokens the softmax is computed of in training, for large vocabularies; 0: all of them.
    norm, residual: see `recurra.networks.Recurrent`.
    input_dropout, output_dropout: of what enters the stack and the head; None: as dropout.
    word_dropout, weight_drop, activation_regularization, temporal_regularization: see `recurra.networks`
        (Merity et al. 2017, arXiv 1708.02182).
    batch_size, window: how many streams of text are read at once, and how many tokens of each before a step.
    steps: how many batches to train on; None: ten times through the text, 300 to 40,000.
    learning_rate, weight_decay, average, clip, patience: see `training.Recipe`.
    held_out: share of the text that is kept to see how well it learns, below 0.9; 0 keeps none.
    copy_run: how many words in a row, an odd number, count as a copy of the texts (`copies`); 0 keeps no index of them.
    seed: the same seed gives the same model on the same machine.

    After `fit`: `tokenizer_`, `kinds_`, `quality_` (nats a token, on held-out text), `outcome_` how training went,
    `notes_` what was decided. Training needs torch; writing and scoring do not.
    """

    def __init__(
        self,
        cell: str = "lstm",
        size: str = "small",
        *,
        vocabulary: int | None = None,
        embedding_size: int | None = None,
        hidden_size: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        tokenizer: str = "bpe",
        tied: bool = True,
        cutoffs: Sequence[int] | None = None,
        sampled: int = 0,
        norm: str | None = None,
        residual: bool = False,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        word_dropout: float = 0.0,
        weight_drop: float = 0.0,
        activation_regularization: float = 0.0,
        temporal_regularization: float = 0.0,
        batch_size: int = 32,
        window: int = 64,
        steps: int | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        average: float = 0.99,
        clip: float = 0.5,
        patience: int | None = 6,
        held_out: float = 0.05,
        copy_run: int = 31,
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.size = size
        self.vocabulary = vocabulary
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        self.tokenizer = tokenizer
        self.tied = tied
        self.cutoffs = cutoffs
        self.sampled = sampled
        self.norm = norm
        self.residual = residual
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout
        self.word_dropout = word_dropout
        self.weight_drop = weight_drop
        self.activation_regularization = activation_regularization
        self.temporal_regularization = temporal_regularization
        self.batch_size = batch_size
        self.window = window
        self.steps = steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.average = average
        self.clip = clip
        self.patience = patience
        self.held_out = held_out
        self.copy_run = copy_run
        self.seed = seed

    def fit(
        self,
        texts: Any,
        kinds: Sequence[str | None] | str | None = None,
        *,
        validation: Any = None,
        max_seconds: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Self:
        """Learn from texts; forgets any earlier fit.

        Parameters
        ----------
        texts: a list of strings, paths of files and folders, or `recurra.text.documents.Files` or `Texts`.
        kinds: what kind each text is, such as "blog"; of files with rows, the column that says it. Sub-folders are
            kinds by themselves. They are learnt as conditions.
        validation: texts as `texts` to see how well it learns; None: a share `held_out` of the texts.
        max_seconds: ends training early; Ctrl-C does too, and keeps the best so far.
        checkpoint: a folder; a run that was killed goes on where it was when the same call is made again. It also keeps
            the text as tokens, so that a corpus may be larger than memory.
        say: called with what there is to tell while it learns: how well, and a sample.

        Raises InputError for texts that cannot be used, UsageError for arguments that do not fit.
        """
        self.check_arguments()
        from recurra.language.generation import fitting

        tell = say or _silent
        cache = None if checkpoint is None else Path(checkpoint) / "corpus"
        data = reading.read(self, texts, kinds, validation, cache, tell)
        architecture = Architecture.of(self, data.tokenizer.size)
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)
        opening, decode = data.opening(32), data.tokenizer.decode
        specials = [i for i, each in enumerate(data.tokenizer.pieces) if not each]

        def seen(network: TokenNetwork, nats: float) -> None:
            text = decode(fitting.sample(network, opening, 60, specials, self.seed))
            tell(f"{nats:.3f} nats a held-out token. It goes on: {decode(opening[-12:])} ⟶ {text}")

        outcome, network = fitting.learn(
            architecture,
            data.learned,
            data.held,
            self._recipe(data.learned.size, max_seconds),
            rows=self.batch_size,
            steps=self.window,
            folder=None if checkpoint is None else Path(checkpoint),
            fingerprint=self._fingerprint(data),
            sampled=self.sampled,
            seen=None if say is None else seen,
        )
        weights = fitting.arrays_of(network)
        about = {"of": digest_of(weights)}
        packed, _ = fitting.pack(network, "float32", reading.sample(data), about)
        self.outcome_: Outcome = outcome
        self.tokenizer_, self.kinds_, self.notes_ = data.tokenizer, data.kinds, data.notes
        self.weights_, self.packed_, self.quality_ = weights, packed, data.quality(outcome.best_loss)
        self.parameters_, self.copies_ = fitting.parameters(network), data.copies
        return self

    @overload
    def generate(self, prompt: str = ..., *, n: None = ..., **named: Any) -> str: ...
    @overload
    def generate(self, prompt: str = ..., *, n: int, **named: Any) -> list[str]: ...

    def generate(self, prompt: str = "", *, n: int | None = None, **named: Any) -> str | list[str]:
        """Write on from a prompt; the result does not repeat it. With `n` a list of so many texts.

        Takes the settings of `stream`. Raises as `stream` does.
        """
        self._check_fitted()
        count = 1 if n is None else n
        pieces = list(generating.write(self, prompt, count, **named))
        texts = ["".join(piece for number, piece in pieces if number == each) for each in range(count)]
        return texts[0] if n is None else texts

    def stream(self, prompt: str = "", **named: Any) -> Iterator[str]:
        """Write on from a prompt, piece by piece as it comes.

        Parameters
        ----------
        prompt: what the text begins with; empty for a new text.
        max_tokens: how many tokens come at most, 1 or more.
        temperature, top_k, top_p, min_p, repetition_penalty, repetition_window: see `recurra.decoding.Sampling`.
        stop: strings at which the text ends; they do not show.
        kind: what kind of text to write, one of `kinds_`.
        topics: words that must appear; each comes by itself, or is put where the network finds it least surprising.
        pattern: a regular expression that the text matches as a whole (`recurra[grammar]`).
        schema: a JSON schema that the text follows.
        recent: share of a cache of recent words in what comes next, 0 … 1 exclusive (Grave et al. 2017).
        seed: the same seed gives the same text, whatever runs beside it; None: the model's.

        Raises UsageError for settings that do not fit and for topics that max_tokens leaves no room for, InputError
        where it leaves none for the rest of the pattern or schema, NotFittedError before `fit`.
        """
        self._check_fitted()
        for _, piece in generating.write(self, prompt, 1, **named):
            yield piece

    def score(self, text: str, *, kind: str | None = None, recent: float = 0.0) -> Score:
        """How surprising a text is, token by token, from its beginning on.

        recent: share of a cache of recent words (`stream`), which makes what comes again less surprising.

        Raises UsageError for a kind that the model does not know, and for a cell that a cache cannot be had with.
        """
        self._check_fitted()
        tokens = np.array(self.encode(text), np.int64)
        with writing.begin(self.engine_, self.start(kind)) as session:
            if recent:
                return scored(
                    cache.read(session, tokens, cache.Recent(recent)), tokens, self.tokenizer_.pieces, text
                )
            return score(session, tokens, self.tokenizer_.pieces, text)

    def copies(self, text: str, *, behind: int = 0) -> list[Copy]:
        """Where a text repeats the texts that the model learnt from, over `copy_run` words or more.

        Every such run is found, whatever its capitals and punctuation; some shorter ones are, too
        (`recurra.text.copies`). None are where the model keeps no index. `behind` leaves out those that end before
        this many characters, such as a prompt's.
        """
        self._check_fitted()
        found = [] if self.copies_ is None else self.copies_.find(text)
        return [each for each in found if each.stop > behind]

    def suggest(
        self, context: str, prefix: str = "", k: int = 3, *, kind: str | None = None
    ) -> list[tuple[str, float]]:
        """The k words that most probably come next and begin with `prefix`, with their probabilities.

        The probability is that of the word among all that may follow `context`; fewer than k come where the network
        knows no more.
        """
        self._check_fitted()
        return generating.suggest(self, context, prefix, k, kind)

    def beam(
        self, prompt: str = "", *, width: int = 4, n: int = 1, max_tokens: int = 50, kind: str | None = None
    ) -> list[str]:
        """The n most probable ways to go on to the end of the text, by beam search; the best first.

        Tokens' log-probabilities are summed and normalized by length (`recurra.decoding.beam_search`).
        """
        self._check_fitted()
        return generating.beam(self, prompt, width=width, n=n, max_tokens=max_tokens, kind=kind)

    def adapt(self, texts: Any, *, rate: float = 1e-3, passes: int = 1) -> Self:
        """Go on learning from a few texts of one's own, window by window (Krause et al. 2018); needs torch.

        Parameters
        ----------
        texts: as for `fit`, or one string.
        rate: how far each window moves the weights, above 0.
        passes: how often the texts are read.

        `notes_` tells how surprising they were while they were read. Raises UsageError for a model that holds only a
        packed network.
        """
        self._check_fitted()
        network = copy.deepcopy(self.network_)  # one that is interrupted leaves the model as it was
        from recurra.language.generation import fitting

        listed = [texts] if isinstance(texts, str) else texts
        tokens = [
            t
            for each in reading.documents_of(listed, None, _silent)
            for t in [*self.start(), *self.encode(each.text)]
        ]
        if len(tokens) < reading.FEWEST:
            raise InputError("this is too little text to learn from", value=f"{len(tokens)} tokens")
        told = fitting.adapt(network, tokens, rate=rate, passes=passes)
        self.weights_, self.network_ = fitting.arrays_of(network), network
        self.pack(self.packed_.description["about"]["weights"])
        nats = ", then ".join(f"{each:.3f}" for each in told)
        self.notes_ = (*self.notes_, f"Adapted to {len(tokens):,} tokens of other text: {nats} nats a token")
        return self

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return [int(token) for token in self.tokenizer_.encode(text)]

    def start(self, kind: str | None = None) -> list[int]:
        """The tokens that stand before a text of a kind; UsageError for a kind that the model does not know."""
        self._check_fitted()
        return reading.start(self.tokenizer_, self.kinds_, kind)

    def pack(self, weights: str = "int8", *, only: bool = False) -> float:
        """Store the network as the engine runs it in fewer bits: "float32", "float16", "int8" or "int4".

        Parameters
        ----------
        only: let go of the weights as they were trained: the folder is small then, and cannot be trained further.

        Returns how far its scores are from the source's, as a share of their size. Raises UsageError where that is too
        far, for an unknown format, and where the source is gone.
        """
        self._check_fitted()
        from recurra.language.generation import fitting

        about = {"of": digest_of(self.weights_)}
        packed, error = fitting.pack(self.network_, weights, None, about)
        self.packed_ = packed
        self.__dict__.pop("engine_", None)
        if only:
            self.weights_ = {}
            self.__dict__.pop("network_", None)
        return error

    def check_arguments(self) -> None:
        """Raise UsageError where an argument is out of its range, MissingExtraError where torch is not installed."""
        settings.check(self)
        self._recipe(1, None)
        from recurra.language.generation import fitting

        fitting.cell_named(self.cell)

    @cached_property
    def network_(self) -> TokenNetwork:
        """The trained network, for torch; UsageError where the model holds only a packed one."""
        self._check_fitted()
        if not self.weights_:
            hint = "Use the model's folder from before it was packed so."
            raise UsageError("this model holds only a packed network, which cannot be trained", hint=hint)
        from recurra.language.generation import fitting

        return fitting.network_of(Architecture.of(self, self.tokenizer_.size), self.weights_)

    @cached_property
    def engine_(self) -> Engine:
        """What runs the packed network."""
        self._check_fitted()
        if not native.available():
            hint = "See recurra doctor."
            raise RecurraError(
                "a language model needs recurra's extension, which was not built here", hint=hint
            )
        return Engine(self.packed_)

    def _recipe(self, size: int, max_seconds: float | None) -> Recipe:
        steps = int(np.clip(EPOCHS * size / (self.batch_size * self.window), *STEPS))
        steps = steps if self.steps is None else self.steps
        return Recipe(
            steps=steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            average=self.average,
            clip=self.clip,
            evaluate_every=max(min(50, steps), steps // LOOKS),
            patience=self.patience,
            max_seconds=max_seconds,
            seed=self.seed,
        )

    def _fingerprint(self, data: reading.Data) -> str:
        digest = hashlib.sha256(json.dumps(self.get_params(), sort_keys=True, default=str).encode())
        digest.update(data.digest.encode())
        return f"{data.learned.size:,} tokens, {digest.hexdigest()}"

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
        return persistence.state(self)

    def _packed(self) -> Mapping[str, Packed]:
        return {persistence.PACKED: self.packed_}

    def _unpack(self, programs: Mapping[str, Packed]) -> None:
        self.packed_ = persistence.unpacked(programs)

    def _tokenizer(self) -> str | None:
        return self.tokenizer_.to_json()

    def _take_tokenizer(self, text: str | None) -> None:
        self.tokenizer_ = persistence.tokenizer_of(text)

    def _restore(self, fitted: Mapping[str, Any], weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        persistence.restore(self, fitted, weights)


def _silent(text: str) -> None:
    pass
