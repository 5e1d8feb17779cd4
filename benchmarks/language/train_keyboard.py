"""Train the English keyboard that recurra ships: src/recurra/pretrained/keyboard.

    python benchmarks/language/train_keyboard.py CHECKPOINTS [--out FOLDER] [--max-seconds 2400] [--threads 2]

CHECKPOINTS is a folder from which a run that was stopped goes on when the same command is given again. About 40 minutes
on two quiet cores. Texts: dialogue/chitchat, read several times, and text/books, each less the parts that
`keyboard_texts.py` keeps for tuning and testing. `keyboard.py` measures what comes out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from keyboard_texts import books, chats

from recurra.language.suggestion import Keyboard

SHIPPED = Path(__file__).resolve().parents[2] / "src/recurra/pretrained/keyboard"
TOKENS = 32_000_000  # read in 40 minutes on two quiet cores
CHATS = 4  # times that the chats come for each time of the books


def texts(part: float) -> Iterator[str]:
    """Chats and books for training; `part`: a share of the books, and the chats once where it is below 1."""
    for _ in range(CHATS if part == 1 else 1):
        yield from chats("train")
    due = 0.0
    for text in books("train"):
        due += part
        if due >= 1:
            due -= 1
            yield text


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("checkpoints", type=Path)
    made.add_argument("--out", type=Path, default=SHIPPED)
    made.add_argument("--max-seconds", type=float)
    made.add_argument("--tokens", type=int, default=TOKENS, help=f"words and marks to read ({TOKENS:,})")
    made.add_argument("--part", type=float, default=1.0, help="share of the books, for tries")
    made.add_argument("--threads", type=int, default=2)
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    keyboard = Keyboard()
    keyboard.set_params(steps=max(1, options.tokens // (keyboard.batch_size * keyboard.span)))
    keyboard.fit(texts(options.part), max_seconds=options.max_seconds, checkpoint=options.checkpoints)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    keyboard.save(options.out)
    size = sum(each.stat().st_size for each in options.out.iterdir())
    outcome = keyboard.outcome_
    print(
        f"{keyboard.parameters_:,} parameters, {outcome.steps:,} steps in {outcome.seconds:.0f} s, ended by "
        f"{outcome.stopped}; held-out loss {outcome.best_loss:.4f} nats a word; {size:,} bytes in {options.out}"
    )


if __name__ == "__main__":
    main()
