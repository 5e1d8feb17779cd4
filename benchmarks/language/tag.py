"""Parts of speech in UD English EWT: how many of the development part's words a tagger gets right, beside two peers.

    .venv/bin/python benchmarks/language/tag.py out/tagger     # 15 minutes on two cores; called again, it goes on
    .venv/bin/python benchmarks/language/tag.py out/tagger --sentences 400 --steps 40   # a cut, to see that it works

All three learn from the training part alone, without vectors that were trained before; the development part is only
scored, never used to choose: what chooses the weights are the last sentences of the training part. Peers: the averaged
perceptron of M. Honnibal's "A Good Part-of-Speech Tagger in about 200 Lines of Python" (2013; NLTK's and TextBlob's
tagger), and scikit-learn's linear model over the same window of words.

Bar: 94.3 % of universal part-of-speech tags (aim 95 %), in at most 15 minutes.
`RECURRA_DATA` names the folder with `labels/ud_ewt.{train,dev}.conllu.xz` (Universal Dependencies, CC BY-SA 4.0).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from recurra import Tagger
from recurra.language.tagging.data import Corpus, read_corpus

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[3] / "shared" / "data"))
BAR, AIM, MINUTES = 0.943, 0.95, 15
STEPS = 4000  # ten times through the data
CHOOSING = 50  # one in so many sentences chooses the weights
SETTINGS = {"hidden_size": 160, "layers": 1, "character_size": 64, "dropout": 0.4, "learning_rate": 4e-3}

Sentences = Sequence[Sequence[str]]


def features(words: Sequence[str], place: int) -> Iterator[str]:
    """What the peers see of a word: itself, its ends, and the words around it."""
    padded = ["<s2>", "<s1>", *words, "</s1>", "</s2>"]
    word = padded[place + 2]
    yield f"w={word.lower()}"
    for size in range(1, 5):
        yield f"e{size}={word[-size:]}"
        yield f"b{size}={word[:size]}"
    yield f"looks={word.istitle()}{word.isupper()}{any(map(str.isdigit, word))}{'-' in word}"
    for offset in (-2, -1, 1, 2):
        other = padded[place + 2 + offset]
        yield f"{offset}={other.lower()}"
        yield f"{offset}e={other[-3:]}"


class Perceptron:
    """Honnibal's greedy tagger: features and the two tags before, weights averaged over all updates."""

    def __init__(self, rounds: int = 5) -> None:
        self.rounds = rounds
        self.weights: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def fit(self, tokens: Sentences, tags: Sentences) -> Perceptron:
        self.tags = sorted({tag for each in tags for tag in each})
        totals: dict[tuple[str, str], float] = defaultdict(float)
        stamps: dict[tuple[str, str], int] = defaultdict(int)
        order, shuffle, now = list(range(len(tokens))), random.Random(0).shuffle, 0

        def add(feature: str, tag: str, change: float) -> None:
            key = feature, tag
            totals[key] += (now - stamps[key]) * self.weights[feature][tag]
            stamps[key] = now
            self.weights[feature][tag] += change

        for _ in range(self.rounds):
            shuffle(order)
            for row in order:
                before = ["", ""]
                for place, tag in enumerate(tags[row]):
                    now += 1
                    seen = [*features(tokens[row], place), *_history(before)]
                    guess = self._best(seen)
                    if guess != tag:
                        for feature in seen:
                            add(feature, tag, 1.0)
                            add(feature, guess, -1.0)
                    before.append(guess)
        for feature, each in self.weights.items():
            for tag in each:
                total = totals[feature, tag] + (now - stamps[feature, tag]) * each[tag]
                each[tag] = total / now
        return self

    def predict(self, tokens: Sentences) -> list[list[str]]:
        found = []
        for words in tokens:
            before = ["", ""]
            for place in range(len(words)):
                before.append(self._best([*features(words, place), *_history(before)]))
            found.append(before[2:])
        return found

    def _best(self, seen: Sequence[str]) -> str:
        scores: dict[str, float] = defaultdict(float)
        for feature in seen:
            for tag, weight in self.weights.get(feature, {}).items():
                scores[tag] += weight
        return max(self.tags, key=lambda tag: (scores[tag], tag))


