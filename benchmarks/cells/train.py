"""One network for all cells and tasks, as wide as the budget of parameters lets it be, and the loop that trains it."""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable
from functools import partial

import torch
from tasks import Task
from torch import Generator, Tensor, nn

from recurra import cells
from recurra.cell import Cell
from recurra.networks import Recurrent

__all__ = ["BUDGET", "CELLS", "RATE", "Network", "Training", "fitting_width", "parameters"]

BUDGET = 12_000  # parameters, all of the network's
RATE = 1e-2
WARMUP = 50  # steps
CLIP = 1.0
EXAM = 1_000_000  # added to the seed, so that the test's rows are not the first batches of training

CELLS: dict[str, Callable[..., Cell]] = {
    "LSTM": cells.LSTM,
    "GRU": cells.GRU,
    "SLSTM": cells.SLSTM,
    "MinGRU": cells.MinGRU,
    # Long memories and slow waves, which its paper asks for where sequences are long (section 3.4).
    "LRU": partial(cells.LRU, r_min=0.9, r_max=0.999, max_phase=math.pi / 10),
    "MLSTM": cells.MLSTM,
    "GatedDeltaNet": cells.GatedDeltaNet,
    "RWKV7": cells.RWKV7,
    "DeltaNet": partial(cells.DeltaNet, beta_max=2.0),
}


class Network(nn.Module):
    """Linear, GELU, the cell in one layer or two (the upper one normed and residual), linear, GELU, linear.

    Without the two GELUs a cell that is a linear map of its inputs (LRU) would have nothing to work with.
    """

    def __init__(self, task: Task, make: Callable[..., Cell], width: int, generator: Generator) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(task.inputs, width), nn.GELU())
        layers = [make(width, width, generator=generator) for _ in range(task.layers)]
        self.recurrent = Recurrent(layers, norm="layer", residual=True)
        self.leave = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, task.outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) -> (B, T, outputs)."""
        y: Tensor = self.leave(self.recurrent(self.enter(x))[0])
        return y


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def fitting_width(task: Task, make: Callable[..., Cell], budget: int) -> int:
    """The width whose network has most nearly so many parameters."""
    widths = range(8, 257)

    def count(width: int) -> int:
        return parameters(Network(task, make, width, Generator()))

    place = bisect.bisect_left(widths, budget, key=count)
    return min(widths[max(place - 1, 0) : place + 1], key=lambda width: abs(count(width) - budget))


class Training:
    """A network, its optimizer, and how far they are: steps, seconds of a core, the level of the curriculum.

    `loss` and `accuracy` are averages over about the last 20 batches of the level.
    """

    def __init__(self, task: Task, make: Callable[..., Cell], budget: int, rate: float, seed: int) -> None:
        torch.manual_seed(seed)  # the linear layers'
        self.task, self.rate, self.seed = task, rate, seed
        self.data = Generator().manual_seed(seed)
        self.width = fitting_width(task, make, budget)
        self.network = Network(task, make, self.width, Generator().manual_seed(seed))
        self.optimizer = torch.optim.Adam(self.network.parameters())
        self.steps, self.seconds = 0, 0.0
        self.level, self.since, self.loss, self.accuracy = 1, 0, 0.0, 0.0

    @property
    def solved(self) -> bool:
        """Whether the last level is reached, and in it, over 20 batches, the loss that the task wants."""
        return self.level == self.task.levels and self.since >= 20 and self.loss < self.task.solved

    def run(self, seconds: float) -> None:
        """Train until the task is solved, `seconds` of a core are used, or the loss is no number any more.

        They are counted as the process used them, so that other processes on the machine take nothing away.
        """
        began = time.process_time()
        while not self.solved and self.seconds < seconds and math.isfinite(self.loss):
            self.step(self.seconds / seconds)
            self.seconds = time.process_time() - began

    def step(self, done: float) -> None:
        """One batch; the rate rises over the first steps and falls by a cosine over the share of time `done`."""
        rate = (
            self.rate
            * min(1.0, (self.steps + 1) / WARMUP)
            * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._climb(done)
        x, target = self.task.draw(self.task.rows, self.data, self.level)
        y = self.network(x)
        loss = self.task.loss(y, target)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.steps += 1
        self._note(loss.item(), self.task.accuracy(y.detach(), target))

    def _climb(self, done: float) -> None:
        """Up one level where the last batches passed; and so that half of the time is spent on the last level."""
        passed = self.since >= 20 and self.accuracy > self.task.passed
        level = min(max(self.level + passed, int(2 * done * self.task.levels) + 1), self.task.levels)
        if level > self.level:
            self.level, self.since = level, 0

    def _note(self, loss: float, accuracy: float) -> None:
        self.since += 1
        share = max(0.05, 1 / self.since)
        self.loss += share * (loss - self.loss)
        self.accuracy += share * (accuracy - self.accuracy)

    @torch.no_grad()
    def exam(self) -> float:
        """The accuracy on the task's test."""
        self.network.eval()
        x, target = self.task.exam(Generator().manual_seed(EXAM + self.seed))
        accuracy = self.task.accuracy(torch.cat([self.network(rows) for rows in x.split(250)]), target)
        self.network.train()
        return accuracy
