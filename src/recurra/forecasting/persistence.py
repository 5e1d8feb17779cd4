"""What a fitted forecaster keeps in its model folder, and how it comes back from one that may be hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.artifact import digest_of
from recurra.errors import ModelError
from recurra.forecasting.calendar import Frequency, calendar_features, frequency_named
from recurra.forecasting.card import card
from recurra.forecasting.distribution import Copula
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.history import MEMORIES
from recurra.forecasting.packed import PackedNetwork
from recurra.training.outcome import outcome_of

if TYPE_CHECKING:
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["Memory", "restore", "state"]

# The sizes of series whose forecasts, a few thousand times larger at most, float32 holds.
SMALLEST, LARGEST = 1e-30, 1e30
Weights = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Memory:
    """Where N series stand after their last period `end`: what a forecast starts from."""

    ids: tuple[str, ...]
    items: NDArray[np.int64]  # (N,) rows of the embedding
    context: NDArray[np.float32]  # (N, D) what the encoder knows
    level: NDArray[np.float32]  # (N,) the unit of the forecast
    usual: NDArray[
        np.float32
    ]  # (N, min(season, H)) what each phase ahead usually sold, as `History.ahead` has it
    end: np.datetime64


def state(model: Forecaster) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
    """The fitted values, the arrays and the card of a forecaster."""
    memory = model.memory_
    fitted = {
        "levels": list(LEVELS),
        "items": list(model.items_),
        "series": list(memory.ids),
        "end": str(memory.end),
        "rhythm": {"name": model.rhythm_.name, "anchor": model.rhythm_.anchor, "day": model.rhythm_.day},
        "typical": model.typical_,
        "nonnegative": model.nonnegative_,
        "whole": model.whole_,
        "shared": model.copula_.shared,
        "notes": list(model.notes_),
        "outcome": asdict(model.outcome_),
    }
    weights = {f"network.{name}": array for name, array in model.weights_.items()}
    weights |= {"memory.items": memory.items, "memory.context": memory.context, "memory.level": memory.level}
    weights["memory.usual"] = memory.usual
    return fitted, weights | {"copula.root": model.copula_.root}, card(model, fitted)


def restore(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> None:
    """Make `model`, whose arguments are set, fitted; raises ModelError for content that does not fit."""
    model._check_ranges()
    if tuple(fitted["levels"]) != LEVELS:
        raise ModelError("the model's quantile levels are not those of this recurra", value=fitted["levels"])
    model.rhythm_ = _rhythm(fitted["rhythm"])
    model.items_ = _names(fitted["items"])
    prefix = "network."
    model.weights_ = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    if model.packed_ is not None:
        _check_packed(model, model.packed_)
    else:
        _ = model.network_  # it is made, and so checked, now
    model.copula_ = _copula(model, fitted, weights)
    model.memory_ = _memory(model, fitted, weights)
    model.typical_ = float(fitted["typical"])
    if not SMALLEST < model.typical_ < LARGEST:
        raise ModelError("the typical size of a series must be above 0", value=model.typical_)
    model.nonnegative_, model.whole_ = bool(fitted["nonnegative"]), bool(fitted["whole"])
    model.notes_ = tuple(map(str, fitted["notes"]))
    model.outcome_ = outcome_of(fitted["outcome"])


def _check_packed(model: Forecaster, packed: PackedNetwork) -> None:
    features = calendar_features(np.array(["2000-01-01"], dtype="datetime64[s]"), model.rhythm_).shape[1]
    packed.check(
        of=digest_of(model.weights_),
        memories=len(MEMORIES[model.rhythm_.name]),
        features=features,
        items=len(model.items_),
        width=model.hidden_size,
        horizon=model.horizon,
        quantiles=len(LEVELS),
    )


def _names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelError("the names of the series must be a list of texts", value=names)
    if len(set(names)) < len(names):
        raise ModelError("two series have the same name")
    return tuple(names)


def _rhythm(rhythm: Mapping[str, Any]) -> Frequency:
    named, anchor, day = frequency_named(rhythm["name"]), int(rhythm["anchor"]), int(rhythm["day"])
    # Weeks are counted from a Monday, unit 4 of the epoch, or up to 6 days later.
    if not 0 <= anchor < named.step + 4 or not 1 <= day <= 31:
        raise ModelError("there are no such periods", value=dict(rhythm))
    return replace(named, anchor=anchor, day=day)


def _copula(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> Copula:
    root = _array(weights, "copula.root", (model.horizon, model.horizon), np.float64)
    if (np.abs(root) > 2).any() or np.triu(root, 1).any() or not np.allclose((root**2).sum(1), 1):
        raise ModelError("copula.root must be the Cholesky factor of a correlation matrix")
    shared = float(fitted["shared"])
    if not 0 <= shared < 1:
        raise ModelError("the correlation between series must lie in 0 … 1", value=shared)
    return Copula(root, shared)


def _memory(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> Memory:
    series = _names(fitted["series"])
    size = len(series)
    items = _array(weights, "memory.items", (size,), np.int64)
    if size and not 0 <= items.min() <= items.max() <= len(model.items_):
        raise ModelError("an item's number has no embedding", value=items.max())
    context = _array(weights, "memory.context", (size, model.hidden_size), np.float32)
    level = _array(weights, "memory.level", (size,), np.float32)
    phases = min(model.rhythm_.season, model.horizon)
    usual = _array(weights, "memory.usual", (size, phases), np.float32)
    end = model.rhythm_.dates(np.datetime64(fitted["end"]), 1)[0]
    if str(end) != fitted["end"] or str(end)[4] != "-":  # four digits of a year
        raise ModelError("the last period is no date that the forecast can go on from", value=fitted["end"])
    if (level <= SMALLEST).any() or (level >= LARGEST).any():
        raise ModelError("the level of a series is out of range")
    return Memory(series, items, context, level, usual, end)


def _array(
    weights: Weights, name: str, shape: tuple[int, ...], dtype: type[np.generic]
) -> np.ndarray[Any, Any]:
    array = weights.get(name)
    if array is None or array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
        found = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise ModelError(f"{name} must be {dtype.__name__} {shape}, all finite", value=found)
    return array
