from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from echo_task import Echo, EchoProblem, SignalSource, run
from torch import Tensor, nn

from recurra.errors import RecurraError
from recurra.state import State
from recurra.training import Outcome, Recipe, train
from recurra.training.average import snapshot

SHORT = Recipe(steps=12, warmup=2, evaluate_every=4)


def weights(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in snapshot(network).items()}


def test_it_learns_what_only_a_carried_state_knows() -> None:
    untrained = EchoProblem().evaluate(Echo().eval())
    _, outcome = run(Recipe(steps=150, learning_rate=3e-2, warmup=10, average=0.9))
    assert untrained is not None
    assert outcome.best_loss is not None
    assert untrained > 0.8
    assert outcome.best_loss < 0.45
    assert (outcome.steps, outcome.stopped) == (150, "steps")


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    first, second = weights(run(SHORT)[0]), weights(run(SHORT)[0])
    other = weights(run(Recipe(steps=12, warmup=2, evaluate_every=4, seed=1))[0])
    assert first == second
    assert first != other  # dropout draws differ


def test_the_caller_keeps_the_random_numbers() -> None:
    network = Echo()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(network, EchoProblem(), SignalSource(), SHORT)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_network_ends_with_the_weights_of_its_best_evaluation() -> None:
    network, outcome = run(Recipe(steps=40, warmup=2, evaluate_every=5, learning_rate=0.5))
    assert outcome.best_step is not None
    assert outcome.best_step < 40  # a rate this high makes it worse again
    assert not network.training
    with torch.no_grad():
        assert EchoProblem().evaluate(network) == outcome.best_loss
    assert int(network.seen) == outcome.best_step


def test_evaluating_does_not_change_the_training(tmp_path: Path) -> None:
    losses = []
    for every in (1, 100):
        run(Recipe(steps=10, warmup=2, evaluate_every=every), tmp_path / str(every))
        rows = (tmp_path / str(every) / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(row)["loss"] for row in rows])
    assert losses[0] == losses[1]


def test_patience_stops_early() -> None:
    _, outcome = run(Recipe(steps=400, warmup=2, evaluate_every=5, learning_rate=0.5, patience=2))
    assert outcome.stopped == "patience"
    assert outcome.best_step is not None
    assert outcome.steps == outcome.best_step + 10


def test_the_time_limit_stops_after_an_evaluation() -> None:
    _, outcome = run(Recipe(steps=400, max_seconds=1e-6))
    assert (outcome.stopped, outcome.steps, outcome.best_step) == ("time", 1, 1)


