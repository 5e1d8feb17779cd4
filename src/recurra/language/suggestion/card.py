"""The card of a keyboard's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.language.suggestion.keyboard import Keyboard

__all__ = ["card"]


def card(model: Keyboard) -> str:
    """The card, for people."""
    outcome = model.outcome_
    size = (
        f"{model.layers} × {model.cell.upper()}({model.hidden_size}), {model.embedding_size} numbers a word"
    )
    return f"""# A keyboard made with recurra

Suggests the rest of the word and the next words: `recurra suggest --model FOLDER "see you to"`.

| | |
| --- | --- |
| network | {size}, {model.parameters_:,} parameters, kept in {model.weights} |
| words | {model.lexicon_.vocabulary:,} in the network, {len(model.lexicon_):,} in the dictionary |
| training | {outcome.steps:,} steps, {outcome.seconds:.0f} s, ended by {outcome.stopped} |

It holds no text that it was trained on, but the words that are in it.
"""
