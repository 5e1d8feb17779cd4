"""How near a trained network in fewer bits stays to itself in float32: first choices and perplexity, on the engine.

    python benchmarks/speed/fidelity.py [FOLDER] [--tokens 20000] [--json FILE] [--quick]

FOLDER is what word_model.py wrote: a word model of Penn Treebank, whose validation part is read.
With `--quick` a few untrained weights are read instead, which shows only that it runs. Bars: int8 has the same first
choice as float32 at 98.5 % of the words or more, and a perplexity at most 0.5 % higher.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import word_model
from common import Row, parse, parser, report
from numpy.typing import NDArray

from recurra.networks import TokenNetwork
from recurra.streaming.pack import pack
from recurra.streaming.run import Engine

STEPS = 250  # words that are read at once


def read(
    network: TokenNetwork, weights: str, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], float, float]:
    """The first choice after each word of rows (B, T + 1), the mean loss of what follows in nats, the matrices' MB."""
    packed = pack(network, weights, bound=math.inf)
    engine = Engine(packed)
    choices, losses = [], []
    for row in rows:
        with engine.session() as session:
            for begin in range(0, len(row) - 1, STEPS):
                words, next_ = row[begin : begin + STEPS + 1][:-1], row[begin + 1 : begin + STEPS + 1]
                scores = torch.from_numpy(session.read(words, every=True))
                losses.append(
                    torch.nn.functional.cross_entropy(
                        scores, torch.from_numpy(next_), reduction="none"
                    ).numpy()
                )
                choices.append(scores.argmax(-1).numpy())
    size = sum(each.weights.nbytes + each.scales.nbytes for each in packed.matrices) / 1e6
    return np.concatenate(choices), float(np.concatenate(losses).mean()), size


def network_and_words(options: Any) -> tuple[TokenNetwork, NDArray[np.int64]]:
    if options.quick:
        tokens = torch.randint(40, (81,), generator=torch.Generator().manual_seed(0))
        return word_model.network_of(40, 16).eval(), tokens.numpy()[None]
    if options.folder is None:
        raise SystemExit("name the folder that word_model.py wrote, or say --quick")
    network, words = word_model.load(options.folder)
    tokens = word_model.numbered(word_model.words_of("valid"), words)
    return network, word_model.streams(tokens[: options.tokens], 4).numpy()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("folder", type=Path, nargs="?")
    made.add_argument("--tokens", type=int, default=20_000)
    options = parse(made)
    network, rows = network_and_words(options)
    found: list[Row] = []
    first, loss = np.zeros(0, np.int64), 0.0
    for weights in ("float32", "float16", "int8", "int4"):
        choices, mean, size = read(network, weights, rows)
        if weights == "float32":
            first, loss = choices, mean
        same = float((choices == first).mean())
        more = 100 * (math.exp(mean - loss) - 1)
        found.append(
            {
                "weights": weights,
                "MB": size,
                "same first choice, %": 100 * same,
                "perplexity": math.exp(mean),
                "more, %": more,
            }
            | {"× float32: size": found[0]["MB"] / size if found else 1.0}
        )
    report(options, found, [f"{len(first):,} words"])


if __name__ == "__main__":
    main()
