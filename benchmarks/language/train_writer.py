"""Train the English writer that comes with recurra: prose, drama and chat, in a folder of at most 10 MB.

    python benchmarks/language/train_writer.py WORK --out src/recurra/pretrained/writer  # about 100 minutes on one core
    python benchmarks/language/train_writer.py WORK --out /tmp/writer --quick             # a minute, to see it work

WORK gets the checkpoint and the text as tokens; the same call goes on after an interruption. The texts, all
free to ship a model of:

- prose: books.jsonl, 183 classic English books in the public domain, of each the first 180,000 characters;
- drama: tinyshakespeare, in scenes of about 20,000 characters;
- chat: chitchat.jsonl, 4,018 conversations of two people (BYU, MIT license), a line a turn.

Held out to see how well it learns: every 50th document, in the order above, never a word of it read.
Saved are the network in int8, the tokenizer and the index that finds near copies; nothing else is needed to write.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from recurra import LanguageModel
from recurra.text.documents import Document

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
BOOK, SCENE = 180_000, 20_000  # characters
HELD_OUT = 50  # every so many documents
LIMIT = 10 * 10**6  # bytes of the folder


class Works:
    """The documents to learn from, or those held out (`recurra.text.documents.Documents`)."""

    def __init__(self, part: str, *, quick: bool = False) -> None:
        self.part, self.quick = part, quick
        self.size = (2 if quick else 40) * 10**6
        self.done = 0
        self.fingerprint = hashlib.sha256(
            f"writer 1 {part} {quick} {BOOK} {SCENE} {HELD_OUT}".encode()
        ).hexdigest()

    def __iter__(self) -> Iterator[Document]:
        self.done = 0
        for number, document in enumerate(self._all()):
            if (number % HELD_OUT == HELD_OUT - 1) == (self.part == "held out"):
                self.done += len(document.text)
                yield document

    def _all(self) -> Iterator[Document]:
        yield from _some(_books(), 55 if self.quick else None, 5000 if self.quick else BOOK)
        yield from _some(_scenes(), 5 if self.quick else None)
        yield from _some(_chats(), 200 if self.quick else None)


def _some(documents: Iterator[Document], most: int | None, length: int | None = None) -> Iterator[Document]:
    for number, each in enumerate(documents):
        if number == most:
            return
        yield Document(each.text[:length], each.kind, each.where)


def _lines(name: str) -> Iterator[str]:
    file = DATA / name
    if not file.exists():
        raise SystemExit(f"{file} is not there: RECURRA_DATA must name the folder with the project's data")
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        yield from lines


def _books() -> Iterator[Document]:
    for line in _lines("text/books.jsonl.xz"):
        book = json.loads(line)
        _, _, text = book["text"].partition("\n-------\n")  # behind title, author and year
        text = re.sub(r"^#+ +", "", text or book["text"], flags=re.MULTILINE)  # headings without their marks
        text = re.sub(r"[ \t]+\n", "\n", text).strip()
        yield Document(text, "prose", f"{book['author']}, {book['title']}")


def _scenes() -> Iterator[Document]:
    scene, number = "", 1
    for speech in "".join(_lines("text/tinyshakespeare.txt.xz")).split("\n\n"):
        scene += speech + "\n\n"
        if len(scene) >= SCENE:
            yield Document(scene, "drama", f"Shakespeare, part {number}")
            scene, number = "", number + 1
    yield Document(scene, "drama", f"Shakespeare, part {number}")


def _chats() -> Iterator[Document]:
    for number, line in enumerate(_lines("dialogue/chitchat.jsonl.xz"), start=1):
        turns = [" ".join(turn["text"].split()) for turn in json.loads(line)["turns"]]
        text = "".join(f"– {turn}\n" for turn in turns if turn)
        if text:
            yield Document(text, "chat", f"chitchat, conversation {number}")


def writer(options: argparse.Namespace) -> LanguageModel:
    """An untrained writer: about 6 M parameters."""
    quick = options.quick
    return LanguageModel(
        "lstm",
        "small",
        vocabulary=1000 if quick else 6000,
        embedding_size=32 if quick else 320,
        hidden_size=32 if quick else 512,
        layers=2,
        dropout=0.05,
        input_dropout=0.0,
        weight_drop=0.0,
        sampled=0 if quick else 1500,
        batch_size=32,
        window=64,
        steps=20 if quick else options.steps,
        learning_rate=2.5e-3,
        weight_decay=0.02,
        average=0.999,
        patience=None,
        copy_run=63,
        seed=1,
    )


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("work", type=Path, help="for the checkpoint and the text as tokens")
    made.add_argument("--out", type=Path, required=True, help="the model folder")
    made.add_argument("--steps", type=int, default=4500, help="of 2,048 tokens each (default: 4500)")
    made.add_argument("--seconds", type=float, help="end the training after these, all resumed runs together")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--quick", action="store_true", help="a small model of little text")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    model = writer(options).fit(
        Works("learned", quick=options.quick),
        validation=Works("held out", quick=options.quick),
        checkpoint=options.work,
        max_seconds=options.seconds,
        say=lambda text: print(text, flush=True),
    )
    error = model.pack("int8", only=True)
    figures = {"quality": model.quality_, "parameters": model.parameters_, "int8 differs by": error}
    for kind in model.kinds_:
        texts = [each.text[:4000] for each in Works("held out", quick=options.quick) if each.kind == kind][
            :20
        ]
        scores = [model.score(text, kind=kind) for text in texts]
        nats, size = sum(each.total for each in scores), sum(each.bytes for each in scores)
        figures[f"bits a byte, {kind}, int8"] = round(nats / size / 0.6931471805599453, 4) if size else None
    model.notes_ = (
        *model.notes_,
        "Prose is from 183 English books in the public domain, drama from Shakespeare, chat from BYU's chitchat (MIT).",
        "Made by benchmarks/language/train_writer.py; every 50th document was held out.",
        "It has the sound of its texts, seldom their sense; what it writes is no fact. License: Apache-2.0.",
    )
    model.save(options.out)
    total = sum(file.stat().st_size for file in options.out.iterdir())
    print(json.dumps(figures, indent=1))
    for kind in (None, *model.kinds_):
        print(f"{kind or 'any kind'}: {model.generate(kind=kind, max_tokens=60, seed=3)!r}")
    print(f"{options.out}: {total / 1e6:.2f} MB, {outcome(model)}")
    if total > LIMIT:
        raise SystemExit(f"the folder is larger than {LIMIT / 1e6:.0f} MB")


def outcome(model: LanguageModel) -> str:
    told = model.outcome_
    return f"{told.steps:,} steps, {told.seconds:.0f} s, stopped by {told.stopped}"


if __name__ == "__main__":
    main()
