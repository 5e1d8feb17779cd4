"""The card of a saved tagger: what it is, for the person who finds the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.language.tagging.tagger import Tagger

__all__ = ["card"]


def card(model: Tagger, fitted: Mapping[str, Any], version: str) -> str:
    """The text of README.md, in Markdown, from the fitted values that a tagger saves."""
    outcome, known = fitted["outcome"], fitted["vocabulary"]
    best = outcome["best_loss"]
    quality = "none held out" if best is None else f"{1 - best:.2%} at step {outcome['best_step']}"
    effort = f"{outcome['steps']} steps, {outcome['seconds']:.0f} s, ended by: {outcome['stopped']}"
    tags = ", ".join(f"`{tag}`" for tag in known["tags"][:50]) + (", …" if len(known["tags"]) > 50 else "")
    return f"""# A recurra tagger

Gives each word of a sentence one of {len(known["tags"])} tags: {tags}.

    import recurra
    model = recurra.load("this folder")
    model.tag("A text.")

| | |
| --- | --- |
| network | {model.layers} × bidirectional {model.cell.upper()}({model.hidden_size}), linear-chain CRF |
| known | {len(known["words"]):,} words, {len(known["grams"]):,} pieces of words |
| training | {effort}, seed {model.seed} |
| right tags in held-out sentences | {quality} |
| written by | recurra {version} |
"""
