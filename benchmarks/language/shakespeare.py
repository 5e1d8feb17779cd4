"""tinyshakespeare by characters: nats a character on its last tenth, at most 3 M parameters, at most an hour.

    python benchmarks/language/shakespeare.py FOLDER                  # about an hour on two quiet cores; goes on
    python benchmarks/language/shakespeare.py FOLDER --only dynamic   # of the weights in FOLDER

The split is nanoGPT's: the first nine tenths to learn from. Published: minGRU 1.548, minLSTM 1.555 (Feng et al. 2024,
arXiv 2410.01201); nanoGPT with 10.7 M parameters 1.4697. The best step is chosen on the part that is reported, as
those did.
"""

from __future__ import annotations

import numpy as np
import word_and_character as recipe

SOURCE = "tinyshakespeare, A. Karpathy's input.txt, packed with xz"


def main() -> None:
    o = recipe.options(
        __doc__ or "",
        layers=2,
        units=480,
        vector=64,
        rows=32,
        steps=100,
        epochs=20,
        rate=4e-3,
        decay=0.05,
        average=0.999,
        clip=0.5,
        dropout=0.35,
        entering=0.1,
        leaving=0.35,
        words=0.0,
        recurrent=0.3,
        activation=0.0,
        temporal=0.0,
    ).parse_args()
    text = recipe.text_of("tinyshakespeare.txt.xz", SOURCE)
    text = text[:20_000] if o.quick else text
    characters = sorted(set(text))
    tokens = np.array([characters.index(each) for each in text])
    cut, newline = int(0.9 * len(tokens)), characters.index("\n")
    learned, held = recipe.pieces_of(tokens[:cut], newline), recipe.pieces_of(tokens[cut:], newline)
    network, told = recipe.trained(o, learned, held, len(characters))
    figures, lines = dict(told), [f"{told['parameters']:,} parameters; {told}"]
    if o.only != "dynamic":
        figures["static"] = recipe.static(network, held)
        lines.append(f"validation {figures['static']:.4f} nats a character")
    if o.only == "dynamic" or o.quick:
        figures["dynamic"] = recipe.dynamic(network, learned, held, rate=3e-4, decay=0.02, window=20)
        lines.append(f"validation with dynamic evaluation {figures['dynamic']:.4f} nats a character")
    recipe.report(o.folder, figures, lines)


if __name__ == "__main__":
    main()
