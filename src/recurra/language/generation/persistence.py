"""What a fitted language model keeps in its model folder, and how it comes back from one that may be hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import __version__, native
from recurra.artifact import digest_of
from recurra.errors import ModelError
from recurra.language.generation import settings
from recurra.streaming.packed import Packed
from recurra.text.copies import CopyIndex
from recurra.text.tokenizer import Tokenizer
from recurra.training.outcome import outcome_of

if TYPE_CHECKING:
    from recurra.language.generation.language_model import LanguageModel

__all__ = ["PACKED", "restore", "state", "tokenizer_of", "unpacked"]

PACKED = "network"
QUALITY = ("nats_per_token", "tokens", "bits_per_byte", "perplexity_per_token", "perplexity_per_word")
_AGAIN = "Copy the whole folder again, or train the model again."

Weights = Mapping[str, np.ndarray[Any, Any]]


def state(model: LanguageModel) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
    """The fitted values, the arrays and the card of a language model."""
    fitted = {
        "kinds": list(model.kinds_),
        "notes": list(model.notes_),
        "quality": model.quality_,
        "parameters": model.parameters_,
        "outcome": asdict(model.outcome_),
        "copy_run": None if model.copies_ is None else model.copies_.run,
    }
    weights = {f"network.{name}": array for name, array in model.weights_.items()}
    if model.copies_ is not None:
        weights |= {f"copies.{name}": array for name, array in model.copies_.to_arrays().items()}
    return fitted, weights, card(model)


def restore(model: LanguageModel, fitted: Mapping[str, Any], weights: Weights) -> None:
    """Make `model`, whose arguments, tokenizer and packed network are set, fitted; ModelError for what does not fit."""
    settings.check(model)
    size = model.tokenizer_.size
    known = model.packed_.description
    if [each[1:] for each in known["inputs"]] != [[size, None]] or known["outputs"][0][1] != [1, size]:
        found = f"the network's {known['inputs']}, the tokenizer's {size}"
        raise ModelError("the packed network and the tokenizer do not fit together", value=found, hint=_AGAIN)
    model.weights_ = _named(weights, "network.")
    if model.weights_ and known["about"].get("of") != digest_of(model.weights_):
        raise ModelError("network.packed was packed from other weights", hint="Pack the model again.")
    run = fitted["copy_run"]
    model.copies_ = None if run is None else CopyIndex.from_arrays(run, _named(weights, "copies."))
    kinds = fitted["kinds"]
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ModelError("the kinds of texts must be a list of texts", value=kinds)
    model.kinds_ = tuple(kinds)
    for kind in kinds:
        model.tokenizer_.special(settings.kind_token(kind))
    model.notes_ = tuple(map(str, fitted["notes"]))
    model.quality_ = _quality(fitted["quality"])
    model.parameters_ = int(fitted["parameters"])
    model.outcome_ = outcome_of(fitted["outcome"])
    if native.available():
        _ = model.engine_  # it looks at every number of the program


def _named(weights: Weights, start: str) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays whose names begin so, without that beginning."""
    return {name.removeprefix(start): each for name, each in weights.items() if name.startswith(start)}


def unpacked(programs: Mapping[str, Packed]) -> Packed:
    """The packed network of a model folder."""
    if list(programs) != [PACKED]:
        raise ModelError(
            f"a language model has one packed network, {PACKED}.packed", value=", ".join(programs)
        )
    return programs[PACKED]


def tokenizer_of(text: str | None) -> Tokenizer:
    """The tokenizer of a model folder."""
    if text is None:
        raise ModelError("the model folder lacks tokenizer.json", hint=_AGAIN)
    return Tokenizer.from_json(text)


def card(model: LanguageModel) -> str:
    """The text of README.md."""
    outcome, quality = model.outcome_, model.quality_
    told = "none held out"
    if quality is not None:
        told = f"{quality['bits_per_byte']:.3f} bits a byte, perplexity {quality['perplexity_per_token']:.1f} a token"
        told += f", {quality['perplexity_per_word']:.1f} a word"
    effort = f"{outcome.steps} steps, {outcome.seconds:.0f} s, ended by: {outcome.stopped}, seed {model.seed}"
    notes = "\n".join(f"- {note}" for note in model.notes_)
    return f"""# A recurra language model

Writes, scores and completes text.

    import recurra
    model = recurra.load("this folder")
    print(model.generate("The "))

| | |
| --- | --- |
| network | {model.cell.upper()}, {model.parameters_:,} parameters |
| tokens | {model.tokenizer_.size:,}, {model.tokenizer_.kind} |
| kinds of text | {", ".join(model.kinds_) or "none named"} |
| training | {effort} |
| on held-out text | {told} |
| written by | recurra {__version__} |

## The texts

{notes}
"""


def _quality(told: Any) -> dict[str, float] | None:
    if told is None:
        return None
    found = {str(name): float(value) for name, value in told.items()}
    if found.keys() != set(QUALITY) or not all(np.isfinite(list(found.values()))):
        raise ModelError("what is told of the held-out text is not sound", value=dict(told))
    return found
