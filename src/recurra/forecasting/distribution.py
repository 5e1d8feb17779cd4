"""What lies between and beyond the forecast quantiles, and how the periods of a forecast hang together.

A forecast is Q quantiles per series and period. Between them the quantile function is a straight line; beyond
the outer ones it is an exponential tail that goes on as the outer two have begun. Periods are joined by a Gaussian
copula: a joint path draws correlated normal numbers z, and takes each period's quantile at Φ(z), so that every
period keeps its own forecast distribution exactly (Clark et al. 2004 join by ranks; Wilks 2002 by a normal).

Legend: N series, S paths, H periods, Q quantiles at `levels` (Q,).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Copula", "Quantiles", "seed_of"]

Floats = NDArray[np.float64]
EXTREME = 1e-5  # probabilities nearer to 0 or 1 are taken as this


@dataclass(frozen=True)
class Quantiles:
    """A forecast: quantiles `values` (…, Q) at rising probabilities `levels` (Q,), none below `floor`."""

    levels: Floats
    values: Floats
    floor: float = -math.inf

    def spread(self, below: float, above: float) -> Quantiles:
        """The forecast with what lies below and above its middle quantile so many times as far from that."""
        middle = self.values[..., len(self.levels) // 2, None]
        away = self.values - middle
        values = middle + np.where(away < 0, below, above) * away
        return Quantiles(self.levels, np.maximum(values, self.floor), self.floor)

    def at(self, u: Floats) -> Floats:
        """The quantiles at probabilities `u` (…, S), one row of them for each row of values: (…, S)."""
        u = np.clip(u, EXTREME, 1 - EXTREME)
        levels, values = self.levels, self.values
        index = np.clip(np.searchsorted(levels, u), 1, len(levels) - 1)
        low, high = np.take_along_axis(values, index - 1, -1), np.take_along_axis(values, index, -1)
        share = (u - levels[index - 1]) / (levels[index] - levels[index - 1])
        inside = np.minimum(low + np.clip(share, 0, 1) * (high - low), high)  # rounding must not cross
        above = self._upper * np.log(np.minimum((1 - levels[-1]) / (1 - u), 1 / EXTREME))
        below = self._lower * np.log(np.minimum(levels[0] / u, 1 / EXTREME))
        values_at = inside + np.maximum(above, 0) - np.maximum(below, 0)
        return np.asarray(np.maximum(values_at, self.floor))

    def around(self, y: Floats, *, whole: bool) -> tuple[Floats, Floats]:
        """P(Y < y) and P(Y ≤ y) at values `y` (…); where quantities are `whole`, of the forecast rounded."""
        below = self.probability(y - 0.5 if whole else np.nextafter(y, -np.inf))
        below = np.where(y <= self.floor, 0.0, below)
        return below, np.maximum(self.probability(y + 0.5 if whole else y), below)

    def mean(self) -> Floats:
        """The mean of each row's distribution (…,): the integral of its quantile function."""
        widths = np.diff(self.levels)
        inside = ((self.values[..., 1:] + self.values[..., :-1]) / 2 * widths).sum(-1)
        top = (1 - self.levels[-1]) * (self.values[..., -1] + self._upper[..., 0])
        lower, room = self._lower[..., 0], self.values[..., 0] - self.floor
        reach = 1 - np.exp(-room / np.where(lower > 0, lower, 1.0))  # the tail below ends at the floor
        bottom = self.levels[0] * (self.values[..., 0] - lower * reach)
        return np.asarray(inside + top + bottom)

    def probability(self, y: Floats) -> Floats:
        """The probability of at most `y` (…,), the inverse of `at`; at a jump, its upper end."""
        y = np.asarray(y, dtype=np.float64)
        below = (self.values <= y[..., None]).sum(-1)
        index = np.clip(below, 1, len(self.levels) - 1)
        low = np.take_along_axis(self.values, index[..., None] - 1, -1)[..., 0]
        high = np.take_along_axis(self.values, index[..., None], -1)[..., 0]
        gap = np.where(high > low, high - low, 1.0)
        inside = self.levels[index - 1] + np.clip((y - low) / gap, 0, 1) * np.diff(self.levels)[index - 1]
        over, under = y - self.values[..., -1], self.values[..., 0] - y
        upper, lower = self._upper[..., 0], self._lower[..., 0]
        top = 1 - (1 - self.levels[-1]) * _decay(over, upper)
        bottom = np.where(y < self.floor, 0.0, self.levels[0] * _decay(under, lower))
        return np.asarray(np.where(over >= 0, top, np.where(under > 0, bottom, inside)))

    @property
    def _upper(self) -> Floats:
        """The scale of the exponential tail above, from the outer two quantiles: (…, 1)."""
        step = self.values[..., -1:] - self.values[..., -2:-1]
        return np.asarray(step / math.log((1 - self.levels[-2]) / (1 - self.levels[-1])))

    @property
    def _lower(self) -> Floats:
        step = np.where(self.values[..., :1] > self.floor, self.values[..., 1:2] - self.values[..., :1], 0.0)
        return np.asarray(step / math.log(self.levels[1] / self.levels[0]))


