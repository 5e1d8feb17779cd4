"""How good tags are: of words, and of the spans that they tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recurra.language.tagging.spans import are_spans, spans
from recurra.language.tagging.vocabulary import folded

__all__ = ["Scores", "TagScore", "scores"]

Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class TagScore:
    """One tag, or one kind of span: how many there are, were answered, and are right.

    Precision is the share of answers that are right, recall that of what there is which was found, F1 their harmonic
    mean; 0 where there is nothing to divide by.
    """

    name: str
    there: int
    answered: int
    right: int

    @property
    def precision(self) -> float:
        """The share of answers that are right."""
        return self.right / self.answered if self.answered else 0.0

    @property
    def recall(self) -> float:
        """The share of what there is that was found."""
        return self.right / self.there if self.there else 0.0

    @property
    def f1(self) -> float:
        """2 · right / (there + answered)."""
        return 2 * self.right / (self.there + self.answered) if self.there + self.answered else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The counts and the scores, for `--json`."""
        return {**asdict(self), "precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class Scores:
    """How good the tags of sentences are.

    Attributes
    ----------
    words, right: how many there are, and how many have the right tag.
    unknown, unknown_right: of those, the ones that training did not see often enough to know them.
    sentences, whole: how many there are, and how many have no wrong tag.
    tags: of each tag, by falling frequency.
    spans: of each kind of span, the first one of all together; empty where tags tell no spans.
    confused: (tag, answer) -> how often, wrong answers only.
    """

    words: int
    right: int
    unknown: int
    unknown_right: int
    sentences: int
    whole: int
    tags: tuple[TagScore, ...]
    spans: tuple[TagScore, ...]
    confused: dict[tuple[str, str], int]

    @property
    def accuracy(self) -> float:
        """The share of words whose tag is right."""
        return self.right / self.words if self.words else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {
            "words": self.words,
            "accuracy": self.accuracy,
            "unknown_words": self.unknown,
            "unknown_accuracy": self.unknown_right / self.unknown if self.unknown else None,
            "sentences": self.sentences,
            "sentences_right": self.whole,
            "tags": [each.as_dict() for each in self.tags],
            "spans": [each.as_dict() for each in self.spans],
        }


def scores(tokens: Sentences, tags: Sentences, found: Sentences, known: Collection[str]) -> Scores:
    """Compare the tags `found` with the right ones; `known` are the words, folded, that training saw often enough."""
    pairs = Counter(pair for row in zip(tags, found, strict=True) for pair in zip(*row, strict=True))
    right = {tag: count for (tag, answer), count in pairs.items() if tag == answer}
    strange = [
        tag == answer
        for row in zip(tokens, tags, found, strict=True)
        for word, tag, answer in zip(*row, strict=True)
        if folded(word) not in known
    ]
    of_spans: tuple[TagScore, ...] = ()
    if are_spans(tag for each in (*tags, *found) for tag in each):
        of_spans = _span_scores(tags, found)
    return Scores(
        words=sum(pairs.values()),
        right=sum(right.values()),
        unknown=len(strange),
        unknown_right=sum(strange),
        sentences=len(tokens),
        whole=sum(list(a) == list(b) for a, b in zip(tags, found, strict=True)),
        tags=_each((tag for tag, _ in pairs.elements()), (answer for _, answer in pairs.elements()), right),
        spans=of_spans,
        confused={pair: count for pair, count in pairs.most_common() if pair[0] != pair[1]},
    )


def _span_scores(tags: Sentences, found: Sentences) -> tuple[TagScore, ...]:
    there = [(row, span) for row, each in enumerate(tags) for span in spans(each)]
    answered = [(row, span) for row, each in enumerate(found) for span in spans(each)]
    right = Counter(span.label for _, span in set(there) & set(answered))
    each = _each((span.label for _, span in there), (span.label for _, span in answered), right)
    return (TagScore("all", len(there), len(answered), right.total()), *each)


def _each(there: Iterable[str], answered: Iterable[str], right: dict[str, int]) -> tuple[TagScore, ...]:
    wanted, given = Counter(there), Counter(answered)
    names = sorted(wanted.keys() | given.keys(), key=lambda name: (-wanted[name], name))
    return tuple(TagScore(name, wanted[name], given[name], right.get(name, 0)) for name in names)
