"""A training under way: all that changes from step to step, what one step does, and how it is saved and restored."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra import __version__, ops
from recurra import state as states
from recurra.errors import RecurraError, UsageError
from recurra.state import State
from recurra.training import average as weights_of
from recurra.training import checkpoint
from recurra.training.average import Average
from recurra.training.outcome import Reason
from recurra.training.problem import Batch, Problem, Source
from recurra.training.recipe import Recipe

__all__ = ["Run"]

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B", bound=Batch)


@dataclass(frozen=True)
class _Best:
    step: int
    loss: float
    weights: dict[str, Tensor]


class Run(Generic[N, B]):
    """A training under way: everything that changes from step to step."""

    def __init__(
        self,
        network: N,
        problem: Problem[N, B],
        source: Source[B],
        recipe: Recipe,
        device: torch.device,
        fingerprint: str,
    ) -> None:
        self.network, self.problem, self.source = network, problem, source
        self.recipe, self.device, self.fingerprint = recipe, device, fingerprint
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.average = Average(network, recipe.average)
        self.best: _Best | None = None
        self.lowest = math.inf  # loss of all evaluations
        self.stale = 0  # evaluations since the best
        self.step = 0
        self.loss: float | None = None
        self.rows = 0
        self.state: State = ()
        self._earlier = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken, resumed runs together."""
        return self._earlier + time.monotonic() - self._started

    def reason_to_stop(self) -> Reason | None:
        """Why there is no further step to do; None while there is one."""
        recipe = self.recipe
        if self.step >= recipe.steps:
            return "steps"
        if recipe.patience is not None and self.stale >= recipe.patience:
            return "patience"
        if self.step > 0 and recipe.max_seconds is not None and self.seconds >= recipe.max_seconds:
            return "time"
        return None

    def advance(self) -> dict[str, float]:
        """Do one step and tell of it."""
        step = self.step + 1
        rate = self.recipe.rate(step)
        self.network.train()
        batch = self.source.next()
        loss, after = self.problem.loss(self.network, batch, self._state_before(batch.fresh))
        value = self._finite(loss.item(), "loss", step, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip))
        self._finite(norm, "gradient", step, rate)
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.optimizer.step()
        self.average.update(self.network)
        self.state = states.detach(after)
        self.step, self.loss = step, value
        row = {"step": step, "loss": value, "learning_rate": rate, "grad_norm": norm}
        if step % self.recipe.evaluate_every == 0 or self.reason_to_stop() is not None:
            found = self._evaluate(rate)
            row |= {} if found is None else {"evaluation": found}
        return row | {"seconds": round(self.seconds, 3)}

    def _state_before(self, fresh: Tensor) -> State:
        rows = len(fresh)
        if rows == self.rows and not fresh.any():
            return self.state
        initial = self.problem.initial_state(self.network, rows)
        if fresh.all():
            before = initial
        elif rows == self.rows:
            before = states.where(fresh, initial, self.state)
        else:
            raise ValueError(f"a batch of {rows} rows follows one of {self.rows}: all its rows must be fresh")
        self.rows = rows
        return before

    def _evaluate(self, rate: float) -> float | None:
        """Evaluate the averaged weights and keep them if they are the best so far."""
        current = weights_of.snapshot(self.network)
        weights_of.load(self.network, self.average.weights)
        self.network.eval()
        try:
            with torch.no_grad():
                found = self.problem.evaluate(self.network)
        finally:
            weights_of.load(self.network, current)
        if found is None:
            return None
        found = self._finite(float(found), "loss on the validation data", self.step, rate)
        bound = self.lowest + abs(self.lowest) * self.recipe.tolerance
        if self.best is None or found < self.lowest or (self.recipe.tolerance and found <= bound):
            self.lowest = min(self.lowest, found)
            average = {name: tensor.clone() for name, tensor in self.average.weights.items()}
            self.best, self.stale = _Best(self.step, found, average), 0
        else:
            self.stale += 1
        return found

    def _finite(self, value: float, what: str, step: int, rate: float) -> float:
        if math.isfinite(value):
            return value
        raise RecurraError(
            f"the {what} is {value} at step {step} (learning rate {rate:.3g})",
            hint="Lower the learning rate or the gradient norm (clip), and look for huge values in the data.",
        )

    def save(self, place: Path) -> None:
        """Write a checkpoint."""
        groups: dict[str, Mapping[str, Tensor]] = {
            "network": weights_of.tensors(self.network),
            "average": self.average.weights,
            "best": self.best.weights if self.best else {},
            "state": states.flatten(self.state),
            "random": _random_state(self.device),
        }
        for number, moments in self.optimizer.state_dict()["state"].items():
            groups[f"optimizer/{number}"] = moments
        place_in_data = self.source.state_dict()
        arrays = {key: value for key, value in place_in_data.items() if isinstance(value, np.ndarray)}
        groups["source"] = {key: torch.from_numpy(value) for key, value in arrays.items()}
        record = {
            "fingerprint": self.fingerprint,
            "recipe": asdict(self.recipe),
            "machinery": _machinery(),
            "step": self.step,
            "loss": self.loss,
            "seconds": self.seconds,
            "rows": self.rows,
            "best": [self.best.step, self.best.loss, self.lowest] if self.best else None,
            "stale": self.stale,
            "updates": self.average.updates,
            "source": {key: value for key, value in place_in_data.items() if key not in arrays},
        }
        tensors = {f"{name}/{key}": tensor for name, part in groups.items() for key, tensor in part.items()}
        checkpoint.write(place, tensors, record)

    def restore(self, place: Path) -> None:
        """Go on from a checkpoint."""
        tensors, record = checkpoint.read(place, self.device)
        try:
            self._check_same_training(place, record)
            self._restore(tensors, record)
        except RecurraError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
            raise checkpoint.damaged(place, f"its content does not fit ({error})") from error

    def _check_same_training(self, place: Path, record: Mapping[str, Any]) -> None:
        hint = "Resume with what it was started with, or start in another folder."
        if record["fingerprint"] != self.fingerprint:
            what = "the checkpoint is of a training with other data or another network"
            raise UsageError(what, file=place, value=record["fingerprint"], hint=hint)
        # These two change when a run stops or saves, never what it computes.
        free = {"max_seconds", "checkpoint_seconds"}
        now, then = asdict(self.recipe), record["recipe"]
        differ = [name for name in now if name not in free and now[name] != then.get(name)]
        if differ:
            changes = "; ".join(f"{name} was {then.get(name)} and is now {now[name]}" for name in differ)
            what = f"the checkpoint is of a training with another recipe: {changes}"
            raise UsageError(what, file=place, hint=hint)
        here, there = _machinery(), record["machinery"]
        changes = "; ".join(f"{k}: {there.get(k)}, now {here[k]}" for k in here if here[k] != there.get(k))
        if changes:
            result = "the result may differ in the last bits from that of a training never stopped"
            warnings.warn(f"resumed under other conditions ({changes}): {result}", stacklevel=4)

    def _restore(self, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
        weights_of.load(self.network, checkpoint.group(tensors, "network"))
        kept = checkpoint.group(tensors, "average")
        for name, tensor in self.average.weights.items():
            tensor.copy_(kept[name])
        self.average.updates = int(record["updates"])
        if record["best"]:
            step, loss, self.lowest = record["best"]
            kept = checkpoint.group(tensors, "best")
            self.best = _Best(int(step), float(loss), {name: kept[name] for name in self.average.weights})
        self.stale, self.step, self.loss = int(record["stale"]), int(record["step"]), record["loss"]
        moments = {n: checkpoint.group(tensors, f"optimizer/{n}") for n in range(len(self.parameters))}
        settings = self.optimizer.state_dict()["param_groups"]
        known = {number: part for number, part in moments.items() if part}
        self.optimizer.load_state_dict({"state": known, "param_groups": settings})
        self.rows = int(record["rows"])
        like = self.problem.initial_state(self.network, 1)
        self.state = states.unflatten(like, checkpoint.group(tensors, "state"))
        if any(len(leaf) != self.rows for leaf in states.flatten(self.state).values()):
            raise ValueError(f"its state is not one of {self.rows} rows")
        arrays = {key: value.cpu().numpy() for key, value in checkpoint.group(tensors, "source").items()}
        self.source.load_state_dict({**record["source"], **arrays})
        self._earlier = float(record["seconds"])
        self._started = time.monotonic()
        _set_random_state(checkpoint.group(tensors, "random"), self.device)


def _machinery() -> dict[str, str | int | bool]:
    """What must stay for a resumed run to end with the same bits."""
    return {
        "recurra": __version__,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "extension": ops.native_available(),
        "RECURRA_OPS": os.environ.get("RECURRA_OPS", ""),
    }


def _random_state(device: torch.device) -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _set_random_state(kept: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(kept["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(kept["cuda"].cpu(), device)
