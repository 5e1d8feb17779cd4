"""The sizes of language models, and what their arguments may be. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from recurra.errors import UsageError

if TYPE_CHECKING:
    from recurra.language.generation.language_model import LanguageModel

__all__ = ["SIZES", "Architecture", "Size", "check", "kind_token"]

TOKENIZERS = ("bpe", "words", "spaced", "characters", "bytes")
LARGEST = {"vocabulary": 2**20, "embedding_size": 8192, "hidden_size": 16384, "layers": 64}
LARGEST |= {"batch_size": 4096, "window": 8192, "steps": 2**40}
RATES = ("dropout", "input_dropout", "output_dropout", "word_dropout", "weight_drop")
AMOUNTS = ("activation_regularization", "temporal_regularization", "weight_decay")


@dataclass(frozen=True)
class Size:
    """What a name stands for; every number may be given instead."""

    vocabulary: int
    embedding_size: int
    hidden_size: int
    layers: int
    dropout: float


SIZES = {
    "tiny": Size(1_000, 96, 128, 1, 0.0),
    "small": Size(4_000, 256, 384, 2, 0.1),
    "medium": Size(8_000, 384, 768, 2, 0.2),
    "large": Size(16_000, 512, 1024, 3, 0.3),
}


@dataclass(frozen=True)
class Architecture:
    """The network of a language model, every number settled."""

    cell: str
    vocabulary: int
    embedding_size: int
    hidden_size: int
    layers: int
    tied: bool
    cutoffs: tuple[int, ...]
    norm: str | None
    residual: bool
    dropout: float
    input_dropout: float
    output_dropout: float
    word_dropout: float
    weight_drop: float
    activation_regularization: float
    temporal_regularization: float

    @classmethod
    def of(cls, model: LanguageModel, vocabulary: int) -> Architecture:
        """The network that a model's arguments stand for, with a vocabulary of this size."""
        size = SIZES[model.size]
        known: dict[str, Any] = {field.name: getattr(model, field.name, None) for field in fields(cls)}
        for name in ("embedding_size", "hidden_size", "layers", "dropout"):
            known[name] = getattr(size, name) if known[name] is None else known[name]
        for name in ("input_dropout", "output_dropout"):
            known[name] = known["dropout"] if known[name] is None else known[name]
        known |= {"vocabulary": vocabulary, "cutoffs": tuple(model.cutoffs or ())}
        return cls(**known)


def kind_token(kind: str) -> str:
    """What stands for a kind of text in a tokenizer."""
    return f"<|kind:{kind}|>"


def check(model: LanguageModel) -> None:
    """Raise UsageError where an argument is out of its range."""
    if model.size not in SIZES:
        raise UsageError("there is no such size", value=model.size, hint=f"Use {', '.join(SIZES)}.")
    if model.tokenizer not in TOKENIZERS:
        hint = f"Use {', '.join(TOKENIZERS)}."
        raise UsageError("there is no such tokenizer", value=model.tokenizer, hint=hint)
    if model.norm not in (None, "layer", "rms"):
        raise UsageError("norm must be None, 'layer' or 'rms'", value=model.norm)
    if not isinstance(model.cell, str):
        raise UsageError("cell must be the name of a cell", value=model.cell)
    for name, most in LARGEST.items():
        value = getattr(model, name)
        if value is not None:
            _whole(name, value, most)
    for name in RATES:
        _number(name, getattr(model, name), below=1.0)
    for name in AMOUNTS:
        _number(name, getattr(model, name))
    _number("held_out", model.held_out, below=0.9)
    run = model.copy_run
    if isinstance(run, bool) or not isinstance(run, Integral) or (run and not (3 <= run <= 1001 and run % 2)):
        raise UsageError("copy_run must be 0 or an odd number, 3 to 1001", value=run)
    for cutoff in model.cutoffs or ():
        _whole("every cutoff", cutoff, 2**20)
    sampled = model.sampled
    if (
        isinstance(sampled, bool)
        or not isinstance(sampled, Integral)
        or not 0 <= sampled <= LARGEST["vocabulary"]
    ):
        raise UsageError(f"sampled must be a whole number, 0 to {LARGEST['vocabulary']:,}", value=sampled)
    if sampled and model.cutoffs:
        raise UsageError("a softmax is sampled or adaptive, not both", hint="Leave out cutoffs or sampled.")
    if model.cutoffs and model.tied:
        raise UsageError(
            "an adaptive softmax has matrices of its own", value=model.cutoffs, hint="Say tied=False."
        )


def _whole(name: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
        raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)


def _number(name: str, value: Any, below: float = 1e9) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < below:
        raise UsageError(f"{name} must be a number, 0 or more and below {below:g}", value=value)
