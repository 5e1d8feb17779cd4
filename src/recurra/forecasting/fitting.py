"""What of a forecaster needs torch: training it, its network, and packing that so that torch is not needed any more.

`forecaster.py` comes here only for these (`_torch_side`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import MissingExtraError, ModelError, UsageError

# Every file behind this one finds torch.
try:
    import torch
except ImportError as error:
    raise MissingExtraError.of("torch", "train") from error

from torch import Tensor

from recurra import state as states
from recurra.artifact import digest_of
from recurra.forecasting.calibration import calibrated
from recurra.forecasting.dependence import fit_copula
from recurra.forecasting.distribution import Copula
from recurra.forecasting.forecast import LEVELS
from recurra.forecasting.history import STEPS_A_WINDOW, History, history_of, sizes_of
from recurra.forecasting.inputs import Inputs
from recurra.forecasting.network import ForecastNetwork
from recurra.forecasting.packed import PackedNetwork
from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.windows import QuantileProblem, Windows
from recurra.streaming.lower import lower
from recurra.streaming.pack import BOUNDS, store
from recurra.streaming.program import Program
from recurra.training import Outcome, Recipe, train
from recurra.training.named import cell_named

if TYPE_CHECKING:
    from recurra.forecasting.forecaster import Forecaster

__all__ = [
    "Learned",
    "arrays_of",
    "cell_named",
    "check_disagreement",
    "disagreement",
    "drawn_history",
    "learn",
    "make_network",
    "network_of",
    "pack",
]

STRANGERS = 0.1  # share of series read as an unknown item, so that unknown items can be forecast
ORIGINS = 12  # of the steps of a window, those from which a forecast is asked


class Learned(NamedTuple):
    """What training gives."""

    outcome: Outcome
    network: ForecastNetwork
    spread: tuple[float, float]  # as `Quantiles.spread` takes it
    copula: Copula


def make_network(model: Forecaster, inputs: Inputs, items: int, frequency: Frequency) -> ForecastNetwork:
    """An untrained network of a forecaster's arguments for a number of items and what goes along with them."""
    sizes = sizes_of(inputs, frequency)
    return ForecastNetwork(
        rows=inputs.rows(items),
        columns=sizes.columns,
        place=sizes.place,
        ahead=sizes.ahead,
        horizon=model.horizon,
        quantiles=len(LEVELS),
        cell=model.cell,
        hidden_size=model.hidden_size,
        layers=model.layers,
        embedding_size=model.embedding_size,
        dropout=model.dropout,
    )


