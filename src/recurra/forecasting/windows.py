"""Where the forecaster's batches come from, and what is learned from them.

A batch is B rows of T successive periods. Each row walks through one series after another: a series is begun near
its start, at a random offset, and read to its end over several batches with the state carried on; then the row
takes the next series of a random order. So every batch mixes series and seasons, and the state is never cut short.

Legend: B rows, T steps, N series, L periods of history, K origins, H horizon, I columns, P numbers of a place, C
attributes, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.forecasting.history import History
from recurra.forecasting.network import ForecastNetwork, remember, sold
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING, OBSERVED
from recurra.networks.heads import pinball

__all__ = ["Batch", "QuantileProblem", "Windows", "beyond"]


@dataclass(frozen=True)
class Batch:
    """One step's data: rows to read, the origins in them to forecast from, and what came then."""

    fresh: Tensor  # (B,) bool
    columns: Tensor  # (B, T, I)
    codes: Tensor  # (B, 1 + C)
    origins: Tensor  # (K,) positions in 0 … T-1, the same for all rows
    place: Tensor  # (B, K, P) what is known of the origins
    ahead: Tensor  # (B, K, H, …) and of the periods ahead of each
    target: Tensor  # (B, K, H) in units
    weight: Tensor  # (B, K) what a loss there counts
    known: Tensor  # (B, K, H) bool, where the target is to be learned
    at_least: Tensor  # (B, K, H) bool, where it is a lower bound


