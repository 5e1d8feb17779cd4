"""The forecasting network: a recurrent encoder of each series' history and a quantile head over the horizon.

Every series shares one network. A series is read in units of its own level, a recurrent average of what was
sold, so that large and small sellers look alike; the level itself is an input. At every period the head turns
what the encoder remembers, the calendar of the H periods ahead and what the same phases of the season usually sold
into Q quantiles for each of them (the direct multi-horizon quantile forecast of Wen et al. 2017, arXiv 1711.11053).

Legend: B rows, T steps, K origins, H horizon, F calendar features, M memories, D encoder output, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from recurra.cells import CELLS
from recurra.errors import UsageError
from recurra.forecasting.history import History, logarithm
from recurra.networks import Recurrent
from recurra.networks.heads import rising

__all__ = ["ForecastNetwork", "answer", "cell_named", "remember"]

ANSWERS = 32_768  # periods of series that the head answers at once: a bound on memory
LARGEST_LOG = 8.0  # a quantile is at most e^8 ≈ 3000 times the level: gradients stay finite


def cell_named(name: str) -> Any:
    """The cell of `recurra.cells` called `name`, in any case; UsageError for an unknown one."""
    kinds = {kind.__name__.lower(): kind for kind in CELLS}
    if not isinstance(name, str) or name.lower() not in kinds:
        raise UsageError("there is no such cell", value=name, hint=f"Use one of {', '.join(kinds)}.")
    return kinds[name.lower()]


class ForecastNetwork(nn.Module):
    """Reads scaled history step by step and answers with quantiles in units of the level.

    `Forecaster` has the defaults, and says what its arguments of the same name mean.

    Parameters
    ----------
    items: how many series have an embedding of their own; number 0 stands for any other.
    features: F, calendar features of a period.
    memories: M, averages of each series; the last one is its level.
    horizon: H, periods ahead.
    quantiles: Q, how many quantiles, in rising order; the middle one is the anchor.
    cell: name of a cell in `recurra.cells`, in any case.

    Raises UsageError for an unknown cell.
    """

    def __init__(
        self,
        *,
        items: int,
        features: int,
        memories: int,
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
        self.embedding = nn.Embedding(items + 1, embedding_size)
        sizes = [2 + memories + features + embedding_size, *[hidden_size] * layers]
        self.encoder = Recurrent(
            [kind(sizes[i], sizes[i + 1]) for i in range(layers)], dropout=dropout if layers > 1 else 0.0
        )
        width = self.encoder.output_size
        self.dropout = nn.Dropout(dropout)
        self.from_context = nn.Linear(width + embedding_size + 1, width)
        self.from_ahead = nn.Linear(features + 1, width, bias=False)
        self.from_distance = nn.Parameter(torch.empty(horizon, width))
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, quantiles)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.from_distance, std=0.1)

    def initial_state(self, batch_size: int) -> Any:
        """The state of series that begin."""
        return self.encoder.initial_state(batch_size)

    def encode(
        self, y: Tensor, averages: Tensor, calendar: Tensor, item: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """Read y (B, T), averages (B, T, M) and calendar (B, T, F) of items (B,).

        Returns the outputs (B, T, D) and the state after.
        """
        who = self.embedding(item)[:, None].expand(-1, y.shape[1], -1)
        level = averages[..., -1]
        size = logarithm(y / level)
        tempo = torch.log(averages[..., :-1] / level[..., None])
        columns = [size[..., None], (y > 0).to(y.dtype)[..., None], _log_level(level), tempo, calendar, who]
        outputs, state = self.encoder(torch.cat(columns, -1), state)
        return outputs, state

    def head(self, context: Tensor, level: Tensor, ahead: Tensor, item: Tensor) -> Tensor:
        """Quantiles in units of the level, (B, K, H, Q), rising along Q.

        From the encoder's outputs (B, K, D) at K origins, the levels there (B, K), what is known of the periods
        `ahead` of each (B, K, H, F + 1) (`History.ahead`) and the items (B,).
        """
        who = self.embedding(item)[:, None].expand(-1, context.shape[1], -1)
        known = self.from_context(torch.cat([self.dropout(context), who, _log_level(level)], -1))
        x = silu(known[:, :, None] + self.from_distance + self.from_ahead(ahead))
        x = x + silu(self.hidden(x))
        return _unlog(rising(self.out(x)))


def _log_level(level: Tensor) -> Tensor:
    return 0.3 * torch.log(level)[..., None]


def _unlog(x: Tensor) -> Tensor:
    """The inverse of sign(r) log(1 + |r|)."""
    return torch.sign(x) * torch.expm1(x.abs().clamp(max=LARGEST_LOG))


@torch.no_grad()
def remember(network: ForecastNetwork, history: History, rows: Tensor, origins: Sequence[int]) -> Tensor:
    """What the encoder knows of series `rows` (V,) after the periods `origins` (K,): (V, K, D).

    A series is read from its first period on, as in training, and never beyond the last origin; what is said of
    an origin before its first period means nothing.
    """
    network.eval()
    last, first = max(origins), torch.from_numpy(history.first)
    found = []
    for part in torch.split(rows, 256):
        begin = first[part].clamp(max=last)[:, None]
        time = (begin + torch.arange(last + 1 - int(begin.min()))).clamp(max=last)
        places = (torch.tensor(origins) - begin).clamp(min=0)
        series = part[:, None]
        read = (history.values[series, time], history.averages[series, time], history.calendar[time])
        outputs, _ = network.encode(*read, history.items[part], network.initial_state(len(part)))
        found.append(outputs[torch.arange(len(part))[:, None], places])
    return torch.cat(found)


@torch.no_grad()
def answer(network: ForecastNetwork, context: Tensor, level: Tensor, ahead: Tensor, item: Tensor) -> Tensor:
    """The forecast quantiles (V, H, Q) in units sold.

    From contexts (V, D) and levels (V,) at the last period, what is known `ahead` (V, H, F + 1) and the items (V,).
    """
    network.eval()
    blocks, size = [], max(1, ANSWERS // network.horizon)
    for c, s, a, i in zip(*(torch.split(x, size) for x in (context, level, ahead, item)), strict=True):
        blocks.append(network.head(c[:, None], s[:, None], a[:, None], i)[:, 0] * s[:, None, None])
    return torch.cat(blocks)
