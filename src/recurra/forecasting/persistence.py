"""What a fitted forecaster keeps in its model folder, and how it comes back from one that may be hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.artifact import digest_of
from recurra.errors import ModelError
from recurra.forecasting.card import card
from recurra.forecasting.distribution import Copula
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.history import VIEWS, beginning, sizes_of
from recurra.forecasting.inputs import Inputs, Who
from recurra.forecasting.memory import Memory
from recurra.forecasting.packed import PackedNetwork
from recurra.forecasting.sales.calendar import Frequency, frequency_named
from recurra.forecasting.settings import check_ranges
from recurra.forecasting.views.view import Standing
from recurra.training.outcome import outcome_of

if TYPE_CHECKING:
    from recurra.forecasting.forecaster import Forecaster

__all__ = ["restore", "state"]

# The sizes of series whose forecasts, a few thousand times larger at most, float32 holds.
SMALLEST, LARGEST = 1e-30, 1e30
Weights = Mapping[str, np.ndarray[Any, Any]]


def state(model: Forecaster) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]], str]:
    """The fitted values, the arrays and the card of a forecaster."""
    memory = model.memory_
    fitted = {
        "levels": list(LEVELS),
        "items": list(model.items_),
        "series": list(memory.ids),
        "end": str(memory.end),
        "rhythm": {"name": model.rhythm_.name, "anchor": model.rhythm_.anchor, "day": model.rhythm_.day},
        "inputs": model.inputs_.as_dict(),
        "leaves": None if memory.state is None else sorted(memory.state),
        "nonnegative": model.nonnegative_,
        "whole": model.whole_,
        "spread": list(model.spread_),
        "shared": model.copula_.shared,
        "notes": list(model.notes_),
        "outcome": asdict(model.outcome_),
    }
    weights = {f"network.{name}": array for name, array in model.weights_.items()}
    weights |= {"memory.codes": memory.who.codes, "memory.lasting": memory.who.lasting}
    weights |= {f"memory.{name}": getattr(memory, name) for name in ("context", "known", "last")}
    weights |= {f"memory.{name}": each for name, each in memory.standing._asdict().items()}
    if memory.state is not None and memory.running is not None:
        weights |= {f"state.{name}": each for name, each in memory.state.items()}
        weights |= {f"running.{name}": each for name, each in memory.running.items()}
    return fitted, weights | {"copula.root": model.copula_.root}, card(model, fitted)


def restore(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> None:
    """Make `model`, whose arguments are set, fitted; raises ModelError for content that does not fit."""
    check_ranges(model)
    if tuple(fitted["levels"]) != LEVELS:
        raise ModelError("the model's quantile levels are not those of this recurra", value=fitted["levels"])
    model.rhythm_ = _rhythm(fitted["rhythm"])
    model.inputs_ = _inputs(fitted)
    model.items_ = _names(fitted["items"])
    prefix = "network."
    model.weights_ = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    if model.packed_ is not None:
        _check_packed(model, model.packed_)
    else:
        _ = model.network_  # it is made, and so checked, now
    model.spread_ = _spread(fitted.get("spread", (1.0, 1.0)))
    model.copula_ = _copula(model, fitted, weights)
    model.memory_ = _memory(model, fitted, weights)
    model.nonnegative_, model.whole_ = bool(fitted["nonnegative"]), bool(fitted["whole"])
    model.notes_ = tuple(map(str, fitted["notes"]))
    model.outcome_ = outcome_of(fitted["outcome"])


def _inputs(fitted: Mapping[str, Any]) -> Inputs:
    if "inputs" in fitted:
        found = Inputs.from_dict(fitted["inputs"])
    else:  # a model of before there was anything beside sales
        found = Inputs(marks=False, typical=float(fitted["typical"]))
    if not SMALLEST < found.typical < LARGEST:
        raise ModelError("the typical size of a series must be above 0", value=found.typical)
    return found


def _check_packed(model: Forecaster, packed: PackedNetwork) -> None:
    packed.check(
        of=digest_of(model.weights_),
        sizes=sizes_of(model.inputs_, model.rhythm_),
        codes=1 + len(model.inputs_.attributes),
        rows=model.inputs_.rows(len(model.items_)),
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


def _spread(given: Any) -> tuple[float, float]:
    below, above = map(float, given)
    if not (0.1 <= below <= 10 and 0.1 <= above <= 10):
        raise ModelError("the spread of the forecasts must be two numbers, 0.1 to 10", value=given)
    return below, above


def _copula(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> Copula:
    root = _array(weights, "copula.root", (model.horizon, model.horizon), np.float64)
    if (np.abs(root) > 2).any() or np.triu(root, 1).any() or not np.allclose((root**2).sum(1), 1):
        raise ModelError("copula.root must be the Cholesky factor of a correlation matrix")
    shared = float(fitted["shared"])
    if not 0 <= shared < 1:
        raise ModelError("the correlation between series must lie in 0 … 1", value=shared)
    return Copula(root, shared)


def _memory(model: Forecaster, fitted: Mapping[str, Any], weights: Weights) -> Memory:
    series, inputs = _names(fitted["series"]), model.inputs_
    size = len(series)

    def floats(name: str, *shape: int) -> NDArray[np.float32]:
        return _array(weights, name, (size, *shape), np.float32)

    old = "memory.items" in weights  # a model of before there were codes
    codes = (
        _array(weights, "memory.items", (size,), np.int64)[:, None] if old else _codes(model, size, weights)
    )
    if size and not 0 <= codes[:, 0].min() <= codes[:, 0].max() <= len(model.items_):
        raise ModelError("an item's number has no embedding", value=codes[:, 0].max())
    along = len(inputs.past) + len(inputs.future)
    lasting = np.zeros((size, 0), np.float32) if old else floats("memory.lasting", len(inputs.measures))
    given = weights.get("memory.known")
    ahead = given.shape[1] if given is not None and given.ndim == 3 else 0
    known = np.zeros((size, 0, 0), np.float32) if old else floats("memory.known", ahead, len(inputs.future))
    end = model.rhythm_.dates(np.datetime64(fitted["end"]), 1)[0]
    if str(end) != fitted["end"] or str(end)[4] != "-":  # four digits of a year
        raise ModelError("the last period is no date that the forecast can go on from", value=fitted["end"])
    state = running = None
    if fitted.get("leaves") is not None:
        shapes = beginning(inputs, model.rhythm_, 0)
        running = {name: floats(f"running.{name}", *each.shape[1:]) for name, each in shapes.items()}
        state = {name: _leaf(weights, f"state.{name}", size) for name in map(str, fitted["leaves"])}
    return Memory(
        ids=series,
        who=Who(codes, lasting),
        context=floats("memory.context", model.hidden_size),
        standing=_standing(model, size, weights),
        known=known,
        last=np.zeros((size, 0), np.float32) if old else floats("memory.last", along),
        end=end,
        state=state,
        running=running,
    )


def _standing(model: Forecaster, size: int, weights: Weights) -> Standing:
    """Where the series stand; of a model of before there were views, from what it kept instead."""
    horizon, view = model.horizon, VIEWS[model.inputs_.view]
    if "memory.level" in weights:
        season = min(model.rhythm_.season, horizon)
        unit = _array(weights, "memory.level", (size,), np.float32)
        usual = _array(weights, "memory.usual", (size, season), np.float32)[:, np.arange(horizon) % season]
        place = np.float32(0.3) * np.log(np.maximum(unit, np.float32(SMALLEST)))[:, None]
        found = Standing(place, usual[..., None], unit, np.zeros((size, 1), np.float32))
    else:
        sizes, base = view.sizes(model.rhythm_), weights.get("memory.base")
        bases = 1 if base is not None and base.shape == (size, 1) else horizon
        shapes = {"place": (sizes.place,), "ahead": (horizon, sizes.ahead), "unit": (), "base": (bases,)}
        found = Standing(
            *(
                _array(weights, f"memory.{name}", (size, *shapes[name]), np.float32)
                for name in Standing._fields
            )
        )
    outside = (found.unit <= SMALLEST) | (found.unit >= LARGEST) | (np.abs(found.base) >= LARGEST).any(1)
    if outside.any():
        raise ModelError("the unit of a series is out of range")
    return found


def _codes(model: Forecaster, size: int, weights: Weights) -> NDArray[np.int64]:
    """The rows of the table of vectors that the series have, each within those of its attribute."""
    start = model.inputs_.unknown(len(model.items_))
    codes = _array(weights, "memory.codes", (size, len(start)), np.int64)
    end = np.append(start[1:], model.inputs_.rows(len(model.items_)))
    if (codes < start).any() or (codes >= end).any():
        raise ModelError("an item's number has no embedding", value=codes.max())
    return codes


def _leaf(weights: Weights, name: str, size: int) -> NDArray[np.float32]:
    """A tensor of the encoder's state, of whatever shape the cell gives it: reading on checks that."""
    given = weights.get(name)
    shape = (size,) if given is None else (size, *given.shape[1:])
    return _array(weights, name, shape, np.float32)


def _array(
    weights: Weights, name: str, shape: tuple[int, ...], dtype: type[np.generic]
) -> np.ndarray[Any, Any]:
    array = weights.get(name)
    if array is None or array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
        found = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise ModelError(f"{name} must be {dtype.__name__} {shape}, all finite", value=found)
    return array