class Windows:
    """Batches without end from a history; the place in it can be told and set, so that training can resume."""

    def __init__(
        self,
        history: History,
        *,
        batch_size: int,
        steps: int,
        origins: int,
        horizon: int,
        strangers: float,
        unknown: NDArray[np.int64],
        seed: int,
    ) -> None:
        self.unknown = unknown  # (1 + C,) the codes of what is not known
        self.history, self.steps, self.horizon, self.strangers = history, steps, horizon, strangers
        self.origins = min(origins, steps)
        self.generator = np.random.default_rng(seed)
        series = len(history.first)
        self.queue = np.zeros(0, dtype=np.int64)  # series still to come in this round
        self.row = np.zeros(batch_size, dtype=np.int64)  # the series that each row reads
        self.position = np.full(batch_size, history.values.shape[1], dtype=np.int64)  # and where it is
        self.stranger = np.zeros((batch_size, history.codes.shape[1]), dtype=bool)  # read as unknown
        if series == 0:
            raise ValueError("there are no series to train on")

    def next(self) -> Batch:
        """The next batch."""
        history, length = self.history, self.history.values.shape[1]
        fresh = self.position + 1 >= self.history.until[self.row]  # no origin is left with a target
        for place in np.flatnonzero(fresh):
            self._begin(int(place))
        time = self.position[:, None] + np.arange(self.steps)
        here, row = np.minimum(time, length - 1), self.row
        chosen = np.sort(self.generator.choice(self.steps, self.origins, replace=False))
        origin = time[:, chosen]
        ahead = origin[:, :, None] + np.arange(1, self.horizon + 1)
        began, until = history.first[self.row][:, None, None], history.until[self.row][:, None, None]
        known = (ahead < until) & (origin[:, :, None] >= began)
        there = np.minimum(ahead, length - 1)
        status = np.uint8(OBSERVED) if history.status is None else history.status[row[:, None, None], there]
        origin = np.minimum(origin, length - 1)
        standing = history.at(row, origin, self.horizon)
        columns = np.where((time < length)[..., None], history.columns(row, here), np.float32(0))
        batch = Batch(
            fresh=torch.from_numpy(fresh),
            columns=torch.from_numpy(columns),
            codes=torch.from_numpy(np.where(self.stranger, self.unknown, history.codes[row])),
            origins=torch.from_numpy(chosen),
            place=torch.from_numpy(standing.place),
            ahead=torch.from_numpy(standing.ahead),
            target=torch.from_numpy(standing.units(history.values[row[:, None, None], there])),
            weight=torch.from_numpy(history.view.weight(row, origin)),
            known=torch.from_numpy(known & (status != MISSING)),
            at_least=torch.from_numpy(np.broadcast_to(status == AT_LEAST, known.shape).copy()),
        )
        self.position += self.steps
        return batch

    def _begin(self, place: int) -> None:
        if not len(self.queue):
            self.queue = self.generator.permutation(len(self.history.first))
        series, self.queue = int(self.queue[0]), self.queue[1:]
        first, until = int(self.history.first[series]), int(self.history.until[series])
        room = max(1, min(self.steps, until - first - self.steps))
        self.row[place] = series
        self.position[place] = min(first + int(self.generator.integers(room)), max(0, until - 2))
        self.stranger[place] = self.generator.random(self.stranger.shape[1]) < self.strangers

    def state_dict(self) -> dict[str, Any]:
        """The place in the data."""
        return {
            "generator": self.generator.bit_generator.state,
            "queue": self.queue.copy(),
            "row": self.row.copy(),
            "position": self.position.copy(),
            "stranger": self.stranger.copy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a place that `state_dict` told."""
        self.generator.bit_generator.state = state["generator"]
        for name in ("queue", "row", "position", "stranger"):
            current = getattr(self, name)
            setattr(self, name, np.asarray(state[name], dtype=current.dtype).copy())


class QuantileProblem:
    """The pinball loss over all horizons and quantiles, in units and weights of the view of sales."""

    def __init__(self, history: History, horizon: int, levels: Tensor, validation: NDArray[np.int64]) -> None:
        self.history, self.horizon, self.levels = history, horizon, levels
        self.validation = validation  # (V,) series whose last H periods are held out

    def initial_state(self, network: ForecastNetwork, batch_size: int) -> Any:
        """The state of series that begin."""
        return network.initial_state(batch_size)

    def loss(self, network: ForecastNetwork, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The mean loss over what is known, and the state after the batch."""
        outputs, state = network.encode(batch.columns, batch.codes, state)
        units = network.head(outputs[:, batch.origins], batch.place, batch.ahead, batch.codes)
        losses = self._losses(batch.target, units, batch.at_least) * batch.weight[..., None]
        return torch.where(batch.known, losses, 0.0).sum() / batch.known.sum().clamp(min=1), state

    def _losses(self, target: Tensor, quantiles: Tensor, at_least: Tensor) -> Tensor:
        """The pinball losses (…) of quantiles (…, Q), where the target may be a lower bound."""
        losses = pinball(target[..., None] - quantiles, self.levels)
        if at_least.any():
            losses[at_least] = beyond(target[at_least], quantiles[at_least], self.levels)
        return losses.mean(-1)

    def evaluate(self, network: ForecastNetwork) -> float | None:
        """The weighted quantile loss over the held-out periods of the validation series, weighed by the view too.

        None without such series, or where nothing was sold: there is nothing to weigh by.
        """
        if not len(self.validation):
            return None
        history, rows = self.history, self.validation
        start = history.values.shape[1] - self.horizon
        worth = torch.from_numpy(history.view.worth(rows, np.full((len(rows), 1), start - 1)))
        actual = torch.from_numpy(history.values[rows, start:])
        status = torch.zeros_like(actual, dtype=torch.uint8)
        if history.status is not None:
            status = torch.from_numpy(history.status[rows, start:])
        actual = torch.where(status == MISSING, 0.0, actual)
        total = float((actual.abs() * worth).sum())
        if total == 0:
            return None
        context = remember(network, history, rows, [start - 1])[:, 0]
        answers = torch.from_numpy(sold(network, history, rows, start - 1, context))
        losses = self._losses(actual, answers, status == AT_LEAST) * worth
        return 2 * float(losses[status != MISSING].sum()) / total


def beyond(bound: Tensor, quantiles: Tensor, levels: Tensor) -> Tensor:
    """Losses (…, Q) of rising quantiles (…, Q) where the value is only known to be at least `bound` (…).

    The value is parted over what it may be: of quantile τ a share w = (τ - F) / (1 - F) is the bound itself and the
    rest lies above, F the chance that the quantiles give to less than the bound (Portnoy 2003, with F those of the
    quantiles as they are). So above the bound the gradient is w - τ; it vanishes once nothing is expected below it.
    """
    below = _probability(bound, quantiles.detach(), levels)[..., None]
    share = ((levels - below) / (1 - below)).clamp(min=0)
    under = torch.relu(bound[..., None] - quantiles) * levels
    drawn_up = torch.where(quantiles > bound[..., None], (quantiles.detach() - quantiles) * levels, under)
    return share * pinball(bound[..., None] - quantiles, levels) + (1 - share) * drawn_up


def _probability(value: Tensor, quantiles: Tensor, levels: Tensor) -> Tensor:
    """The probability of less than `value` (…) by rising quantiles (…, Q), straight between them, 0 below them."""
    index = torch.searchsorted(quantiles.contiguous(), value[..., None].contiguous()).clamp(
        1, len(levels) - 1
    )
    low, high = quantiles.gather(-1, index - 1), quantiles.gather(-1, index)
    share = ((value[..., None] - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    found = levels[index - 1] + share * (levels[index] - levels[index - 1])
    return torch.where(value[..., None] <= quantiles[..., :1], 0.0, found)[..., 0]
