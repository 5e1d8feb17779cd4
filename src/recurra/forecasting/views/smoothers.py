"""Sales by level, trend and season: for series that hardly ever sell nothing, short ones above all.

A bank of exponential smoothers of log y (Winters 1960, trends damped as of Gardner & McKenzie 1985), each with fixed
gains, gives forecasts of every period ahead. The network reads how far each was off, and answers relative to the
forecast of the first, which hardly smooths and goes on along a straight line through what was seen: base + unit · u,
the unit the series' usual change from season to season (the scale of MASE, Hyndman & Koehler 2006). So a network that
has learned nothing yet forecasts the last season with a trend, much as Theta does (Assimakopoulos & Nikolopoulos 2000).
Hours have one forecast more: the same hour of last week, moved by what the day changed since the same day of that week.
The weights between recurrent networks and smoothing are as in Smyl (2020), but that his are trained with each series.

All of it goes on from period to period, so that an update costs one step.

Legend: B rows, T steps, K origins, H horizon, N series, L periods of history, S periods of the season, J forecasts, I
columns, F those of them with a trend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recurra.forecasting.sales.calendar import Frequency
from recurra.forecasting.sales.covariates import AT_LEAST, MISSING
from recurra.forecasting.views.view import Floats, Periods, Rows, Running, Sizes, Standing

__all__ = ["Smoothers"]


class Gains(NamedTuple):
    """How fast a smoother follows: its level, its trend (0: none), and its season; what is left of a trend."""

    level: float
    trend: float
    damping: float
    season: float


BANK: Final = (  # the first hardly smooths: it is the base, and has a trend of its own
    Gains(0.95, 0.0, 1.0, 0.3),
    Gains(0.5, 0.0, 0.0, 0.2),
    Gains(0.2, 0.0, 0.0, 0.2),
    Gains(0.9, 0.1, 0.95, 0.2),
    Gains(0.5, 0.1, 0.9, 0.2),
    Gains(0.5, 0.05, 0.98, 0.1),
    Gains(0.3, 0.02, 1.0, 0.1),
)
LEVEL, TREND, DAMPING, SEASON = (np.array(each, np.float32) for each in zip(*BANK, strict=True))
STRAIGHT: Final = 0  # whose trend is that of a straight line through the logarithms of all that was seen …
DRAWN: Final = np.float32(0.7)  # … as far as it lasts: half in Assimakopoulos & Nikolopoulos (2000)
TRENDING: Final = np.union1d(STRAIGHT, np.flatnonzero(TREND > 0))
MIDDLE: Final = 1  # the smoother whose level the size of a series is told by
FLOOR: Final = np.float32(
    0.01
)  # of a series' mean: what is smaller is read as that, for zeros have no logarithm
SMALLEST: Final = np.float32(1e-6)  # … or of what is usual for its like, so that float32 holds every ratio
LAGS: Final = (1, 2, 3)  # periods back that the latest value is compared with, beside a season
ERRORS: Final = np.float32(0.9)  # what is left of the mean error after a period
CHANGES: Final = np.float32(1 - 1 / 500)  # … and of the mean change
DOUBT: Final = np.float32(2)  # changes for which the first guess of the unit counts
STEADY: Final = np.float32(0.1)  # that guess, as a share of the level, where much has been seen
DOWN, UP = np.float32(6), np.float32(2.5)  # how far a forecast goes from the middle's level, logarithmic
BELOW, ABOVE = np.float32(2), np.float32(14)  # … and a level from the floor, where years are missing
LARGEST: Final = np.float32(6)  # what the network is told is held within
LITTLE: Final = np.float32(0.1)  # weight of forecasts from where least is known


@dataclass(frozen=True)
class Smoothers:
    """A `View` by a bank of exponential smoothers."""

    read: Floats  # (N, L)
    running: Running
    told: Floats  # (N, L, I)
    level: Floats  # (N, L, J) logarithmic
    trend: Floats  # (N, L, F)
    season: Floats  # (N, L, J) that of the period's own phase, this period included
    unit: Floats  # (N, L)
    seen: Floats  # (N, L) periods counted
    logs: Floats  # (N, L) what was read, logarithmic
    shift: Floats  # (N, L) from a longer season ago, NaN where that is not known
    frequency: Frequency
    following: int  # the number of the period after the last

    @classmethod
    def sizes(cls, frequency: Frequency) -> Sizes:
        """As `View` says."""
        lags = len({*LAGS, frequency.season})
        forecasts = len(BANK) + (frequency.longer > 0)
        columns = 2 * forecasts + len(TRENDING) + 3 + lags
        return Sizes(columns, place=columns, ahead=forecasts - 1)

    @classmethod
    def begin(cls, series: int, frequency: Frequency) -> Running:
        """As `View` says."""
        bank, season, longer = len(BANK), frequency.season, frequency.longer
        shapes: dict[str, tuple[int, ...]] = {
            "level": (bank,),
            "trend": (bank,),
            "season": (bank, season),
            "seasons": (season,),  # how often each phase's was corrected
            "recent": (season,),  # the last of each phase, logarithmic
            "past": (len(LAGS),),  # the last few, logarithmic, the latest first
            "seen": (1,),
            "line": (4,),  # means of time and logarithm, their sums of squares and products around these
            "age": (1,),  # periods since the first that was counted, that one included
            "total": (1,),  # of |y|
            "errors": (bank + (longer > 0),),
            "error_count": (1,),
            "changes": (1,),
            "change_count": (1,),
            "unit": (1,),
        }
        if (
            longer
        ):  # the last of each phase of it, logarithmic, and what the mean over a season then was; the shift
            shapes |= {"longer": (longer,), "means": (longer,), "shift": (1,)}
        return {name: np.zeros((series, *shape), np.float32) for name, shape in shapes.items()}

    @classmethod
    def walk(cls, periods: Periods, running: Running) -> Self:
        """As `View` says."""
        walk, length = _Walk(running, periods), periods.values.shape[1]
        found: list[tuple[Floats, ...]] = [walk.step(t) for t in range(length)]
        read, told, level, trend, season, unit, seen, logs, shift = (
            np.stack(each, axis=1) for each in zip(*found, strict=True)
        )
        stood = told, level, trend, season, unit, seen, logs, shift
        return cls(read, walk.now, *stood, periods.frequency, periods.phase + length)

    def columns(self, rows: Rows, time: Rows) -> Floats:
        """As `View` says: errors, mean errors, trends, the unit, the age and the latest changes, in units."""
        return np.asarray(self.told[rows[:, None], time])

    def at(self, rows: Rows, origins: Rows, horizon: int) -> Standing:
        """As `View` says: of each period ahead it tells how far the forecasts are from the base, in units."""
        row, ahead = rows[:, None], np.arange(1, horizon + 1)
        seen = _before(origins, ahead, self.frequency.season)
        # Before the first period, and before a whole season is known, none is.
        season = np.where(
            seen[..., None] >= 0, self.season[row[..., None], np.maximum(seen, 0)], np.float32(0)
        )
        trend = np.zeros((*origins.shape, len(BANK)), np.float32)
        trend[..., TRENDING] = self.trend[row, origins]
        longer = None
        if self.frequency.longer:
            day, week = (
                self.logs[row[..., None], np.maximum(_before(origins, ahead, season), 0)]
                for season in (self.frequency.season, self.frequency.longer)
            )
            longer = day, week + self.shift[row, origins][..., None]
        level, unit = self.level[row, origins], self.unit[row, origins]
        return _standing(self.told[row, origins], _forecasts(level, trend, season, longer), unit)

    def at_end(self, horizon: int) -> Standing:
        """As `View` says."""
        now, numbers, longer = self.running, self.following + np.arange(horizon), None
        season = now["season"][:, :, numbers % self.frequency.season].swapaxes(1, 2)
        if self.frequency.longer:
            longer = _again(now, numbers, self.frequency)
        forecasts = _forecasts(now["level"], now["trend"], season, longer)
        return _standing(self.told[:, -1], forecasts, now["unit"][:, 0])

    def weight(self, rows: Rows, origins: Rows) -> Floats:
        """Series weigh the same; forecasts from before two seasons are known weigh less, for their unit is a guess."""
        enough = np.float32(max(2 * self.frequency.season, 3))
        return np.asarray(np.clip((self.seen[rows[:, None], origins] / enough) ** 2, LITTLE, 1))

    def worth(self, rows: Rows, origins: Rows) -> Floats:
        """As `View` says: units count alike."""
        return np.asarray(1 / self.unit[rows[:, None], origins])


def _before(origins: Rows, ahead: NDArray[np.int64], season: int) -> Rows:
    """The latest period before or at `origins` (…) of the phase of the one so far `ahead` (H,): (…, H)."""
    return np.asarray(origins[..., None] + ahead - season * ((ahead - 1) // season + 1))


def _shift(now: Running, frequency: Frequency) -> Floats:
    """How far series are above what they were a longer season ago, (N, 1); NaN where that is not known."""
    known = now["age"] >= frequency.longer + frequency.season
    return np.where(known, now["shift"], np.float32(np.nan))


def _again(now: Running, numbers: Rows, frequency: Frequency) -> tuple[Floats, Floats]:
    """What periods of `numbers` (H,) would be if the last season came again, and the longer one: (N, H) logs."""
    week = now["longer"][:, numbers % frequency.longer] + _shift(now, frequency)
    return now["recent"][:, numbers % frequency.season], np.asarray(week)


def _standing(told: Floats, forecasts: Floats, unit: Floats) -> Standing:
    """Where series stand: told (…, I), the forecasts (…, H, J) and the unit (…,)."""
    base = forecasts[..., 0]
    away = (forecasts[..., 1:] - base[..., None]) / unit[..., None, None]
    return Standing(told, _told(away), unit, base)


def _forecasts(
    level: Floats, trend: Floats, season: Floats, longer: tuple[Floats, Floats] | None = None
) -> Floats:
    """Of each smoother for each period ahead, (…, H, J), and behind them by the longer season, where there is one.

    What the last season and the longer one say, `longer` (…, H) each, is logarithmic. Their mean is the base, for an
    hour says little of the hours of the next days; while the longer is NaN, the first smoother is both.
    """
    horizon = season.shape[-2]
    reach = np.cumsum(
        DAMPING ** np.arange(1, horizon + 1, dtype=np.float32)[:, None], axis=0, dtype=np.float32
    )
    log = level[..., None, :] + trend[..., None, :] * reach + season
    if longer is not None:
        known, first = ~np.isnan(longer[1]), log[..., 0]
        week = np.where(known, longer[1], first)
        base = np.where(known, (longer[0] + week) / 2, first)
        log = np.concatenate([base[..., None], log[..., 1:], week[..., None]], -1)
    middle = level[..., None, MIDDLE, None]
    return np.asarray(np.exp(np.clip(log, middle - DOWN, middle + UP)))


def _told(ratio: NDArray[np.floating[Any]]) -> Floats:
    """Ratios as the network is told them: arsinh, held within bounds."""
    return np.asarray(np.clip(np.arcsinh(ratio), -LARGEST, LARGEST), np.float32)


def _straight(now: Running, v: Floats, counted: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The straight line through all that was seen after v (N, 1): its running sums (N, 4) and its slope (N,).

    Sums around running means (Welford 1962), for those around 0 would not leave float32 enough digits.
    """
    time, mean, squares, products = np.split(now["line"], 4, axis=1)
    count, away = now["seen"] + 1, now["age"] - time
    time, mean = time + away / count, mean + (v - mean) / count
    sums = np.concatenate([time, mean, squares + away * (now["age"] - time), products + away * (v - mean)], 1)
    line = np.where(counted, sums, now["line"])
    return line, line[:, 3] / (line[:, 2] + 1)


