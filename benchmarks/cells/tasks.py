"""Five tasks, each asking a recurrent network for one thing: where its batches come from and what counts as right.

A task draws x (B, T, inputs) and the target (B, T); where a step asks for nothing the target is NOTHING. Symbols are
one-hot, so that one network, linear at its door, serves all tasks. Data are drawn anew for every batch, so the loss
in training is the loss on data not seen before; only the images are a fixed set, with its own test rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

__all__ = ["TASKS", "Adding", "Copying", "Parity", "Recall", "Rows", "Task"]

NOTHING = -100


class Task(ABC):
    """What a network is trained to do.

    `rows` is the batch and `layers` the depth of the network. The curriculum has `levels`, from each to the next at an
    accuracy of `passed`; training ends in the last one, at the loss `solved`.
    """

    name: str
    inputs: int
    outputs: int
    rows: int = 64
    layers: int = 1
    levels: int = 1
    passed: float = 0.0
    solved: float = 0.0

    @abstractmethod
    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        """A training batch of the curriculum's level, 1 … levels."""

    def exam(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """The test: 1,000 rows unless the task has its own."""
        return self.draw(1000, generator, self.levels)

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy over the steps that ask for something."""
        return cross_entropy(y.flatten(0, 1), target.flatten(), ignore_index=NOTHING)

    def accuracy(self, y: Tensor, target: Tensor) -> float:
        """The share of right answers."""
        asked = target != NOTHING
        return (y.argmax(-1) == target)[asked].double().mean().item()


class Adding(Task):
    """The sum of the two marked numbers among 200, asked for at the end.

    Hochreiter & Schmidhuber 1997, experiment 4, as in Le et al. 2015 (arXiv 1504.00941): numbers from U(0, 1), one
    mark in each half. An answer within 0.04 is right. The curriculum: 20 steps, then 40, … 200.
    """

    name = "adding"
    inputs, outputs = 2, 1
    rows = 32
    levels, passed, solved = 10, 0.8, 1.5e-4

    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        half = 10 * level
        places = torch.randint(half, (rows, 2), generator=generator) + torch.tensor([0, half])
        numbers = torch.rand(rows, 2 * half, generator=generator)
        marks = torch.zeros_like(numbers).scatter_(1, places, 1.0)
        target = torch.full_like(numbers, NOTHING)
        target[:, -1] = (numbers * marks).sum(1)
        return torch.stack([numbers, marks], -1), target

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        return mse_loss(y[:, -1, 0], target[:, -1])

    def accuracy(self, y: Tensor, target: Tensor) -> float:
        return ((y[:, -1, 0] - target[:, -1]).abs() < 0.04).double().mean().item()


class Copying(Task):
    """Eight of eight symbols strewn over 64 steps, to be said in their order afterwards.

    Selective copying (Gu & Dao 2023, arXiv 2312.00752, section 3.1), smaller. The curriculum: one symbol in 8 steps,
    two in 16, … eight in 64.
    """

    layers = 2
    name = "copying"
    symbols = 8
    inputs, outputs = symbols + 2, symbols  # the symbols, a blank, "say it"
    levels, passed, solved = 8, 0.95, 0.01

    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        said = torch.randint(self.symbols, (rows, level), generator=generator)
        order = torch.rand(rows, 8 * level, generator=generator).argsort(1)
        blank = torch.full((rows, 8 * level), self.symbols)
        seen = blank.scatter(1, order[:, :level].sort(1).values, said)
        asked = torch.full_like(said, self.symbols + 1)
        target = torch.cat([torch.full_like(seen, NOTHING), said], 1)
        return one_hot(torch.cat([seen, asked], 1), self.inputs).float(), target


class Parity(Task):
    """Whether the ones so far are odd, at every step; trained up to 40 steps, tested at step 256.

    As in Grazzi et al. 2024 (arXiv 2411.12537). The curriculum: 4 steps, then 8, … 40.
    """

    name = "parity"
    inputs, outputs = 2, 2
    rows = 128
    levels, passed, solved = 10, 0.98, 1e-6

    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        return self._bits(rows, 4 * level, generator)

    def exam(self, generator: Generator) -> tuple[Tensor, Tensor]:
        x, target = self._bits(1000, 256, generator)
        target[:, :-1] = NOTHING
        return x, target

    def _bits(self, rows: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
        bits = torch.randint(2, (rows, steps), generator=generator)
        return one_hot(bits, 2).float(), bits.cumsum(1) % 2


class Recall(Task):
    """Eight pairs of key and value, a pair a step, then every key again in another order: which was its value?

    Multi-query associative recall (Arora et al. 2023, arXiv 2312.04927), but that key and value come in one step, so
    that it asks for memory alone and not for a short convolution too.
    """

    name = "recall"
    keys, values, pairs = 16, 8, 8
    inputs, outputs = keys + values, values
    solved = 0.01

    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        keys = torch.rand(rows, self.keys, generator=generator).argsort(1)[:, : self.pairs]
        values = torch.randint(self.values, (rows, self.pairs), generator=generator)
        again = torch.rand(rows, self.pairs, generator=generator).argsort(1)
        given = torch.cat([one_hot(keys, self.keys), one_hot(values, self.values)], -1)
        asked = one_hot(keys.gather(1, again), self.keys)
        asked = torch.cat([asked, asked.new_zeros(rows, self.pairs, self.values)], -1)
        target = torch.cat([torch.full((rows, self.pairs), NOTHING), values.gather(1, again)], 1)
        return torch.cat([given, asked], 1).float(), target


class Rows(Task):
    """A handwritten digit, read row by row: 28 steps of 28 pixels, named at the end (MNIST).

    `folder` holds images/mnist.npz. Raises FileNotFoundError where it is not.
    """

    name = "rows"
    inputs, outputs = 28, 10

    @staticmethod
    def file(folder: Path) -> Path:
        return folder / "images" / "mnist.npz"

    def __init__(self, folder: Path) -> None:
        with np.load(self.file(folder), allow_pickle=False) as data:
            self.train, self.test = (
                tuple(torch.from_numpy(data[f"{what}_{part}"]) for what in "xy") for part in ("train", "test")
            )

    def draw(self, rows: int, generator: Generator, level: int) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(self.train[0]), (rows,), generator=generator)
        return self._pixels(*(part[chosen] for part in self.train))

    def exam(self, generator: Generator) -> tuple[Tensor, Tensor]:
        return self._pixels(*self.test)

    def _pixels(self, images: Tensor, digits: Tensor) -> tuple[Tensor, Tensor]:
        target = torch.full((len(digits), 28), NOTHING)
        target[:, -1] = digits
        return images.float() / 255, target


TASKS: tuple[type[Task], ...] = (Adding, Copying, Parity, Recall, Rows)
