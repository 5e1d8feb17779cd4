"""The rest of the word and the next words, from a network of tokens that are pieces of words. Needs no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from recurra.language.generation.rules import begins_a_word, may_begin
from recurra.language.generation.scoring import log_softmax
from recurra.streaming.run import Session

__all__ = ["complete"]

WIDTH, LONGEST = 12, 8  # beginnings of words that are kept, and tokens of a word


def complete(session: Session, lead: str, count: int, pieces: Sequence[bytes]) -> list[tuple[str, float]]:
    """The most probable words that begin with `lead`, and their probabilities among all words that may come.

    The session has read what stands before; `lead` begins with a space where the words stand apart from it. A word
    ends where the next token begins another; its probability is summed over all ways to write it that were found.
    """
    ends = begins_a_word(pieces)
    found: dict[str, float] = defaultdict(float)
    living: list[tuple[float, bytes, Session]] = [(0.0, b"", session.fork())]
    wanted = lead.encode()
    try:
        for _ in range(LONGEST):
            tries: list[tuple[float, int, int]] = []
            for number, (total, word, each) in enumerate(living):
                log = log_softmax(each.scores)
                if len(word) >= len(wanted) and word.strip():
                    found[word.decode(errors="replace")] += float(
                        np.exp(total + np.logaddexp.reduce(log[ends]))
                    )
                left = wanted[len(word) :]
                allowed = may_begin(pieces, left) if left else ~ends
                if not word and not wanted:  # a space begins no word: what may begin one is a letter
                    allowed = ~ends
                log = np.where(allowed, log, -np.inf)
                for token in np.argpartition(-log, min(WIDTH, len(log) - 1))[:WIDTH]:
                    if log[token] > -np.inf:
                        tries.append((total + float(log[token]), number, int(token)))
            tries = sorted(tries, reverse=True)[:WIDTH]
            following = []
            for total, number, token in tries:
                child = living[number][2].fork()
                child.read(np.array([token]))
                following.append((total, living[number][1] + pieces[token], child))
            for _, _, each in living:
                each.close()
            living = following
            enough = sorted(found.values(), reverse=True)[count - 1 : count]
            if not living or (enough and np.exp(living[0][0]) < enough[0]):
                break
    finally:
        for _, _, each in living:
            each.close()
    best = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    words = [(word.strip(), chance) for word, chance in best if _is_word(word)]
    return words[:count]


def _is_word(text: str) -> bool:
    return "�" not in text and len(text.split()) == 1