class _Walk:
    """Goes through the periods once, all series side by side, and moves every smoother on.

    With the logarithm z of what is read, level l, trend b, season s of the period's phase and gains α, β, φ, γ, each
    but φ at least what an average over all that was seen would take, so that series begin without a guess:

        l_t = p + α (z - s - p),   p = l_{t-1} + φ b_{t-1}
        b_t = φ b_{t-1} + β (l_t - l_{t-1} - φ b_{t-1})
        s_t = s_{t-S} + γ (z - m - s_{t-S}),   m the mean of the last S logarithms, half a season on by the trend

    The base's trend is 0.7 Σ (t - t̄) (v - v̄) / (1 + Σ (t - t̄)²) instead, over all v = z - s that were seen.
    A missing value is read as the base's forecast and counted nowhere; of a lower bound, that or what was sold, the
    larger, is read and counted.
    """

    def __init__(self, start: Running, periods: Periods) -> None:
        self.now = dict(start)
        self.periods, self.season, self.longer = periods, periods.frequency.season, periods.frequency.longer
        self.size = periods.size.astype(np.float32)[:, None]

    def step(self, t: int) -> tuple[Floats, ...]:
        """Read period t: what was read, what is told of it, level, trend, season of its phase, unit, periods seen."""
        begun, phase = (self.periods.first <= t)[:, None], (self.periods.phase + t) % self.season
        now = self.now
        known = now["seen"] > 0
        now = now | {
            "level": np.where(known, now["level"], np.log(self.size)),
            "unit": np.where(known, now["unit"], self.size),
        }
        forecasts = self._next(now, t)
        y, counted = self._read(t, begun, forecasts)
        seen, total = now["seen"] + counted, now["total"] + np.where(counted, np.abs(y), 0)
        mean = np.where(total > 0, total / np.maximum(seen, 1), self.size)
        floor = np.maximum(FLOOR * mean, SMALLEST * self.size)
        z = np.log(np.maximum(y, floor))
        kept = now | {"seen": seen, "total": total}
        kept |= self._smoothed(now, z, np.log(floor), counted, phase)
        kept |= self._measured(now, kept, z, counted, phase)
        if self.longer:
            kept |= self._longer(now, kept["recent"].mean(1), z, (self.periods.phase + t) % self.longer)
        error = np.where(counted & known, _told((np.exp(z) - forecasts) / now["unit"]), np.float32(0))
        kept["errors"] = np.where(counted & known, ERRORS * now["errors"] + np.abs(error), now["errors"])
        kept["error_count"] = np.where(counted & known, ERRORS * now["error_count"] + 1, now["error_count"])
        told = self._told(now, kept, error, z, t)
        self.now = {
            name: np.where(begun if each.ndim == 2 else begun[..., None], each, self.now[name]).astype(
                np.float32
            )
            for name, each in kept.items()
        }
        return (
            y[:, 0],
            np.where(begun, told, 0).astype(np.float32),
            kept["level"].astype(np.float32),
            kept["trend"][:, TRENDING].astype(np.float32),
            self.now["season"][:, :, phase],
            kept["unit"][:, 0].astype(np.float32),
            self.now["seen"][:, 0],
            z[:, 0].astype(np.float32),
            _shift(self.now, self.periods.frequency)[:, 0] if self.longer else self.now["seen"][:, 0],
        )

    def _next(self, now: Running, t: int) -> Floats:
        """What is forecast of period t from the one before, (N, J)."""
        number = self.periods.phase + t
        longer = None
        if self.longer:
            longer = _again(now, np.array([number]), self.periods.frequency)
        season = now["season"][:, None, :, number % self.season]
        return _forecasts(now["level"], now["trend"], season, longer)[:, 0]

    def _read(self, t: int, begun: NDArray[np.bool_], forecasts: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """What is read of period t, and whether it counts, (N, 1) each."""
        y, status = self.periods.values[:, t, None], self.periods.status
        if status is None:
            return y, begun
        said, expected = status[:, t, None], forecasts[:, :1]
        y = np.where(said == MISSING, expected, np.where(said == AT_LEAST, np.maximum(y, expected), y))
        return np.where(begun, y, self.periods.values[:, t, None]), begun & (said != MISSING)

    def _smoothed(
        self, now: Running, z: Floats, floor: Floats, counted: NDArray[np.bool_], phase: int
    ) -> dict[str, Floats]:
        """Level, trend and season after z."""
        level, trend, season = now["level"], now["trend"], now["season"][:, :, phase]
        carried = DAMPING * trend
        share = 1 / (now["seen"] + 1)
        moved = level + carried
        new = np.where(counted, moved + np.maximum(LEVEL, share) * (z - season - moved), moved)
        new = np.clip(new, floor - BELOW, floor + ABOVE)
        gain = np.where(TREND > 0, np.maximum(TREND, share / 2), 0)
        rising = np.where(counted & (now["seen"] > 0), carried + gain * (new - level - carried), carried)
        whole = counted & (now["age"] + 1 >= self.season) & (self.season > 1)
        recent = now["recent"].copy()
        recent[:, phase] = z[:, 0]
        away = z - recent.mean(1, keepdims=True) - trend * np.float32((self.season - 1) / 2) - season
        line, slope = _straight(now, z - season[:, STRAIGHT, None], counted)
        rising[:, STRAIGHT] = DRAWN * slope
        share = 1 / (now["seasons"][:, phase, None] + 1)
        seasons, corrected = now["season"].copy(), now["seasons"].copy()
        seasons[:, :, phase] = np.where(whole, season + np.maximum(SEASON, share) * away, season)
        corrected[:, phase] += whole[:, 0]
        return {"level": new, "trend": rising, "season": seasons, "seasons": corrected, "line": line}

    def _measured(
        self, now: Running, kept: Running, z: Floats, counted: NDArray[np.bool_], phase: int
    ) -> dict[str, Floats]:
        """The latest values, the mean change from season to season and the unit after z."""
        there = counted | (now["seen"] > 0)
        recent, past = now["recent"].copy(), np.concatenate([z, now["past"][:, :-1]], 1)
        recent[:, phase] = np.where(there[:, 0], z[:, 0], recent[:, phase])
        change = np.abs(np.exp(z) - np.exp(now["recent"][:, phase, None]))
        compared = counted & (now["age"] >= self.season)
        changes = np.where(compared, CHANGES * now["changes"] + change, now["changes"])
        count = np.where(compared, CHANGES * now["change_count"] + 1, now["change_count"])
        guess = np.exp(kept["level"][:, MIDDLE, None]) * np.maximum(STEADY, 1 / (1 + kept["seen"]))
        return {
            "recent": recent,
            "past": np.where(there, past, now["past"]),
            "age": now["age"] + there,
            "changes": changes,
            "change_count": count,
            "unit": (changes + DOUBT * guess) / (count + DOUBT),
        }

    def _longer(self, now: Running, mean: Floats, z: Floats, phase: int) -> dict[str, Floats]:
        """What the longer season is after z, the mean over a season being `mean` (N,)."""
        longer, means = now["longer"].copy(), now["means"].copy()
        longer[:, phase], means[:, phase] = z[:, 0], mean
        return {"longer": longer, "means": means, "shift": (mean - now["means"][:, phase])[:, None]}

    def _told(self, now: Running, kept: Running, error: Floats, z: Floats, t: int) -> Floats:
        """What the network is told of the period, (N, I)."""
        unit, level, y = kept["unit"], np.exp(kept["level"][:, MIDDLE, None]), np.exp(z)
        base, phase = self._next(kept, t + 1)[:, :1], (self.periods.phase + t) % self.season
        back = [(lag, now["past"][:, lag - 1, None]) for lag in LAGS if lag != self.season]
        back.append((self.season, now["recent"][:, phase, None]))
        return np.concatenate(
            [
                error,
                kept["errors"] / np.maximum(kept["error_count"], 1),
                _told(kept["trend"][:, TRENDING] * level / unit),
                np.clip(np.log(unit / level), -LARGEST, LARGEST),
                np.log1p(kept["seen"]) / 3,
                _told((y - base) / unit),
                *(np.where(now["age"] >= lag, _told((y - np.exp(z0)) / unit), 0) for lag, z0 in back),
            ],
            axis=1,
        )
