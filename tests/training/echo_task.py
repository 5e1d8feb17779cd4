"""A small real task: say the signal of two steps ago; at a batch's start only a carried state knows it.

As a script it trains until it is done or killed: python echo_task.py FOLDER RECIPE.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.cells import LSTM
from recurra.networks import Recurrent
from recurra.state import State, where
from recurra.training import Outcome, Recipe, train

ROWS, STEPS, DELAY = 4, 5, 2


class Echo(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        cells = [LSTM(1, 8, generator=generator), LSTM(8, 8, generator=generator)]
        self.stack = Recurrent(cells, dropout=0.2, norm="layer")
        self.seen = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.head = nn.Linear(8, 1)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.uniform_(-0.3, 0.3, generator=generator)

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, State]:
        if self.training:
            self.seen.add_(1)
        y, after = self.stack(x, state)
        return self.head(y), after


@dataclass
class Signals:
    x: Tensor
    y: Tensor
    fresh: Tensor


class SignalSource:
    def __init__(self, seed: int = 1) -> None:
        self.generator = np.random.default_rng(seed)
        self.tail = np.zeros((ROWS, DELAY), dtype=np.float32)
        self.count = 0

    def next(self) -> Signals:
        fresh = self.generator.random(ROWS) < (1.0 if self.count == 0 else 0.2)
        self.tail[fresh] = 0
        x = self.generator.normal(size=(ROWS, STEPS)).astype(np.float32)
        whole = np.concatenate([self.tail, x], axis=1)
        self.tail = whole[:, STEPS:].copy()
        self.count += 1
        tensors = (torch.from_numpy(a) for a in (x[..., None], whole[:, :STEPS, None], fresh))
        return Signals(*tensors)

    def state_dict(self) -> Mapping[str, Any]:
        return {"generator": self.generator.bit_generator.state, "tail": self.tail, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.tail, self.count = state["tail"].copy(), state["count"]


class EchoProblem:
    def __init__(self) -> None:
        source = SignalSource(seed=2)
        self.validation = [source.next() for _ in range(8)]

    def initial_state(self, network: Echo, batch_size: int) -> State:
        return network.stack.initial_state(batch_size)

    def loss(self, network: Echo, batch: Signals, state: State) -> tuple[Tensor, State]:
        out, after = network(batch.x, state)
        return (out - batch.y).square().mean(), after

    def evaluate(self, network: Echo) -> float | None:
        total = 0.0
        state: State = network.stack.initial_state(ROWS)
        for batch in self.validation:
            loss, state = self.loss(
                network, batch, where(batch.fresh, network.stack.initial_state(ROWS), state)
            )
            total += loss.item()
        return total / len(self.validation)


def run(recipe: Recipe, folder: Path | None = None, **options: Any) -> tuple[Echo, Outcome]:
    network = Echo()
    return network, train(network, EchoProblem(), SignalSource(), recipe, folder=folder, **options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    trained, outcome = run(Recipe(**json.loads(sys.argv[2])), place, resume=True, fingerprint="echo")
    weights = {name: tensor.numpy() for name, tensor in trained.state_dict().items()}
    np.savez(place / "final.npz", **weights)
    print(outcome)
