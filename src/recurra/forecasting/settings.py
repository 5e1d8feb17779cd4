"""What a forecaster's arguments may be, and what they come to on a panel: how it is trained, what is held out."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import metadata
from numbers import Integral
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from recurra import __version__
from recurra.errors import UsageError
from recurra.forecasting.history import STEPS_A_WINDOW
from recurra.forecasting.sales.calendar import frequency_named
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.sales.data import Panel
from recurra.training.recipe import Recipe

if TYPE_CHECKING:
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["ViewName", "check_ranges", "facts", "fingerprint", "hold_out", "recipe_of", "view_of"]

ViewName: TypeAlias = Literal["auto", "level", "trend"]

ZEROS = 0.01  # share of periods without sales up to which logarithms, of trend and season, say what there is to say
SEEN = {"level": "in units of their level", "trend": "by level, trend and season"}
HELD_OUT = 0.1  # share of series whose last horizon is held out, to find the best step
# Of n held-out numbers the loss is taken to be known to this share over the root of n: within that the later step is
# the better one, for its average is over more of the training.
CHANCE = 0.5
STEPS, ROUNDS = (400, 1600), 7  # unless told otherwise: seven times through the data, within these bounds
LARGEST = {"horizon": 2000, "hidden_size": 8192, "layers": 32, "embedding_size": 4096, "batch_size": 65536}


def check_ranges(model: Forecaster) -> None:
    """Raise UsageError where an argument is out of its range; of all but the cell's name, which torch's side knows."""
    for name, most in LARGEST.items():
        value = getattr(model, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
            raise UsageError(f"{name} must be a whole number, 1 to {most:,}", value=value)
    if not isinstance(model.dropout, int | float) or not 0 <= model.dropout < 1:
        raise UsageError("dropout must be a number, 0 or more and below 1", value=model.dropout)
    Recipe(
        steps=STEPS[0] if model.steps is None else model.steps,
        learning_rate=model.learning_rate,
        patience=model.patience,
        seed=model.seed,
    )
    if not isinstance(model.cell, str):
        raise UsageError("cell must be the name of a cell", value=model.cell)
    for name in ("frequency", "date_format", "decimal", "unit"):
        value = getattr(model, name)
        if not isinstance(value, str | None):
            raise UsageError(f"{name} must be a text or None", value=value)
    if model.frequency:
        frequency_named(model.frequency)
    if not isinstance(model.holidays, str | None):
        raise UsageError("holidays must be a country such as GB, or None", value=model.holidays)
    if model.view not in get_args(ViewName):
        raise UsageError("view must be one of auto, level, trend", value=model.view)
    if not isinstance(model.columns, Mapping | None):
        raise UsageError("columns must be a mapping from role to column name", value=model.columns)
    model._reading()


def view_of(model: Forecaster, panel: Panel) -> tuple[str, str]:
    """How the network sees the sales of a panel (`history.VIEWS`), and why, in one sentence."""
    status = np.zeros((1, 1), np.uint8) if panel.status is None else panel.status
    known = (np.arange(len(panel.dates)) >= panel.first[:, None]) & (status != MISSING)
    share = float((known & (panel.values <= 0)).sum() / max(1, known.sum()))
    view, why = model.view, "as told"
    if view == "auto" and (status == AT_LEAST).any():
        view, why = "level", "some are lower bounds of what was wanted"
    elif view == "auto":
        view, why = "level" if share > ZEROS else "trend", f"{share:.1%} of the periods have no sales"
    return view, f"Sales are seen {SEEN[view]}: {why} (view)."


def recipe_of(model: Forecaster, panel: Panel, held_out: int, max_seconds: float | None) -> Recipe:
    """How to train, with so many numbers held out."""
    periods = int((len(panel.dates) - panel.first).sum())
    rounds = periods / (model.batch_size * STEPS_A_WINDOW[panel.frequency.name])
    return Recipe(
        steps=int(np.clip(ROUNDS * rounds, *STEPS)) if model.steps is None else model.steps,
        learning_rate=model.learning_rate,
        average=0.995,
        evaluate_every=25,
        patience=model.patience,
        tolerance=CHANCE / math.sqrt(held_out) if held_out else 0.0,
        max_seconds=max_seconds,
        seed=model.seed,
    )


def hold_out(model: Forecaster, panel: Panel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For every series where training ends, and which series are held out; none if histories are short."""
    length = len(panel.dates)
    long_enough = np.flatnonzero(panel.first <= length - 3 * model.horizon)
    count = min(len(long_enough), max(1, round(HELD_OUT * len(panel.ids))))
    held = np.sort(np.random.default_rng(model.seed).permutation(long_enough)[:count])
    until = np.full(len(panel.ids), length, dtype=np.int64)
    until[held] = length - model.horizon
    return until, held


def fingerprint(model: Forecaster, panel: Panel) -> str:
    """Of what a checkpoint is: the arguments and all of the data."""
    digest = hashlib.sha256(json.dumps(model.get_params(), sort_keys=True, default=str).encode())
    for part in (panel.values, panel.first, panel.dates.astype(np.int64)):
        digest.update(np.ascontiguousarray(part).tobytes())
    if panel.status is not None:
        digest.update(panel.status.tobytes())
    digest.update("\n".join(panel.ids).encode())
    known = panel.covariates
    digest.update(json.dumps([known.attributes, [*known.past], [*known.future]]).encode())
    for table in (known.measures, known.past, known.future):
        for array in table.values():
            digest.update(np.ascontiguousarray(array).tobytes())
    name = f"{len(panel.ids):,} {panel.frequency.name} series to {panel.dates[-1]}"
    return f"{name}, {digest.hexdigest()}"


def facts(model: Forecaster) -> dict[str, object]:
    """How the model was made, in plain values."""
    told: dict[str, object] = {
        "network": f"{model.layers} × {model.cell.upper()}({model.hidden_size}), direct quantile head",
        "sales seen": SEEN[model.inputs_.view],
        "parameters": sum(array.size for array in model.weights_.values()),
        "steps": model.outcome_.steps,
        "seconds": round(model.outcome_.seconds, 1),
        "ended by": model.outcome_.stopped,
        "best step": model.outcome_.best_step,
        "held-out loss": model.outcome_.best_loss,
        "seed": model.seed,
        "recurra": __version__,
        "torch": _installed("torch"),
    }
    return told if model.packed_ is None else told | {"packed weights": model.packed_.weights}


def _installed(package: str) -> str | None:
    """The version of a package, without loading it; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
