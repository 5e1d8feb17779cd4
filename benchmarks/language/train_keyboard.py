"""Train the English keyboard that recurra ships: src/recurra/pretrained/keyboard.

    python benchmarks/language/train_keyboard.py CHECKPOINTS [--minutes 40] [--threads 2] [--out FOLDER]

CHECKPOINTS is a folder from which a run that was stopped goes on when the same command is given again; `--minutes`
counts all runs together. At the beginning the machine's speed is measured, and with it how many batches are to be read
until then, so that the learning rate has fallen by the end; the number is kept in CHECKPOINTS/steps.json.

Texts: dialogue/chitchat, four times as often as the rest, text/books, each less the parts that `keyboard_texts.py`
keeps for tuning and testing, and the English half of pairs/tatoeba. `keyboard.py` measures what comes out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from keyboard_texts import books, chats, sentences

from recurra.language.suggestion import Keyboard, fitting
from recurra.training import Recipe
from recurra.training.run import Run

SHIPPED = Path(__file__).resolve().parents[2] / "src/recurra/pretrained/keyboard"
CHATS = 4  # times that the chats come for each time of the rest
PROBE = 60  # batches whose time is measured
AT_END = (
    0.93  # share of the time that training takes; the rest is for evaluations and other work on the machine
)
# Words that nobody wants to be offered.
BLOCKED = """arse arsehole ass asses asshole assholes bastard bastards bitch bitches bitching bullshit cock cocks cunt
cunts damn dick dicks dumbass fag faggot faggots fags fuck fucked fucker fuckers fuckin fucking fucks goddamn jackass
motherfucker motherfuckers motherfucking negress negro negroes nigga niggas nigger niggers piss pissed pussy rape raped
rapist retard retarded retards shit shits shitting shitty slut sluts wank wanker whore whores wtf"""

CARD = """
## Texts

- BYU chitchat: two-person chats (MIT), four times as often as the rest; every tenth is kept for tuning and testing.
- Classic English books (public domain); every tenth is kept.
- English sentences of Tatoeba (tatoeba.org, CC BY 2.0 FR).

Made by `benchmarks/language/train_keyboard.py`; what it saves is printed by `benchmarks/language/keyboard.py`, and
stands in docs/keyboard.md. License: Apache-2.0. It speaks as these texts do: chats of American students and novels of
the 19th century; a list of words is never suggested. Do not take what it suggests for an opinion.
"""


def texts(part: float) -> Iterator[str]:
    """What is trained on; `part`: a share of the books, and where it is below 1 the rest only once."""
    for _ in range(CHATS if part == 1 else 1):
        yield from chats("train")
    yield from sentences()
    due = 0.0
    for text in books("train"):
        due += part
        if due >= 1:
            due -= 1
            yield text


def steps_within(keyboard: Keyboard, seconds: float) -> int:
    """How many batches this machine trains on in that time."""
    vocabulary, rows, span = keyboard.vocabulary, keyboard.batch_size, keyboard.span
    network = fitting.make_network(keyboard, vocabulary)
    draw = np.random.default_rng(0)

    class Drawn:
        def next(self) -> fitting.Batch:
            tokens = torch.from_numpy(np.minimum(draw.zipf(1.3, (rows, span + 1)), vocabulary - 1))
            return fitting.Batch(tokens, torch.ones(rows, dtype=torch.bool))

    frequencies = torch.arange(vocabulary, 0, -1)
    sampled = fitting.SampledSoftmax(network.head, frequencies, exact=keyboard.exact, drawn=keyboard.drawn)
    problem = fitting.NextWord(sampled, torch.ones(vocabulary, dtype=torch.bool), [])
    recipe = Recipe(steps=10 * PROBE, evaluate_every=10 * PROBE)
    run = Run(network, problem, Drawn(), recipe, torch.device("cpu"), "")
    for number in range(PROBE + 10):
        if number == 10:
            begun = time.monotonic()
        run.advance()
    return int(AT_END * seconds * PROBE / (time.monotonic() - begun))


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("checkpoints", type=Path)
    made.add_argument("--out", type=Path, default=SHIPPED)
    made.add_argument("--minutes", type=float, default=40.0)
    made.add_argument("--max-seconds", type=float, help="stop after this, whatever is left of the minutes")
    made.add_argument("--part", type=float, default=1.0, help="share of the books, for tries")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="arguments of Keyboard, for tries"
    )
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    keyboard = Keyboard(blocked=BLOCKED.split())
    keyboard.set_params(
        **{name: json.loads(value) for name, value in (each.split("=", 1) for each in options.set)}
    )
    place = options.checkpoints / "steps.json"
    if not place.exists():
        options.checkpoints.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(steps_within(keyboard, 60 * options.minutes)))
    keyboard.set_params(steps=json.loads(place.read_text()))
    print(f"{keyboard.steps:,} steps of {keyboard.batch_size * keyboard.span:,} words and marks", flush=True)
    limit = 60 * options.minutes if options.max_seconds is None else options.max_seconds
    keyboard.fit(texts(options.part), max_seconds=limit, checkpoint=options.checkpoints)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    keyboard.save(options.out)
    card = options.out / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + CARD, encoding="utf-8")
    size = sum(each.stat().st_size for each in options.out.iterdir())
    outcome = keyboard.outcome_
    print(
        f"{keyboard.parameters_:,} parameters, {outcome.steps:,} steps in {outcome.seconds:.0f} s, ended by "
        f"{outcome.stopped}; held-out loss {outcome.best_loss:.4f} nats a word; {size:,} bytes in {options.out}"
    )


if __name__ == "__main__":
    main()