def learn(
    model: Forecaster,
    panel: Panel,
    history: History,
    recipe: Recipe,
    *,
    validation: NDArray[np.int64],
    folder: Path | None,
    fingerprint: str,
) -> Learned:
    """Train a network of a forecaster's arguments on windows of its history, and learn how its errors hang together.

    `validation` are the series whose last horizon is held out, `folder` and `fingerprint` as for `train`.
    """
    problem = QuantileProblem(history, model.horizon, torch.tensor(LEVELS), validation)
    source = Windows(
        history,
        batch_size=model.batch_size,
        steps=STEPS_A_WINDOW[panel.frequency.name],
        origins=ORIGINS,
        horizon=model.horizon,
        strangers=STRANGERS,
        unknown=history.inputs.unknown(len(panel.ids)),
        seed=model.seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(model.seed)  # torch.manual_seed would reach a GPU's, too
        network = make_network(model, history.inputs, len(panel.ids), panel.frequency)
    outcome = train(
        network,
        problem,
        source,
        recipe,
        folder=folder,
        resume=True,
        fingerprint=fingerprint,
        description=f"training on {len(panel.ids):,} series",
    )
    levels = np.array(LEVELS)
    spread = calibrated(network, history, panel, model.horizon, levels, validation)
    copula = fit_copula(network, history, panel, model.horizon, levels, spread, model.seed)
    return Learned(outcome, network, spread, copula)


def arrays_of(network: ForecastNetwork) -> dict[str, np.ndarray[Any, Any]]:
    """The network's weights by name."""
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def network_of(model: Forecaster, weights: Mapping[str, np.ndarray[Any, Any]]) -> ForecastNetwork:
    """The network of a fitted forecaster with these weights; ModelError where they do not fit its arguments."""
    with torch.device("meta"):  # sizes may come from a file: nothing is allocated before they are checked
        network = make_network(model, model.inputs_, len(model.items_), model.rhythm_)
    known = network.state_dict()
    for name, tensor in known.items():
        array = weights.get(name)
        fits = array is not None and array.shape == tuple(tensor.shape) and array.dtype == np.float32
        if array is None or not fits or not np.isfinite(array).all():
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise ModelError(f"network.{name} must be float32 {tuple(tensor.shape)}, all finite", value=found)
    if unknown := sorted(weights.keys() - known.keys()):
        raise ModelError("the network has no such weights", value=unknown[0])
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


# Packing


def pack(
    network: ForecastNetwork, codes: int, weights: str, of: Mapping[str, np.ndarray[Any, Any]]
) -> PackedNetwork:
    """The network's two steps as programs of the engine, their matrices in the format `weights`; unchecked.

    `codes` is how many vectors a series has, 1 + C; `of` are the network's weights by name. Raises UsageError for an
    unknown format and for a network that the engine does not know.
    """
    about = {"of": digest_of(of)}
    try:
        return PackedNetwork(
            {name: store(each, weights, about) for name, each in _traced(network, codes).items()}
        )
    except NotImplementedError as error:
        raise UsageError(f"this network cannot be packed: {error}", hint="Use another cell.") from error


def _traced(network: ForecastNetwork, codes: int) -> dict[str, Program]:
    """The programs of the network's two steps."""
    network = copy.deepcopy(network).eval().requires_grad_(False)
    start = network.initial_state(1)
    leaves = states.flatten(start)
    rows, vector = network.embedding.weight.shape
    columns = network.encoder.input_size - vector
    place = network.from_context.in_features - network.encoder.output_size - vector
    who = {f"code {number}": torch.zeros(1, dtype=torch.long) for number in range(codes)}
    bounds = dict.fromkeys(who, rows)

    def read(columns: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        state = states.unflatten(start, dict(zip(leaves, rest[codes:], strict=True)))
        output, after = network.read(columns, rest[:codes], state)
        return output, *states.flatten(after).values()

    def answer(
        context: Tensor, place: Tensor, ahead: Tensor, period: Tensor, *who: Tensor
    ) -> tuple[Tensor, ...]:
        return (network.answer(context, place, ahead, period, who),)

    origin = {
        "context": torch.ones(1, network.encoder.output_size),
        "place": torch.ones(1, place),
        "ahead": torch.ones(1, network.from_ahead.in_features),
        "period": torch.zeros(1, dtype=torch.long),
    }
    return {
        "read": lower(read, {"columns": torch.ones(1, columns)} | who, leaves, bounds),
        "answer": lower(answer, origin | who, {}, bounds | {"period": network.horizon}),
    }


def disagreement(network: ForecastNetwork, packed: PackedNetwork, history: History) -> float:
    """How far the packed network's quantiles are from the network's after a history.

    The root mean square of the difference as a share of that of the quantiles, in units of each series.
    """
    standing = history.after(np.arange(len(history.first)), history.values.shape[1] - 1, network.horizon)
    there, here = (
        each.answers(each.contexts(history)[0], standing.place, standing.ahead, history.codes).astype(
            np.float64
        )
        for each in (network, packed)
    )
    return float(np.sqrt(np.mean((here - there) ** 2) / np.mean(there**2)))


def check_disagreement(error: float, weights: str, bound: float | None) -> None:
    """Raise UsageError where a packed network is farther from its source than is allowed."""
    limit = BOUNDS[weights] if bound is None else bound
    if not error <= limit:
        raise UsageError(
            f"with weights in {weights} the forecasts differ from the network's by {error:.3g} of their size, and "
            f"{limit:.3g} is allowed",
            value=weights,
            hint="Use weights of more bits, or allow more with bound= in Python.",
        )


def drawn_history(model: Forecaster) -> History:
    """Sales as they might be of the model's items and of an unknown one, drawn, to compare networks with."""
    series, season = min(len(model.items_), 63) + 1, model.rhythm_.season
    periods = 2 * max(season, STEPS_A_WINDOW[model.rhythm_.name])
    generator = np.random.default_rng(0)
    size = model.inputs_.typical * np.geomspace(0.1, 10, series)[:, None]
    phase = 1 + 0.5 * np.sin(2 * np.pi * np.arange(periods) / max(season, 2))
    shape = 0.5 if model.inputs_.view == "level" else 20.0  # many small numbers, or none
    values = size * generator.gamma(shape, 1 / shape, (series, periods)) * phase
    first = np.where(np.arange(series) % 4 == 3, periods // 2, 0)
    values[np.arange(periods) < first[:, None]] = 0
    rhythm = model.rhythm_
    items = np.arange(series)
    panel = Panel(
        ids=tuple(map(str, items)),
        frequency=rhythm,
        dates=rhythm.dates(np.datetime64("2023-01-02"), periods),
        values=values.astype(np.float32),
        first=first,
        whole=False,
        nonnegative=True,
        covariates=model.inputs_.drawn(series, periods, periods + model.horizon, generator),
    )
    who = model.inputs_.who(panel, items, len(model.items_))
    return history_of(panel, model.horizon, model.inputs_, who, len(model.items_))
