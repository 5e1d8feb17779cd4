"""Beam search over any network: the most probable sequences, by their length-normalized log-probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.checks import check_whole
from recurra.errors import InputError, UsageError

__all__ = ["Hypothesis", "Step", "beam_search"]

# step(parents, tokens) -> log-probabilities (rows, vocabulary) of the next tokens. It keeps the states: row i goes on
# from the state that row parents[i] of the call before left, and reads tokens[i]. In the first call parents is None
# and each sentence has a row.
Step = Callable[[NDArray[np.int64] | None, NDArray[np.int64]], Any]


@dataclass(frozen=True)
class Hypothesis:
    """A finished sequence: its tokens without the start and the end, and how good it is.

    `log_probability` is the sum over the tokens and the end, in nats; `score` is that over the length penalty.
    """

    tokens: tuple[int, ...]
    score: float
    log_probability: float


@dataclass(frozen=True)
class _Settings:
    end: int
    width: int
    n_best: int
    min_length: int
    alpha: float
    banned: tuple[int, ...]
    early_stop: bool

    def penalty(self, length: int) -> float:
        """((5 + |Y|) / 6)^α (Wu et al. 2016, arXiv 1609.08144, equation 14), the end counted."""
        return float(((5 + length) / 6) ** self.alpha)


def beam_search(
    step: Step,
    start: Sequence[int] | NDArray[np.int64],
    *,
    end: int,
    max_length: int | Sequence[int],
    min_length: int = 0,
    width: int = 4,
    n_best: int = 1,
    alpha: float = 0.6,
    banned: Sequence[int] = (),
    early_stop: bool = True,
) -> list[list[Hypothesis]]:
    """For each sentence its best hypotheses, the best first.

    At every step the `width` most probable continuations of a sentence live on, and each of them may also end; a
    sentence's result does not depend on those beside it. Equally probable continuations come in the order of their
    hypotheses, then of token ids.

    Parameters
    ----------
    step: the network, `step(parents, tokens)` as `Step` says; recurra.networks.stepper has one for networks in torch.
    start: the first token of each sentence, (sentences,).
    end: the token that ends a sequence.
    max_length, min_length: tokens of a sequence, start and end not counted; max_length may be one number for each
        sentence. After max_length tokens only the end can follow.
    width: how many hypotheses of a sentence live, 1 or more.
    n_best: how many are wanted, 1 or more.
    alpha: of the length penalty ((5 + length) / 6)^alpha, the end counted, 0 or more; 0 prefers short sequences.
    banned: tokens that never come.
    early_stop: be done as soon as no living hypothesis, at its present length, is better than the n_best that ended, as
        most programs do; else when none can become better, at any length.

    A sentence has fewer hypotheses than n_best, even none, where no more were found that have a probability above 0.
    Raises UsageError for arguments that do not fit, InputError where the network gives NaN.
    """
    tokens = np.array(start, dtype=np.int64)
    if tokens.ndim != 1:
        raise UsageError("start must have one token for each sentence", value=tokens.shape)
    check_whole("width", width, 1)
    check_whole("n_best", n_best, 1)
    check_whole("min_length", min_length, 0)
    for token in (end, *banned):
        check_whole("the end and every banned token", token, 0)
    if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 <= alpha < np.inf:
        raise UsageError("alpha must be a number, 0 or more", value=alpha)
    if end in banned:
        raise UsageError("the end is banned: nothing could finish", value=end, hint="Take it out of banned.")
    lengths = [max_length] * len(tokens) if isinstance(max_length, Integral) else list(max_length)
    if len(lengths) != len(tokens):
        raise UsageError(
            f"max_length must be one number or {len(tokens)}, one a sentence", value=len(lengths)
        )
    for length in lengths:
        check_whole("max_length", length, max(1, min_length))

    settings = _Settings(end, width, n_best, min_length, float(alpha), tuple(banned), early_stop)
    beams = [_Beam(settings, int(length)) for length in lengths]
    searching, parents = beams, None
    while searching:
        log = _checked(step(parents, tokens), len(tokens), max(end, *banned, 0))
        moves, first = [], 0
        for beam in searching:
            rows = len(beam.sums)
            kept, following = beam.advance(log[first : first + rows])
            moves.append((kept + first, following))
            first += rows
        searching = [beam for beam in searching if len(beam.sums)]
        parents, tokens = (np.concatenate(part) for part in zip(*moves, strict=True))
    return [beam.ended for beam in beams]


class _Beam:
    """One sentence: what lives, with the sums of its log-probabilities, and the best that ended."""

    def __init__(self, settings: _Settings, max_length: int) -> None:
        self.settings, self.max_length = settings, max_length
        self.ended: list[Hypothesis] = []
        self.sums = np.zeros(1)
        self._live: list[tuple[int, ...]] = [()]

    def advance(self, log: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Go on by one token: which rows live on, and with which token; none when the sentence is done."""
        settings, length = self.settings, len(self._live[0])
        sums = self.sums[:, None] + log
        if length >= settings.min_length:
            self._end(sums[:, settings.end].tolist(), length + 1)
        sums[:, [settings.end, *settings.banned]] = -np.inf
        best = _best(sums.ravel(), settings.width)
        rows, tokens = np.divmod(best, log.shape[1])
        self._live = [
            (*self._live[row], token) for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        self.sums = sums.ravel()[best]
        if length == self.max_length or self._done(length + 1):
            self.sums, rows, tokens = self.sums[:0], rows[:0], tokens[:0]
        return rows, tokens

    def _end(self, sums: list[float], length: int) -> None:
        penalty = self.settings.penalty(length)
        for tokens, total in zip(self._live, sums, strict=True):
            if total > -np.inf:
                self.ended.append(Hypothesis(tokens, total / penalty, total))
        self.ended.sort(key=lambda each: -each.score)
        del self.ended[self.settings.n_best :]

    def _done(self, length: int) -> bool:
        """Whether what lives, `length` tokens long, is not worth going on with."""
        if not len(self.sums):
            return True
        if len(self.ended) < self.settings.n_best:
            return False
        # No log-probability is above 0: a sum only falls, and its score is highest at the greatest length.
        length = length if self.settings.early_stop else self.max_length + 1
        return bool(self.sums[0] / self.settings.penalty(length) <= self.ended[-1].score)


def _best(sums: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Where the `count` largest stand, the largest first, of equal ones the first; fewer where the rest is -∞."""
    least = np.partition(sums, -count)[-count] if count < len(sums) else -np.inf
    found = np.flatnonzero((sums >= least) & (sums > -np.inf))
    return found[np.argsort(-sums[found], kind="stable")[:count]]


def _checked(given: Any, rows: int, largest_token: int) -> NDArray[np.float64]:
    log: NDArray[np.float64] = np.asarray(given, dtype=np.float64)
    if log.ndim != 2 or len(log) != rows or log.shape[1] <= largest_token:
        needed = f"({rows}, more than {largest_token})"
        raise UsageError(f"the network's log-probabilities must be {needed}", value=log.shape)
    if np.isnan(log).any():
        hint = "The network's weights or its state are damaged."
        raise InputError("the network's log-probabilities are not numbers (NaN)", hint=hint)
    return log
