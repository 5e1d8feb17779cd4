"""The one training loop: truncated backpropagation through time over batches that follow one another.

Every job trains here. A job says what its loss is (`Problem`) and where its batches come from (`Source`); the
loop carries the recurrent state, clips, schedules, averages, evaluates, stops, keeps a diary and checkpoints.
A run that was killed and resumed ends bit for bit where it would have ended (same machine, torch, threads).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from recurra.console import progress
from recurra.errors import UsageError
from recurra.training import average as weights_of
from recurra.training import checkpoint
from recurra.training.metrics import Metrics
from recurra.training.outcome import Outcome, Reason
from recurra.training.problem import Batch, Problem, Source
from recurra.training.recipe import Recipe
from recurra.training.run import Run

__all__ = ["train"]

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B", bound=Batch)


def train(
    network: N,
    problem: Problem[N, B],
    source: Source[B],
    recipe: Recipe,
    *,
    folder: Path | None = None,
    resume: bool = False,
    fingerprint: str = "",
    description: str = "training",
    unit: str = "steps",
    per_step: int = 1,
) -> Outcome:
    """Train `network` in place; in the end it holds the averaged weights of its best evaluation.

    Without an evaluation it holds the last averaged weights. It is left in evaluation mode. Ctrl-C ends the
    training with the best so far. The caller's random state is left as it was.

    - folder: where `metrics.jsonl` (one line per step) and `checkpoint.safetensors` go; None writes neither.
    - resume: go on from the folder's checkpoint if there is one.
    - fingerprint: identifies the data and the network; a checkpoint with another one is not resumed.
    - description: what the progress bar says.
    - unit, per_step: what it counts, such as tokens, and how many of them are in a step.

    Raises UsageError when the folder is a file, holds a checkpoint (`resume=False`) or that of another training
    (`resume=True`), ModelError when it is damaged, RecurraError when a loss or a gradient is not finite.
    """
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError("this is a file, checkpoints need a folder", file=folder, hint="Name another one.")
    place = None if folder is None else folder / checkpoint.FILE
    if place is not None and place.exists() and not resume:
        hint = "Resume it (resume=True), delete it, or choose another folder."
        raise UsageError("the checkpoint of an earlier training stands here", file=place, hint=hint)
    device = _device(network)
    with _random_numbers(device, recipe.seed):
        run = Run(network, problem, source, recipe, device, fingerprint)
        if place is not None and place.exists():
            run.restore(place)
        elif folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with Metrics(folder and folder / "metrics.jsonl", run.step) as metrics:
            try:
                stopped = _drive(run, metrics, place, (description, unit, per_step))
            except KeyboardInterrupt:
                # A step may be half done, so it makes no checkpoint: the last one stands.
                stopped = "interrupted"
    weights_of.load(network, run.best.weights if run.best else run.average.weights)
    network.eval()
    best = run.best
    return Outcome(
        steps=run.step,
        seconds=run.seconds,
        stopped=stopped,
        best_step=best.step if best else None,
        best_loss=best.loss if best else None,
        loss=run.loss,
    )


def _drive(run: Run[N, B], metrics: Metrics, place: Path | None, shown: tuple[str, str, int]) -> Reason:
    """Step until there is a reason to stop, which is returned."""
    saved = time.monotonic()
    description, unit, per_step = shown
    with progress(description, run.recipe.steps * per_step, unit) as bar:
        while (reason := run.reason_to_stop()) is None:
            row = run.advance()
            metrics.write(row)
            bar.update(run.step * per_step, f"loss {row['loss']:.4g}")
            due = time.monotonic() - saved >= run.recipe.checkpoint_seconds
            if place is not None and (due or run.reason_to_stop() is not None):
                metrics.sync()
                run.save(place)
                saved = time.monotonic()
    return reason


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


@contextmanager
def _random_numbers(device: torch.device, seed: int) -> Iterator[None]:
    """Torch's random numbers start at `seed` in the block, and behind it go on as if it had not been."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
