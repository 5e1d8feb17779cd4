"""The forecasting network: a recurrent encoder of each series' history and a quantile head over the horizon.

Every series shares one network, which sees sales through a view (`views`): what it reads and answers is in units of
the series' own, so that large and small sellers look alike. At every period the head turns what the encoder remembers,
and what is known of the H periods ahead, into Q quantiles for each of them (the direct multi-horizon quantile forecast
of Wen et al. 2017, arXiv 1711.11053).

Legend: B rows, T steps, K origins, H horizon, C attributes, D encoder output, E vector, I columns, P numbers of a
place, Q quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding, silu

from recurra import state as states
from recurra.forecasting.history import History
from recurra.networks import Recurrent
from recurra.networks.heads import rising
from recurra.training.named import cell_named

__all__ = ["ForecastNetwork", "answer", "read_all", "remember", "sold"]

SERIES = 256  # that are read at once
PERIODS = 32  # of them: what reading takes in memory does not grow with the history
ANSWERS = 32_768  # periods of series that the head answers at once: a bound on memory
START = 0.25  # what lies between two quantiles at first, logarithmic: some units from the first to the last
LARGEST_LOG = 8.0  # an answer is at most e^8 ≈ 3000 units: gradients stay finite


class ForecastNetwork(nn.Module):
    """Reads history step by step and answers with quantiles in units of the view.

    `Forecaster` has the defaults, and says what its arguments of the same name mean.

    Parameters
    ----------
    rows: of the table of vectors, of which each series has 1 + C (`Inputs.codes`).
    columns: I, numbers that the encoder reads of a period (`History.columns`).
    place: P, numbers of a period that is forecast from (`Standing.place`).
    ahead: numbers of a period ahead (`Standing.ahead`).
    horizon: H, periods ahead.
    quantiles: Q, how many quantiles, in rising order; the middle one is the anchor.
    cell: name of a cell in `recurra.cells`, in any case.

    Raises UsageError for an unknown cell.
    """

    def __init__(
        self,
        *,
        rows: int,
        columns: int,
        place: int,
        ahead: int,
        horizon: int,
        quantiles: int,
        cell: str,
        hidden_size: int,
        layers: int,
        embedding_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        kind = cell_named(cell)
        self.horizon, self.quantiles = horizon, quantiles
        self.embedding = nn.Embedding(rows, embedding_size)
        sizes = [columns + embedding_size, *[hidden_size] * layers]
        self.encoder = Recurrent(
            [kind(sizes[i], sizes[i + 1]) for i in range(layers)], dropout=dropout if layers > 1 else 0.0
        )
        width = self.encoder.output_size
        self.dropout = nn.Dropout(dropout)
        self.from_context = nn.Linear(width + embedding_size + place, width)
        self.from_ahead = nn.Linear(ahead, width, bias=False)
        self.from_distance = nn.Parameter(torch.empty(horizon, width))
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, quantiles)
        with torch.no_grad():
            self.out.bias.fill_(math.log(math.expm1(START)))
            self.out.bias[quantiles // 2] = 0
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.from_distance, std=0.1)

    def initial_state(self, batch_size: int) -> Any:
        """The state of series that begin."""
        return self.encoder.initial_state(batch_size)

    def encode(
        self, columns: Tensor, codes: Tensor, state: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Read columns (B, T, I) of series with vectors `codes` (B, 1 + C).

        Returns the outputs (B, T, D) and the state after; with `lengths` (B,) that after so many periods.
        """
        who = self.who(*codes.unbind(1))[:, None].expand(-1, columns.shape[1], -1)
        outputs, state = self.encoder(torch.cat([columns, who], -1), state, lengths)
        return outputs, state

    def read(self, columns: Tensor, codes: Sequence[Tensor], state: Any) -> tuple[Tensor, Any]:
        """`encode` of one period: columns (B, I), 1 + C codes (B,) each; the output (B, D) and the state after."""
        output, state = self.encoder.step(torch.cat([columns, self.who(*codes)], -1), state)
        return output, state

    def head(self, context: Tensor, place: Tensor, ahead: Tensor, codes: Tensor) -> Tensor:
        """Quantiles in units, (B, K, H, Q), rising along Q.

        From the encoder's outputs (B, K, D) at K origins, what is known of these, `place` (B, K, P), and of the periods
        `ahead` of each (B, K, H, …), and the codes (B, 1 + C).
        """
        who = self.who(*codes.unbind(1))[:, None].expand(-1, context.shape[1], -1)
        return self._quantiles(self._known(context, place, who)[:, :, None], self.from_distance, ahead)

    def answer(
        self, context: Tensor, place: Tensor, ahead: Tensor, period: Tensor, codes: Sequence[Tensor]
    ) -> Tensor:
        """`head` of one period, number `period` (B,) from 0 on: context (B, D), place (B, P), ahead (B, …)."""
        known = self._known(context, place, self.who(*codes))
        return self._quantiles(known, embedding(period, self.from_distance), ahead)

    def who(self, *codes: Tensor) -> Tensor:
        """The vector of a series, (B, E): the sum of those that its codes (B,) name."""
        found: Tensor = self.embedding(codes[0])
        for each in codes[1:]:
            found = found + self.embedding(each)
        return found

    def start(self) -> dict[str, NDArray[np.float32]]:
        """As `Answering` says."""
        return {name: each.numpy() for name, each in states.flatten(self.initial_state(1)).items()}

    def contexts(
        self, history: History, state: Mapping[str, NDArray[np.float32]] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """As `Answering` says."""
        return read_all(self, history, state)

    def answers(
        self,
        context: NDArray[np.float32],
        place: NDArray[np.float32],
        ahead: NDArray[np.float32],
        codes: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """`answer`, the function below, of arrays."""
        return answer(self, *map(torch.from_numpy, (context, place, ahead, codes))).numpy()

    def _known(self, context: Tensor, place: Tensor, who: Tensor) -> Tensor:
        return self.from_context(torch.cat([self.dropout(context), who, place], -1))  # type: ignore[no-any-return]

    def _quantiles(self, known: Tensor, distance: Tensor, ahead: Tensor) -> Tensor:
        x = silu(known + distance + self.from_ahead(ahead))
        x = x + silu(self.hidden(x))
        return _unlog(rising(self.out(x)))


def _unlog(x: Tensor) -> Tensor:
    """The inverse of sign(r) log(1 + |r|)."""
    return torch.sign(x) * torch.expm1(x.abs().clamp(max=LARGEST_LOG))


def remember(
    network: ForecastNetwork, history: History, rows: NDArray[np.int64], origins: Sequence[int]
) -> Tensor:
    """What the encoder knows of series `rows` (V,) after the periods `origins` (K,): (V, K, D).

    A series is read from its first period on, as in training, and never beyond the last origin; what is said of
    an origin before its first period means nothing.
    """
    network.eval()
    last, found = max(origins), []
    for start in range(0, len(rows), SERIES):
        part = rows[start : start + SERIES]
        begin = np.minimum(history.first[part], last)
        steps = np.maximum(np.asarray(origins) - begin[:, None], 0)
        found.append(_read(network, history, part, begin, steps, network.initial_state(len(part)))[0])
    return torch.cat(found)


def read_all(
    network: ForecastNetwork, history: History, state: Mapping[str, NDArray[np.float32]] | None
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """What the encoder knows of every series after its last period, (N, D), and its state, (N, …) each.

    With `state` the series go on from there; else each begins at its first period. They are read in parts of those
    that begin about together.
    """
    network.eval()
    last, start = history.values.shape[1] - 1, network.initial_state(1)
    order = np.argsort(history.first, kind="stable")
    outputs: list[NDArray[np.float32]] = []
    states_: list[dict[str, NDArray[np.float32]]] = []
    for at in range(0, len(order), SERIES):
        part = order[at : at + SERIES]
        before = network.initial_state(len(part))
        if state is not None:
            given = {name: torch.from_numpy(np.ascontiguousarray(each[part])) for name, each in state.items()}
            before = states.unflatten(start, given)
        begin = np.minimum(history.first[part], last)
        found, after = _read(network, history, part, begin, (last - begin)[:, None], before)
        outputs.append(found[:, 0].numpy())
        states_.append({name: each.numpy() for name, each in states.flatten(after).items()})
    back = np.argsort(order)
    return np.concatenate(outputs)[back], {
        name: np.concatenate([each[name] for each in states_])[back] for name in states_[0]
    }


@torch.no_grad()
def _read(
    network: ForecastNetwork,
    history: History,
    rows: NDArray[np.int64],
    begin: NDArray[np.int64],
    steps: NDArray[np.int64],
    state: Any,
) -> tuple[Tensor, Any]:
    """Read series from periods `begin` (V,) on, PERIODS at a time.

    Returns the outputs (V, K, D) after `steps` (V, K) more of them, and the state after the most of a series' steps.
    """
    codes, lengths = torch.from_numpy(history.codes[rows]), steps.max(1) + 1
    found = torch.empty(*steps.shape, network.encoder.output_size)
    for start in range(0, int(lengths.max()), PERIODS):
        left = np.clip(lengths - start, 0, PERIODS)
        count = int(left.max())
        time = begin[:, None] + np.minimum(np.arange(start, start + count), lengths[:, None] - 1)
        columns = torch.from_numpy(history.columns(rows, time))
        ragged = torch.from_numpy(left) if left.min() < count else None
        outputs, state = network.encode(columns, codes, state, ragged)
        series, which = np.nonzero((steps >= start) & (steps < start + count))
        found[series, which] = outputs[series, steps[series, which] - start]
    return found, state


@torch.no_grad()
def answer(network: ForecastNetwork, context: Tensor, place: Tensor, ahead: Tensor, codes: Tensor) -> Tensor:
    """The forecast quantiles (V, H, Q) in units.

    From contexts (V, D) at an origin, what is known of it, `place` (V, P), and `ahead` (V, H, …), and codes (V, 1 + C).
    """
    network.eval()
    blocks, size = [], max(1, ANSWERS // network.horizon)
    for c, p, a, i in zip(*(torch.split(x, size) for x in (context, place, ahead, codes)), strict=True):
        blocks.append(network.head(c[:, None], p[:, None], a[:, None], i)[:, 0])
    return torch.cat(blocks)


def sold(
    network: ForecastNetwork, history: History, rows: NDArray[np.int64], origin: int, context: Tensor
) -> NDArray[np.float32]:
    """The forecast quantiles (V, H, Q) in units sold after period `origin`: of series `rows` with contexts (V, D)."""
    standing = history.after(rows, origin, network.horizon)
    given = map(torch.from_numpy, (standing.place, standing.ahead, history.codes[rows]))
    return standing.sold(answer(network, context, *given).numpy())