def _decay(distance: Floats, scale: Floats) -> Floats:
    """exp(-distance / scale) at distances of 0 or more; nothing is left of a tail without a scale."""
    ratio = np.maximum(distance, 0) / np.where(scale > 0, scale, 1.0)
    return np.asarray(np.where(scale > 0, np.exp(-ratio), 0.0))


@dataclass(frozen=True)
class Copula:
    """How forecast errors hang together: between the periods of a series, and between series.

    `root` (H, H) is the Cholesky factor of the correlation of the periods of one series; `shared`, in [0, 1), the
    correlation of two series in the same period.
    """

    root: Floats
    shared: float

    @classmethod
    def independent(cls, horizon: int) -> Copula:
        """No dependence at all."""
        return cls(np.eye(horizon), 0.0)

    @classmethod
    def fit(cls, z: Floats) -> Copula:
        """Estimate from the normal scores z (W, N, H) of past forecasts at W origins; NaN where there is none.

        The correlation of the periods is averaged over series and origins; it is shrunk a little towards
        independence, so that it has a root however few the windows are.
        """
        horizon = z.shape[2]
        known = np.isfinite(z)
        filled = np.where(known, z, 0.0)
        rows, seen = filled.reshape(-1, horizon), known.reshape(-1, horizon).astype(np.float64)
        products, counts = rows.T @ rows, seen.T @ seen
        spread = np.sqrt((rows**2).T @ seen)
        scale = spread * spread.T
        correlation = np.where(counts > 0, products / np.maximum(scale, 1e-12), 0.0)
        np.fill_diagonal(correlation, 1.0)
        few = 1 / (1 + counts.min() / 100)
        correlation = (1 - few) * np.clip(correlation, -1, 1) + few * np.eye(horizon)
        values, vectors = np.linalg.eigh(correlation)
        positive = (vectors * np.maximum(values, 1e-4)) @ vectors.T
        deviations = np.sqrt(np.diag(positive))
        root = np.linalg.cholesky(positive / np.outer(deviations, deviations))
        total, squares, n = filled.sum(1), (filled**2).sum(1), known.sum(1)
        pairs = n * (n - 1)
        common = (total**2 - squares).sum() / max(1.0, float((squares / np.maximum(n, 1) * pairs).sum()))
        return cls(root, float(np.clip(common, 0.0, 0.99)) if pairs.sum() else 0.0)

    def draw(self, ids: Sequence[str], paths: int, seed: int) -> Floats:
        """Normal scores (N, S, H): a series' own draws depend on its name and the seed, not on its neighbors."""
        horizon = len(self.root)
        common = np.random.default_rng(seed).standard_normal((paths, horizon))
        own = np.stack(
            [np.random.default_rng([seed, seed_of(i)]).standard_normal((paths, horizon)) for i in ids]
        )
        mixed = math.sqrt(self.shared) * common + math.sqrt(1 - self.shared) * own
        return np.asarray(mixed @ self.root.T)


def seed_of(name: str) -> int:
    """A number that belongs to a name, the same in every run."""
    return zlib.crc32(name.encode())


# Φ in steps so small that a cubic in each, with Φ's values and slopes at both ends (Hermite), is within 1e-13 of it.
_STEPS, _REACH = 512, 8.5
_BLOCK = 16_384  # numbers, so that what is in between stays in the cache


@cache
def _cubics() -> tuple[Floats, Floats, Floats, Floats]:
    """Their coefficients, the constant ones first."""
    points = np.linspace(-_REACH, _REACH, round(2 * _REACH * _STEPS) + 1)
    height = np.array([math.erfc(-z / math.sqrt(2)) / 2 for z in points.tolist()])
    slope = np.exp(-(points**2) / 2) / math.sqrt(2 * math.pi) / _STEPS
    gain, start, end = np.diff(height), slope[:-1], slope[1:]
    return height[:-1], start, 3 * gain - 2 * start - end, start + end - 2 * gain


def normal_cdf(z: Floats) -> Floats:
    """Φ, the standard normal distribution function, at finite `z`."""
    flat = np.ascontiguousarray(z, dtype=np.float64).reshape(-1)
    cubics, found = _cubics(), np.empty_like(flat)
    for first in range(0, len(flat), _BLOCK):
        at = np.clip(flat[first : first + _BLOCK], -_REACH, np.nextafter(_REACH, 0))
        at = (at + _REACH) * _STEPS
        number = np.minimum(at.astype(np.int32), len(cubics[0]) - 1)
        at -= number
        y = cubics[3][number]
        for coefficients in cubics[2::-1]:
            y *= at
            y += coefficients[number]
        found[first : first + _BLOCK] = y
    return found.reshape(np.shape(z))
