"""The card of a saved forecaster: what it is, for the person who finds the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recurra import __version__

if TYPE_CHECKING:
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["card"]


def card(forecaster: Forecaster, fitted: Mapping[str, Any]) -> str:
    """The text of README.md, in Markdown, from the fitted values that `Forecaster` saves."""
    outcome = fitted["outcome"]
    best = outcome["best_loss"]
    quality = "none held out" if best is None else f"{best:.4f} at step {outcome['best_step']}"
    notes = "\n".join(f"- {note}" for note in fitted["notes"])
    periods = f"{forecaster.horizon} {fitted['rhythm']['name']} periods"
    effort = f"{outcome['steps']} steps, {outcome['seconds']:.0f} s, ended by: {outcome['stopped']}"
    return f"""# A recurra forecaster

Forecasts {periods} of {len(fitted["series"]):,} series, after {fitted["end"]}.

    import recurra
    model = recurra.load("this folder")
    model.predict()

| | |
| --- | --- |
| network | {forecaster.layers} × {forecaster.cell.upper()}({forecaster.hidden_size}), direct quantile head |
| training | {effort}, seed {forecaster.seed} |
| weighted quantile loss on held-out periods | {quality} |
| written by | recurra {__version__} |

## What was done with the data

{notes}
"""