def _history(before: Sequence[str]) -> list[str]:
    return [f"t1={before[-1]}", f"t2={before[-2]}+{before[-1]}"]


class Linear:
    """scikit-learn's linear classifier, word by word."""

    def fit(self, tokens: Sentences, tags: Sentences) -> Linear:
        from sklearn.feature_extraction import FeatureHasher
        from sklearn.linear_model import SGDClassifier
        from sklearn.pipeline import make_pipeline

        self.model = make_pipeline(
            FeatureHasher(2**20, input_type="string", alternate_sign=False),
            SGDClassifier(loss="log_loss", alpha=1e-6, average=True, max_iter=8, tol=None, random_state=0),
        )
        self.model.fit(_every(tokens), [tag for each in tags for tag in each])
        return self

    def predict(self, tokens: Sentences) -> list[list[str]]:
        found = iter(self.model.predict(_every(tokens)))
        return [[next(found) for _ in each] for each in tokens]


def _every(tokens: Sentences) -> list[list[str]]:
    return [list(features(words, place)) for words in tokens for place in range(len(words))]


def accuracy(model: Any, corpus: Corpus) -> float:
    pairs = zip(corpus.tags, model.predict(corpus.tokens), strict=True)
    right = [tag == answer for row in pairs for tag, answer in zip(*row, strict=True)]
    return sum(right) / len(right)


def trained(folder: Path, training: Corpus, steps: int, seconds: float) -> Tagger:
    """The tagger of a folder, trained as far as it is not."""
    model = Tagger(steps=steps, **SETTINGS)  # type: ignore[arg-type]
    cut = -(len(training.tokens) // CHOOSING)
    tokens, tags = training.tokens, training.tags
    chosen_by = tokens[cut:], tags[cut:]
    model.fit(
        tokens[:cut], tags[:cut], validation=chosen_by, max_seconds=seconds, checkpoint=folder / "training"
    )
    model.save(folder / "model")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the model and what training needs to go on are kept")
    parser.add_argument("--seconds", type=float, default=60.0 * MINUTES, help="of training, at most")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--sentences", type=int, help="of the training part, the first ones")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    training, held_out = (read_corpus(DATA / f"labels/ud_ewt.{part}.conllu.xz") for part in ("train", "dev"))
    cut = slice(given.sentences)
    training = Corpus(training.tokens[cut], training.tags[cut], training.rows[cut])
    given.folder.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[], Any]] = {
        "recurra": lambda: trained(given.folder, training, given.steps, given.seconds)
    }
    if given.peers:
        makers["averaged perceptron"] = lambda: Perceptron().fit(training.tokens, training.tags)
        makers["scikit-learn, linear"] = lambda: Linear().fit(training.tokens, training.tags)
    words = sum(map(len, held_out.tokens))
    print(
        f"{len(training.tokens):,} sentences to learn from, {words:,} words to tag, {given.threads} threads"
    )
    figures: dict[str, Any] = {"words": words, "threads": given.threads, "bar": BAR, "aim": AIM}
    for name, make in makers.items():
        began = time.monotonic()
        model = make()
        seconds = time.monotonic() - began
        if isinstance(model, Tagger):
            seconds = model.outcome_.seconds  # resumed runs together
        began = time.monotonic()
        right = accuracy(model, held_out)
        rate = words / (time.monotonic() - began)
        figures[name] = {"accuracy": right, "seconds": seconds, "words_a_second": rate}
        print(
            f"{name:22} {right:7.2%}   learnt in {seconds:6.1f} s   {rate:9,.0f} words a second", flush=True
        )
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
