"""A training step of language models, recurra.networks beside the same model on torch.nn with the same weights.

    python benchmarks/speed/language.py [--threads 2] [--json FILE] [--quick]

Two LSTM layers of 512 units over 10,000 words (B 32, T 70), and two GRU layers of 256 over 100 characters (B 32,
T 100), no dropout. A step is the loss of the next token, its gradients, their norm clipped and AdamW, whose learning
rate is 0, so that every round is the same. Bars: LSTM × 1.08, GRU × 1.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from common import Row, Way, measured, parse, parser, report, row
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recurra import cells
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork

OURS = "recurra"
# name, units, layers' kind, vocabulary, rows, steps
MODELS = [("words", 512, "LSTM", 10_000, 32, 70), ("characters", 256, "GRU", 100, 32, 100)]


class Theirs(nn.Module):
    """The usual model on torch.nn."""

    def __init__(self, kind: str, units: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.recurrent = getattr(nn, kind)(units, units, num_layers=2, batch_first=True)
        self.head = nn.Linear(units, vocabulary)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        hidden, _ = self.recurrent(self.embedding(tokens))
        return cross_entropy(self.head(hidden).flatten(0, 1), targets.flatten())


def ours(theirs: Theirs, kind: str, units: int, vocabulary: int) -> TokenNetwork:
    """A network of ours with their weights."""
    layers = [getattr(cells, kind)(units, units) for _ in range(2)]
    network = TokenNetwork(Embedding(vocabulary, units), Recurrent(layers), SoftmaxHead(units, vocabulary))
    with torch.no_grad():
        network.embedding.weight.copy_(theirs.embedding.weight)
        network.head.weight.copy_(theirs.head.weight)
        network.head.bias.copy_(theirs.head.bias)
        for number, cell in enumerate(layers):
            of: Callable[[str], Tensor] = lambda name, n=number: getattr(theirs.recurrent, f"{name}_l{n}")  # noqa: E731
            cell.weight_ih.copy_(of("weight_ih"))
            cell.weight_hh.copy_(of("weight_hh"))
            if kind == "GRU":
                first = 2 * units
                cell.bias.copy_(of("bias_ih"))
                cell.bias[:first] += of("bias_hh")[:first]
                cell.bias_hn.copy_(of("bias_hh")[first:])
            else:
                cell.bias.copy_(of("bias_ih") + of("bias_hh"))
    return network


def training_step(network: nn.Module, loss: Callable[[], Tensor], seen: list[Tensor]) -> Way:
    """A way to time; it gives the loss and the gradients of what is `seen`."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)

    def step() -> tuple[Tensor, ...]:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        gradients = tuple(each.grad.clone() for each in seen)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return value.detach(), *gradients

    return step


def ways(kind: str, units: int, vocabulary: int, rows: int, steps: int) -> dict[str, Way]:
    theirs = Theirs(kind, units, vocabulary)
    network = ours(theirs, kind, units, vocabulary).train()
    tokens, targets = torch.randint(vocabulary, (2, rows, steps))

    def of(model: Any) -> list[Tensor]:
        first = model.recurrent.layers[0].weight_ih if model is network else model.recurrent.weight_ih_l0
        return [model.embedding.weight, model.head.weight, first]

    return {
        "torch.nn": training_step(theirs, lambda: theirs.loss(tokens, targets), of(theirs)),
        OURS: training_step(network, lambda: network.loss(tokens, targets)[0], of(network)),
    }


def main() -> None:
    options = parse(parser(__doc__))
    rows: list[Row] = []
    for name, units, kind, vocabulary, batch, steps in MODELS:
        size = (8, 20, 3, 9) if options.quick else (units, vocabulary, batch, steps)
        what = {"model": name, "layers": kind, **dict(zip(("H", "V", "B", "T"), size, strict=True))}
        rows.append(row(what, measured(ways(kind, *size), quick=options.quick, budget=30.0), OURS))
    report(options, rows)


if __name__ == "__main__":
    main()
