"""The card of a saved classifier: what it is, for the person who finds the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recurra import __version__

if TYPE_CHECKING:
    from recurra.language.classification.classifier import TextClassifier

__all__ = ["card"]

SHOWN = 20


def card(model: TextClassifier, fitted: Mapping[str, Any]) -> str:
    """The text of README.md, in Markdown, from the fitted values that `TextClassifier` saves."""
    outcome, figures = fitted["outcome"], fitted["held_out"]
    quality = "none held out"
    if figures is not None:
        quality = (
            f"accuracy {figures['accuracy']:.1%}, macro F1 {figures['macro_f1']:.3f} on {figures['texts']:,}"
        )
    labels = ", ".join(map(str, fitted["classes"][:SHOWN])) + (
        ", …" if len(fitted["classes"]) > SHOWN else ""
    )
    network = f"{model.members} × {model.layers} × bidirectional {model.cell.upper()}({model.hidden_size})"
    notes = "\n".join(f"- {note}" for note in fitted["notes"]) or "Nothing out of the ordinary."
    return f"""# A recurra text classifier

Tells {len(fitted["classes"]):,} labels apart: {labels}.

    import recurra
    model = recurra.load("this folder")
    model.predict(["a text"])

| | |
| --- | --- |
| network | {network}, over words and their letters |
| training | {outcome["steps"]} steps, {outcome["seconds"]:.0f} s, ended by: {outcome["stopped"]}, seed {model.seed} |
| held out | {quality} |
| written by | recurra {__version__} |

It knows what stood in its training texts, and their errors: ask it about texts of the same kind.

## What was done with the data

{notes}
"""
