"""How many keystrokes a keyboard saves on texts that it has not seen, beside word and bigram counts; how fast it is.

    python benchmarks/language/keyboard.py [--model FOLDER] [--words 20000] [--part valid] [--speed]

A person types a text character by character and takes a suggestion as soon as the word stands among the three, letter
for letter, capitals included. A selection costs one keystroke, and so does every character that is typed; the space
behind a selected word is free, and a mark that is typed next goes before that space, as on a phone. Saved is the
share of the keystrokes that the text has without suggestions. "Any case" counts a suggestion that differs in capitals
as right.

--speed times every keystroke of a chat and of a stretch of a book, beside the same network in torch, eager, on one
thread each (`InTorch`). Both keep the network's state between keystrokes, step it for each new word, and look only at
the words that begin with what is typed; recurra's keyboard does all else that it does, too. Time is the thread's
own, and each keystroke's fastest of the rounds counts, so that other programs do not.

Texts: every twentieth conversation of dialogue/chitchat (BYU, MIT), and every twentieth of text/books (public domain),
from its middle; `train_keyboard.py` trains on none of them. The peer: symspellpy's counts of English words and bigrams.
RECURRA_DATA names the folder that holds dialogue/ and text/.
"""

from __future__ import annotations

import argparse
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from keyboard_texts import books, chats

from recurra.language.suggestion import Keyboard
from recurra.language.suggestion.lexicon import BEYOND, START, UNKNOWN, folded, is_word, pieces
from recurra.language.suggestion.reading import split
from recurra.language.suggestion.writing import Habits, written
from recurra.text.words import spans

SHIPPED = Path(__file__).resolve().parents[2] / "src/recurra/pretrained/keyboard"
K = 3
STRETCH = 12_000  # characters of a book that are typed
STROKES, ROUNDS = 1500, 7  # of --speed


class Suggests(Protocol):
    def __call__(self, context: str, prefix: str) -> Sequence[str]: ...


@dataclass
class Tally:
    """What typing cost."""

    characters: int = 0
    strokes: int = 0
    strokes_any_case: int = 0
    words: int = 0
    first: int = 0  # next words that were among the three before a letter was typed
    seconds: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        saved, loose = 1 - self.strokes / self.characters, 1 - self.strokes_any_case / self.characters
        p95 = 1e3 * float(np.quantile(self.seconds, 0.95))
        return f"{name:<34}{saved:>9.1%}{loose:>11.1%}{self.first / self.words:>10.1%}{p95:>10.2f} ms{self.words:>9,}"


def type_text(suggest: Suggests, text: str, tally: Tally) -> None:
    """Type a text with suggestions, and once more as if capitals were right by themselves."""
    tally.characters += len(text)
    strokes = [0, 0]
    at = 0
    for start, stop in spans(text):
        word = text[start:stop]
        outside = text[at:start]
        strokes = [each + len(outside) for each in strokes]
        at = stop
        if not is_word(word):
            strokes = [each + len(word) for each in strokes]
            continue
        tally.words += 1
        costs: list[int | None] = [None, None]
        for typed in range(len(word)):
            begun = time.perf_counter()
            shown = suggest(text[:start], word[:typed])
            tally.seconds.append(time.perf_counter() - begun)
            right = word in shown, word.lower() in [each.lower() for each in shown]
            tally.first += typed == 0 and right[1]
            for case in (0, 1):
                if right[case] and costs[case] is None:
                    # The space is free, also behind a mark that is typed next.
                    free = text[stop : stop + 1] == " " or (
                        text[stop : stop + 1] in tuple(",.;:!?") and text[stop + 1 : stop + 2] == " "
                    )
                    costs[case] = typed + 1 - free
            if costs[0] is not None:
                break
        for case in (0, 1):
            cost = costs[case]
            strokes[case] += len(word) if cost is None else cost
    rest = len(text) - at
    tally.strokes += strokes[0] + rest
    tally.strokes_any_case += strokes[1] + rest


class Counts:
    """symspellpy's counts: the words that most often follow the one before, then the most frequent ones."""

    def __init__(self) -> None:
        try:
            from importlib.resources import files

            place = files("symspellpy")
        except ModuleNotFoundError:
            raise SystemExit("the peer needs: pip install symspellpy") from None
        words, pairs = "frequency_dictionary_en_82_765.txt", "frequency_bigramdictionary_en_243_342.txt"
        self.words = [line.split()[0] for line in (place / words).read_text("utf-8-sig").splitlines()]
        self.after: dict[str, list[tuple[int, str]]] = {}
        for line in (place / pairs).read_text("utf-8-sig").splitlines():
            first, second, count = line.split()
            self.after.setdefault(first, []).append((int(count), second))
        for each in self.after.values():
            each.sort(reverse=True)

    def __call__(self, context: str, prefix: str) -> Sequence[str]:
        pieces = [context[a:b] for a, b in spans(context[-200:])]
        before, habits, typed = pieces[-1].lower() if pieces else "", Habits(), prefix.lower()
        habits.begins = not pieces or before in ".!?" or context.rstrip(" ").endswith("\n")
        found: list[str] = []
        for word in (*(word for _, word in self.after.get(before, ())), *self.words):
            if word.startswith(typed) and word != typed and word not in found:
                found.append(word)
                if len(found) == K:
                    break
        return [written("I" if word == "i" else word, prefix, habits) for word in found]


