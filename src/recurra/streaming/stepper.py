"""Sessions of an engine as beam search calls them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.streaming.run import Session

__all__ = ["Stepper"]


class Stepper:
    """A network and its states, as `recurra.decoding.beam_search` calls them: hypotheses are sessions that fork.

    `sessions` has one for each sentence, such as one that remembers what an encoder read; they stay as they are.
    Scores are normalized: logits do, and log-probabilities stay what they are. `close` gives the forks back.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = [each.fork() for each in sessions]

    def __call__(self, parents: NDArray[np.int64] | None, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Go on from rows `parents` of the states before, all of them for None, with `tokens` (rows,).

        Gives log-probabilities (rows, vocabulary) of the tokens that may follow.
        """
        if parents is not None:
            before, used = self._sessions, set()
            self._sessions = []
            for parent in parents.tolist():  # the first child takes its parent's place
                self._sessions.append(before[parent].fork() if parent in used else before[parent])
                used.add(parent)
            for number, each in enumerate(before):
                if number not in used:
                    each.close()
        scores = np.asarray(self._sessions[0].engine.step(self._sessions, tokens), np.float64)
        shifted = scores - scores.max(-1, keepdims=True)
        normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return normalized

    def close(self) -> None:
        """Close the sessions that it made."""
        for each in self._sessions:
            each.close()
        self._sessions = []