def test_metrics_tell_every_step(tmp_path: Path) -> None:
    recipe = Recipe(steps=10, warmup=2, evaluate_every=4)
    _, outcome = run(recipe, tmp_path / "new" / "folder")
    lines = (tmp_path / "new" / "folder" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert [row["learning_rate"] for row in rows] == [recipe.rate(step) for step in range(1, 11)]
    assert [row["step"] for row in rows if "evaluation" in row] == [4, 8, 10]
    assert min(row["evaluation"] for row in rows if "evaluation" in row) == outcome.best_loss
    assert rows[-1]["loss"] == outcome.loss
    assert all(row["grad_norm"] > 0 for row in rows)


class Interrupting(SignalSource):
    def next(self) -> Any:
        if self.count == 7:
            raise KeyboardInterrupt
        return super().next()


@pytest.mark.parametrize(("every", "best"), [(3, 6), (100, None)])
def test_ctrl_c_keeps_the_best_so_far(tmp_path: Path, every: int, best: int | None) -> None:
    recipe = Recipe(steps=20, warmup=2, evaluate_every=every, checkpoint_seconds=0)
    network = Echo()
    outcome = train(network, EchoProblem(), Interrupting(), recipe, folder=tmp_path)
    assert (outcome.stopped, outcome.steps, outcome.best_step) == ("interrupted", 7, best)
    assert int(network.seen) == (best or 7)  # the best weights, or else the average of the last step
    # The checkpoint from before stands, and the training can go on.
    resumed, after = run(recipe, tmp_path, resume=True)
    assert after.steps == 20
    assert weights(resumed) == weights(run(recipe)[0])


# What the loop does with states, watched by a problem whose state counts the steps of each row.


@dataclass
class Marks:
    fresh: Tensor


class Scripted:
    """Gives the batches it was told to."""

    def __init__(self, *fresh: list[bool]) -> None:
        self.left = [torch.tensor(rows) for rows in fresh]

    def next(self) -> Marks:
        return Marks(self.left.pop(0))

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise AssertionError("not resumed here")


class Counting:
    def __init__(self, losses: list[float] | None = None, found: list[float | None] | None = None) -> None:
        self.given: list[list[float]] = []
        self.losses, self.found = losses or [], found or []

    def initial_state(self, network: nn.Linear, batch_size: int) -> State:
        return (torch.zeros(batch_size, 1) + network.bias.detach() * 0,)

    def loss(self, network: nn.Linear, batch: Marks, state: State) -> tuple[Tensor, State]:
        (count,) = state
        assert isinstance(count, Tensor)
        assert not count.requires_grad
        self.given.append(count[:, 0].tolist())
        out = network(count)
        factor = self.losses.pop(0) if self.losses else 1.0
        return out.square().mean() * factor, (count + 1 + 0 * out,)

    def evaluate(self, network: nn.Linear) -> float | None:
        return self.found.pop(0) if self.found else None


def count(problem: Counting, *fresh: list[bool], **recipe: Any) -> tuple[nn.Linear, Outcome]:
    network = nn.Linear(1, 1)
    numbers = Recipe(steps=len(fresh), **recipe)
    return network, train(network, problem, Scripted(*fresh), numbers)


def test_states_are_carried_detached_and_start_anew_where_asked() -> None:
    problem = Counting()
    count(problem, [True, True], [False, False], [False, True], [True, True, True], [False, False, True])
    assert problem.given == [[0, 0], [1, 1], [2, 0], [0, 0, 0], [1, 1, 0]]


def test_a_batch_of_another_size_must_be_fresh() -> None:
    with pytest.raises(ValueError, match="3 rows follows one of 2"):
        count(Counting(), [True, True], [False, True, True])


def test_without_evaluation_the_network_ends_with_the_last_average() -> None:
    torch.manual_seed(0)
    plain, outcome = count(Counting(), *[[True]] * 4, average=0.0, warmup=0)
    torch.manual_seed(0)
    averaged, _ = count(Counting(), *[[True]] * 4, average=0.9, warmup=0)
    assert (outcome.best_step, outcome.best_loss) == (None, None)
    assert not torch.equal(plain.bias, averaged.bias)


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (Counting(losses=[1.0, math.nan]), "the loss is nan at step 2 "),
        (Counting(losses=[1.0, math.inf]), "the loss is inf at step 2 "),
        (Counting(losses=[1.0, 1e38]), "the gradient is inf at step 2 "),
        (Counting(found=[1.0, math.nan]), "the loss on the validation data is nan at step 2 "),
    ],
)
def test_numbers_that_are_not_finite_stop_the_training(problem: Counting, what: str) -> None:
    torch.manual_seed(3)
    with pytest.raises(RecurraError, match=what) as caught:
        count(problem, *[[True]] * 4, evaluate_every=1, warmup=0)
    assert "learning rate" in str(caught.value)
    assert caught.value.hint is not None


def test_gradients_are_clipped() -> None:
    torch.manual_seed(0)
    loud, _ = count(Counting(losses=[1e6]), [True], clip=1e-12, warmup=0, learning_rate=1.0)
    torch.manual_seed(0)
    start = nn.Linear(1, 1)
    # Adam's ε of 1e-8 swallows a gradient of 1e-12; unclipped, the first step is the learning rate, 1.
    assert abs(loud.bias.item() - start.bias.item()) < 0.01