def measure(suggest: Suggests, texts: Iterable[str], words: int) -> Tally:
    tally = Tally()
    for text in texts:
        if tally.words >= words:
            break
        type_text(suggest, text, tally)
    return tally


class InTorch:
    """The same network in torch, as one would write a keyboard with it: its state is kept, so that a new word costs a
    step and a softmax, and a letter costs the three best of the words that begin with what is typed.

    It does less than recurra's: no words but the network's, nothing counted, forgiven or written in capitals.
    """

    def __init__(self, keyboard: Keyboard) -> None:
        import torch

        from recurra.language.suggestion.fitting import make_network

        self.torch, self.lexicon = torch, keyboard.lexicon_
        torch.set_num_threads(1)
        self.network = make_network(keyboard, self.lexicon.vocabulary).eval()
        places = np.flatnonzero(self.lexicon.tokens != UNKNOWN)
        self.keys = [self.lexicon.keys[place] for place in places]
        self.tokens = torch.from_numpy(self.lexicon.tokens[places].astype(np.int64))
        self.begin()

    def begin(self) -> None:
        self.text, self.state = "", self.network.initial_state(1)
        self.read([START])

    def read(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            scores, self.state = self.network.step(self.torch.tensor([token]), self.state)
        self.chances = scores.softmax(-1)[0].index_select(0, self.tokens)

    def __call__(self, text: str) -> list[str]:
        with self.torch.inference_mode():
            context, prefix = split(text)
            if not context.startswith(self.text):
                self.begin()
            if found := pieces(context[len(self.text) :]):
                self.read([self.lexicon.token(piece) for piece in found])
            self.text, typed = context, folded(prefix)
            first, last = bisect_left(self.keys, typed), bisect_left(self.keys, typed + BEYOND)
            best = self.chances[first:last].topk(min(K, last - first)).indices.tolist()
            return [self.keys[first + at] for at in best]


def speed(folder: Path) -> None:
    """Every keystroke of held-out texts, here and with the network in torch, in turns: each at its fastest."""
    keyboard = Keyboard.load(folder)
    texts = {"chat": next(text for text in chats("test") if len(text) > STROKES)[:STROKES]}
    texts["book"] = next(iter(middles(books("test"))))[:STROKES]
    askers = {"recurra": lambda text: keyboard.suggest(text, k=K), "torch": InTorch(keyboard)}
    print(f"{'µs, median and p95':<20}{'any keystroke':>18}{'within a word':>18}{'at its end':>18}")
    for kind, text in texts.items():
        rounds = [{name: timed(ask, text) for name, ask in askers.items()} for _ in range(ROUNDS)]
        # The network takes a step where a word ends; a letter only looks at the words that begin so.
        ends = np.array([not split(text[:end])[1] for end in range(1, len(text) + 1)])
        late = {}
        for name in askers:
            best = 1e6 * np.min([each[name] for each in rounds], axis=0)
            figures = [np.quantile(part, [0.5, 0.95]) for part in (best, best[~ends], best[ends])]
            late[name] = np.array(figures)[:, 1]
            print(f"{f'{name}, {kind}':<20}" + "".join(f"{one:>9.0f}{two:>9.0f}" for one, two in figures))
        ratios = late["torch"] / late["recurra"]
        print(f"{'× at p95':<20}" + "".join(f"{each:>18.1f}" for each in ratios))


def timed(ask: Callable[[str], object], text: str) -> list[float]:
    """The seconds of each keystroke of a text that is typed."""
    seconds = []
    for end in range(1, len(text) + 1):
        typed = text[:end]
        begun = time.thread_time()
        ask(typed)
        seconds.append(time.thread_time() - begun)
    return seconds


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", type=Path, default=SHIPPED)
    made.add_argument("--words", type=int, default=20_000, help="words of each kind that are typed")
    made.add_argument("--part", choices=["valid", "test"], default="test", help="tune on valid")
    made.add_argument("--no-peer", action="store_true")
    made.add_argument("--speed", action="store_true", help="measure the speed instead")
    options = made.parse_args()
    if options.speed:
        speed(options.model)
        return
    keyboard = Keyboard.load(options.model)
    print(f"{'':<34}{'saved':>9}{'any case':>11}{'next in 3':>10}{'p95':>13}{'words':>9}", flush=True)
    for name, texts in (("chat", chats(options.part)), ("books", middles(books(options.part)))):
        texts = list(texts)
        mine = measure(lambda c, p: [each.text for each in keyboard.suggest(c, p, K)], texts, options.words)
        print(mine.row(f"recurra, {name}"), flush=True)
        if not options.no_peer:
            print(
                measure(Counts(), texts, options.words // 10).row(f"symspellpy's counts, {name}"), flush=True
            )


def middles(texts: Iterable[str]) -> Iterable[str]:
    """A stretch of each book from its middle, whole paragraphs."""
    for text in texts:
        start = text.find("\n\n", len(text) // 2) + 2
        yield " ".join(text[start : start + STRETCH].rsplit("\n\n", 1)[0].split())


if __name__ == "__main__":
    main()
