"""A cache of recent words: what came a while ago is likely to come again. Grave et al. 2017, arXiv 1612.04426.

p(w) = (1 - λ) p_network(w) + λ p_cache(w), p_cache(w) ∝ Σ_i [w_i = w] exp(θ h · h_i), over the last words w_i, each
with the state h_i that it came after (equations 2 and 3). Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recurra.decoding import Random, Sampling, choose
from recurra.errors import UsageError
from recurra.language.generation.scoring import log_softmax
from recurra.streaming.run import Session

__all__ = ["Recent", "check_share", "state_name", "write"]

WORDS = 2000  # that are remembered
FLATNESS = 0.3  # θ, the paper's for a language model of Penn Treebank


def check_share(share: float) -> None:
    """Raise UsageError for a share of the cache out of its range."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise UsageError("recent must be a number, 0 or more and below 1", value=share)


def state_name(session: Session) -> str:
    """The part of a session's state that is the output of its last layer; UsageError where the cell keeps none."""
    shapes = {name: shape for name, shape, _, _ in session.engine.packed.description["leaves"]}
    last = max(int(name.split(".")[0]) for name in shapes)
    for name in (f"{last}.h", f"{last}", f"{last}.inner"):
        if name in shapes and len(shapes[name]) == 1:
            return name
    hint = "Use recent=0, or train with lstm or gru."
    raise UsageError("a cache of recent words needs a cell whose output is its state", hint=hint)


class Recent:
    """What came recently, and how much it changes what comes next.

    Parameters
    ----------
    share: λ, 0 … 1 exclusive.
    flatness: θ, 0 or more; 0 counts all recent words alike.
    words: how many are remembered.
    """

    def __init__(self, share: float, *, flatness: float = FLATNESS, words: int = WORDS) -> None:
        check_share(share)
        self.share, self.flatness, self.words = share, flatness, words
        self._states: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._tokens = np.zeros(words, np.int64)
        self._count = 0

    def remember(self, state: NDArray[np.float32], token: int) -> None:
        """Take note of a token (one of V) that came after a state (D,)."""
        if not len(self._states):
            self._states = np.zeros((self.words, len(state)), np.float32)
        place = self._count % self.words
        self._states[place], self._tokens[place] = state, token
        self._count += 1

    def mixed(self, log: NDArray[np.float64], state: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-probabilities (V,) of the network after `state` (D,), with those of the cache mixed in."""
        if not self._count or not self.share:
            return log
        known = min(self._count, self.words)
        like = self.flatness * (self._states[:known] @ state).astype(np.float64)
        weights = np.exp(like - like.max())
        found = np.bincount(self._tokens[:known], weights / weights.sum(), minlength=len(log))
        mixed: NDArray[np.float64] = np.logaddexp(
            np.log1p(-self.share) + log, np.log(self.share * found + 1e-300)
        )
        return mixed


def read(session: Session, tokens: NDArray[np.int64], recent: Recent) -> NDArray[np.float64]:
    """Read tokens (T,) into a session that has begun, remember them, and say how surprising each was, in nats (T,)."""
    name, nats = state_name(session), np.zeros(len(tokens))
    for place, token in enumerate(tokens):
        state = session.state[name]
        nats[place] = -recent.mixed(log_softmax(session.scores), state)[token]
        recent.remember(state, int(token))
        session.read(tokens[place : place + 1])
    return nats


def write(session: Session, sampling: Sampling, recent: Recent, seed: int) -> Iterator[int]:
    """Tokens that come next by the network and the cache together, until the sequence ends; it moves the session."""
    name, random, history = state_name(session), Random(seed), session.history
    while True:
        state = session.state[name]
        log = recent.mixed(log_softmax(session.scores), state)
        token = choose(log, sampling, history, random)
        yield token
        if sampling.ends(token, random.count):
            return
        recent.remember(state, token)
        history.append(token)
        session.read(np.array([token]))
