"""Train the word model on which int8 and int4 are held to float32: Penn Treebank, 10,000 words, two LSTM layers, tied.

    python benchmarks/speed/word_model.py FOLDER [--units 256] [--epochs 3.5] [--dropout 0.2] [--seconds S] [--quick]

About 15 minutes on two quiet cores. FOLDER gets `weights.safetensors`, `words.json`, the training's `metrics.jsonl` and
`checkpoint.safetensors`, from which a run that was stopped goes on; the last line printed is the perplexity of the
validation part. `--seconds` ends the training early, with the best so far. RECURRA_DATA names the folder that holds
text/ptb.train.txt.xz and text/ptb.valid.txt.xz (T. Mikolov's version).

`load(FOLDER)` gives the network and its words, `streams` and `perplexity` what else a comparison needs.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recurra.cells import LSTM
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.training import Recipe, train

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
ROWS, STEPS = 16, 35  # of a batch
EXAM_ROWS = 10  # streams of the validation part that are read side by side


def words_of(part: str) -> list[str]:
    """The words of a part of the corpus, with <eos> after each line."""
    file = DATA / "text" / f"ptb.{part}.txt.xz"
    if not file.exists():
        raise SystemExit(f"{file} is not there: RECURRA_DATA must name the folder with Penn Treebank's text/")
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        return [word for line in lines for word in (*line.split(), "<eos>")]


def numbered(words: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    number = {word: i for i, word in enumerate(vocabulary)}
    return torch.tensor([number[word] for word in words])


def streams(tokens: Tensor, rows: int) -> Tensor:
    """The tokens as `rows` of equal length (B, L), one after another; what does not fill a row is left out."""
    length = len(tokens) // rows
    return tokens[: rows * length].reshape(rows, length)


def network_of(vocabulary: int, units: int, dropout: float = 0.0, seed: int = 0) -> TokenNetwork:
    generator = torch.Generator().manual_seed(seed)
    embedding = Embedding(vocabulary, units, generator=generator)
    layers = [LSTM(units, units, generator=generator) for _ in range(2)]
    stack = Recurrent(layers, dropout=dropout, variational=True)
    head = SoftmaxHead(units, weight=embedding.weight)
    return TokenNetwork(embedding, stack, head, input_dropout=dropout, output_dropout=dropout)


def load(folder: Path) -> tuple[TokenNetwork, list[str]]:
    """What `main` wrote: the network, in evaluation mode, and its words in the order of their numbers."""
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "weights.safetensors")
    network = network_of(*weights["embedding.weight"].shape)
    for name, parameter in network.named_parameters():
        parameter.data.copy_(weights[name])
    return network.eval(), words


@torch.no_grad()
def mean_loss(network: TokenNetwork, tokens: Tensor) -> float:
    """Nats for each token of streams (B, L) after its first, read in parts with the state carried on."""
    state, total = network.initial_state(len(tokens)), 0.0
    for start in range(0, tokens.shape[1] - 1, 2 * STEPS):
        part = tokens[:, start : start + 2 * STEPS + 1]
        loss, state = network.loss(part[:, :-1], part[:, 1:], state)
        total += loss.item() * (part.shape[1] - 1)
    return total / (tokens.shape[1] - 1)


def perplexity(network: TokenNetwork, tokens: Tensor) -> float:
    """Exp of `mean_loss`."""
    return math.exp(mean_loss(network, tokens))


@dataclass
class Text:
    tokens: Tensor  # (B, T + 1)
    fresh: Tensor


class Walk:
    """Reads the corpus as B streams over and over, every time from another offset."""

    def __init__(self, tokens: Tensor, seed: int = 1) -> None:
        self.tokens, self.generator = tokens, np.random.default_rng(seed)
        self.offset = self.place = -1

    def next(self) -> Text:
        length = len(self.tokens) // ROWS
        fresh = self.place < 0 or self.place + STEPS + 1 > length
        if fresh:
            self.offset, self.place = int(self.generator.integers(len(self.tokens))), 0
        starts = torch.arange(ROWS) * length + self.offset + self.place
        places = (starts[:, None] + torch.arange(STEPS + 1)) % len(self.tokens)
        self.place += STEPS
        return Text(self.tokens[places], torch.full((ROWS,), fresh))

    def state_dict(self) -> Mapping[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "offset": self.offset,
            "place": self.place,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.offset, self.place = state["offset"], state["place"]


class NextWord:
    """The loss of the next word; the validation part is the exam."""

    def __init__(self, validation: Tensor) -> None:
        self.validation = validation

    def initial_state(self, network: TokenNetwork, batch_size: int) -> Any:
        return network.initial_state(batch_size)

    def loss(self, network: TokenNetwork, batch: Text, state: Any) -> tuple[Tensor, Any]:
        return network.loss(batch.tokens[:, :-1], batch.tokens[:, 1:], state)

    def evaluate(self, network: TokenNetwork) -> float:
        return mean_loss(network, self.validation)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path)
    made.add_argument(
        "--units", type=int, default=256, help="of a word's vector and of a layer (default: 256)"
    )
    made.add_argument("--epochs", type=float, default=3.5, help="times the text is read (default: 3.5)")
    made.add_argument("--dropout", type=float, default=0.2, help="of all three places (default: 0.2)")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--seconds", type=float, help="end the training after these")
    made.add_argument("--quick", action="store_true", help="a few steps, to see that all works")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    text = words_of("train")
    words = [word for word, _ in Counter(text).most_common()]
    tokens, exam = numbered(text, words), numbered(words_of("valid"), words)
    steps = 3 if options.quick else max(1, round(options.epochs * len(tokens) / (ROWS * STEPS)))
    recipe = Recipe(
        steps=steps,
        learning_rate=4e-3,
        warmup=100,
        clip=0.5,
        average=0.995,
        evaluate_every=max(1, steps // 2),
        max_seconds=options.seconds,
    )
    network = network_of(len(words), options.units, options.dropout)
    exam = streams(exam, EXAM_ROWS)
    outcome = train(
        network,
        NextWord(exam),
        Walk(tokens),
        recipe,
        folder=options.folder,
        resume=True,
        fingerprint=f"{len(tokens)} tokens, {len(words)} words, {options.units} units, dropout {options.dropout}",
        description="word model",
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    weights = {name: each.detach() for name, each in network.named_parameters()}
    save_file(weights, options.folder / "weights.safetensors")
    (options.folder / "words.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    read = outcome.steps * ROWS * STEPS
    parameters = sum(each.numel() for each in network.parameters())
    print(
        f"{parameters:,} parameters, {outcome.steps:,} of {steps:,} steps, {read / len(tokens):.2f} epochs, "
        f"{outcome.seconds:.0f} s ({read / outcome.seconds:,.0f} words/s), stopped by {outcome.stopped}"
    )
    print(f"validation perplexity {math.exp(outcome.best_loss or math.nan):.1f}")


if __name__ == "__main__":
    main()
