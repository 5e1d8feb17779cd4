"""What the recipes of Penn Treebank and of Shakespeare share: tokens in, a trained network and its figures out."""

from __future__ import annotations

import argparse
import json
import lzma
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from recurra.language.generation import fitting
from recurra.language.generation.data import Line, Pieces
from recurra.language.generation.dynamic import dynamic_evaluation, gradient_sizes
from recurra.language.generation.network import make_network
from recurra.language.generation.recent import Recent
from recurra.language.generation.settings import Architecture
from recurra.language.generation.streams import mean_loss
from recurra.networks import TokenNetwork
from recurra.training import Recipe

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def text_of(name: str, source: str) -> str:
    """A packed text of the data folder; ends the program with a line where it is not there."""
    file = DATA / "text" / name
    if not file.exists():
        raise SystemExit(
            f"skipped: {file} is not there. RECURRA_DATA must name the folder with text/ ({source})"
        )
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        return lines.read()


def pieces_of(tokens: NDArray[np.int64], before: int) -> Pieces:
    """One document, read behind the token `before`."""
    whole = np.array([0]), np.array([len(tokens)])
    return Pieces(tokens, *whole, np.array([[before]]), np.zeros(1, np.int64))


def options(about: str, **defaults: Any) -> argparse.ArgumentParser:
    """The arguments that every recipe takes, with its own defaults."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path, help="for checkpoints, weights and figures.json")
    made.add_argument("--cell", default="lstm")
    for name in ("layers", "units", "vector", "rows", "steps"):
        made.add_argument(f"--{name}", type=int, default=defaults[name])
    for name in ("epochs", "rate", "decay", "average", "clip"):
        made.add_argument(f"--{name}", type=float, default=defaults[name])
    for name in ("dropout", "entering", "leaving", "words", "recurrent", "activation", "temporal"):
        made.add_argument(f"--{name}", type=float, default=defaults[name])
    made.add_argument(
        "--sampled", type=int, default=defaults.get("sampled", 0), help="tokens of the loss, 0: all"
    )
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--seconds", type=float, help="end the training after these, all resumed runs together")
    made.add_argument(
        "--only", choices=["static", "dynamic"], help="what to measure of the weights in the folder"
    )
    made.add_argument(
        "--quick", action="store_true", help="a few steps of a small network, to see that all works"
    )
    return made


def architecture_of(o: argparse.Namespace, vocabulary: int) -> Architecture:
    return Architecture(
        cell=o.cell,
        vocabulary=vocabulary,
        embedding_size=16 if o.quick else o.vector,
        hidden_size=16 if o.quick else o.units,
        layers=o.layers,
        tied=True,
        cutoffs=(),
        norm=None,
        residual=False,
        dropout=o.dropout,
        input_dropout=o.entering,
        output_dropout=o.leaving,
        word_dropout=o.words,
        weight_drop=o.recurrent,
        activation_regularization=o.activation,
        temporal_regularization=o.temporal,
    )


def recipe_of(o: argparse.Namespace, tokens: int) -> Recipe:
    steps = 6 if o.quick else max(1, round(o.epochs * tokens / (o.rows * o.steps)))
    return Recipe(
        steps=steps,
        learning_rate=o.rate,
        warmup=min(200, steps // 10),
        weight_decay=o.decay,
        clip=o.clip,
        average=o.average,
        evaluate_every=max(1, min(steps // 3, tokens // (o.rows * o.steps))),
        checkpoint_seconds=120,
        max_seconds=o.seconds,
        seed=o.seed,
    )


def trained(
    o: argparse.Namespace, train: Pieces, exam: Pieces, vocabulary: int
) -> tuple[TokenNetwork, dict[str, Any]]:
    """The network of the options: trained now, gone on with, or taken from the folder where `only` is asked for."""
    torch.set_num_threads(o.threads)
    architecture, weights = architecture_of(o, vocabulary), o.folder / "weights.safetensors"
    if o.only is not None:
        network = make_network(architecture)
        known = load_file(weights)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(known[name])
        return network.eval(), {"parameters": fitting.parameters(network)}
    recipe = recipe_of(o, train.size)
    started = time.time()

    def seen(_: TokenNetwork, nats: float) -> None:
        print(f"{time.time() - started:7.0f} s  {nats:.4f} nats, perplexity {math.exp(nats):.2f}", flush=True)

    outcome, network = fitting.learn(
        architecture,
        train,
        exam,
        recipe,
        rows=o.rows,
        steps=o.steps,
        folder=o.folder,
        fingerprint=f"{train.size} {vocabulary} {architecture} {o.sampled}",
        sampled=o.sampled,
        seen=seen,
    )
    o.folder.mkdir(parents=True, exist_ok=True)
    save_file({name: each.detach().contiguous() for name, each in network.named_parameters()}, weights)
    told = {
        "parameters": fitting.parameters(network),
        "steps": outcome.steps,
        "of": recipe.steps,
        "seconds": round(outcome.seconds),
        "tokens_per_second": round(outcome.steps * o.rows * o.steps / outcome.seconds),
        "stopped": outcome.stopped,
    }
    return network, told


def static(network: TokenNetwork, exam: Pieces) -> float:
    """Nats for each token of the whole text, read as one stream."""
    return mean_loss(network, exam, rows=1)


def with_recent(network: TokenNetwork, exam: Pieces, share: float, flatness: float) -> float:
    """Nats for each token with a cache of recent words (Grave et al. 2017)."""
    tokens = torch.from_numpy(Line(exam).read(0, exam.size))
    recent, state, total = Recent(share, flatness=flatness), network.initial_state(1), 0.0
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, 512):
            part = tokens[start : start + 513]
            hidden, state = network(part[None, :-1], state)
            logs = network.head.log_prob(hidden[0]).double().numpy()
            for log, known, target in zip(logs, hidden[0].numpy(), part[1:].tolist(), strict=True):
                total -= recent.mixed(log, known)[target]
                recent.remember(known, target)
    return total / (len(tokens) - 1)


def dynamic(
    network: TokenNetwork, train: Pieces, exam: Pieces, *, rate: float, decay: float, window: int
) -> float:
    """Nats for each token with dynamic evaluation (Krause et al. 2018); the network is another one afterwards."""
    sizes = gradient_sizes(network, torch.from_numpy(Line(train).read(0, train.size)), window=window)
    tokens = torch.from_numpy(Line(exam).read(0, exam.size))
    started = time.time()

    def told(done: int, nats: float) -> None:
        if done % 5000 < window:
            print(f"{time.time() - started:7.0f} s  {done:,} tokens, {math.exp(nats):.2f}", flush=True)

    return dynamic_evaluation(network, tokens, sizes=sizes, rate=rate, decay=decay, window=window, told=told)


def report(folder: Path, figures: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Write figures.json beside the weights, joined with what stands there, and print."""
    file = folder / "figures.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**known, **figures}, indent=1) + "\n", encoding="utf-8")
    for line in lines:
        print(line, flush=True)
