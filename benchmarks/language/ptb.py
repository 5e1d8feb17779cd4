"""Penn Treebank by words: validation perplexity, static, with a cache of recent words, and with dynamic evaluation.

    python benchmarks/language/ptb.py FOLDER                    # about 2.5 hours on two quiet cores; goes on
    python benchmarks/language/ptb.py FOLDER --only dynamic     # of the weights in FOLDER, about 20 minutes
    python benchmarks/language/ptb.py FOLDER --epochs 55 --dropout 0.35 --entering 0.5 --leaving 0.5   # about 8 hours

T. Mikolov's version, 10,000 words, <eos> after each line, which is predicted like a word: what papers report. The
network is the AWD-LSTM's (Merity et al. 2017, arXiv 1708.02182) with AdamW, half a cosine and averaged weights instead
of averaged SGD: tied words, the same units dropped at all steps, whole words dropped, recurrent matrices dropped.
Zaremba et al. 2014 (arXiv 1409.2329): 86.2 with 20 M parameters, 82.2 with 66 M. The best step is chosen on the same
part as is reported, as papers do for validation figures; the test part is measured apart.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import word_and_character as recipe

SOURCE = "Penn Treebank, T. Mikolov's ptb.train.txt and ptb.valid.txt, packed with xz"


def main() -> None:
    o = recipe.options(
        __doc__ or "",
        layers=2,
        units=448,
        vector=448,
        rows=20,
        steps=50,
        epochs=18,
        rate=2.5e-3,
        decay=0.02,
        average=0.9995,
        clip=0.5,
        dropout=0.2,
        entering=0.35,
        leaving=0.35,
        words=0.05,
        recurrent=0.3,
        activation=1.0,
        temporal=0.5,
        sampled=3000,
    ).parse_args()
    parts = [recipe.text_of(f"ptb.{name}.txt.xz", SOURCE).split("\n") for name in ("train", "valid")]
    train, exam = ([word for line in part if line for word in (*line.split(), "<eos>")] for part in parts)
    train, exam = (train[:20_000], exam[:2000]) if o.quick else (train, exam)
    vocabulary = [word for word, _ in Counter(train).most_common()]
    number = {word: i for i, word in enumerate(vocabulary)}
    unknown = number.get("<unk>", 0)
    learned, held = (
        recipe.pieces_of(np.array([number.get(word, unknown) for word in part]), number["<eos>"])
        for part in (train, exam)
    )
    network, told = recipe.trained(o, learned, held, len(vocabulary))
    lines = [f"{told['parameters']:,} parameters; {told}"]
    figures = dict(told)
    if o.only != "dynamic":
        figures["static"] = math.exp(recipe.static(network, held))
        figures["cache"] = math.exp(recipe.with_recent(network, held, 0.1, 0.3 * (448 / o.units) ** 0.5))
        lines.append(f"validation perplexity {figures['static']:.2f}, with a cache {figures['cache']:.2f}")
    if o.only == "dynamic" or o.quick:
        nats = recipe.dynamic(network, learned, held, rate=1e-3, decay=0.02, window=5)
        figures["dynamic"] = math.exp(nats)
        lines.append(f"validation perplexity with dynamic evaluation {figures['dynamic']:.2f}")
    recipe.report(o.folder, figures, lines)


if __name__ == "__main__":
    main()
