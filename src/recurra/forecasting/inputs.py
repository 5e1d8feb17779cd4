"""What a network is given beside sales: which categories and numbers it knows, and how they are scaled.

Fitted on the panel that a forecaster learns from, kept in its model folder, and used on every panel after that.

Legend: N series, T periods of history, A periods known beyond it, J numbers that go along, C attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import InputError, ModelError
from recurra.forecasting.sales.calendar import Dates, Frequency, calendar_features
from recurra.forecasting.sales.covariates import OBSERVED, Covariates
from recurra.forecasting.sales.data import Panel
from recurra.forecasting.sales.holidays import columns, holiday_features, holiday_names

__all__ = ["Inputs", "Scale", "Who", "typical_size"]

Floats = NDArray[np.float32]
LARGEST_SCORE = 10.0  # scaled numbers are held within: a typing error must not drive the network off
SHRINKAGE = 4.0  # an attribute's effect on the size of series is drawn to none as by so many series
NAMED = 3  # unknown values that a note names


class Scale(NamedTuple):
    """How a number is scaled: minus `mean`, over `deviation`; a flag, 0 or 1, stays what it is."""

    mean: float
    deviation: float
    flag: bool

    @classmethod
    def of(cls, numbers: Floats) -> Scale:
        """The scale of all that is known of a number."""
        known = numbers[np.isfinite(numbers)].astype(np.float64)
        if not len(known) or np.isin(known, (0.0, 1.0)).all():
            return cls(0.0, 1.0, bool(len(known)))
        deviation = float(known.std())
        return cls(float(known.mean()), deviation if deviation > 0 else 1.0, False)

    def apply(self, numbers: Floats) -> Floats:
        """The scaled numbers; 0, the mean, where one is not known."""
        scaled = (numbers.astype(np.float64) - self.mean) / self.deviation
        return np.clip(np.nan_to_num(scaled), -LARGEST_SCORE, LARGEST_SCORE).astype(np.float32)


class Who(NamedTuple):
    """Who N series are: rows of the table of vectors, and scaled lasting numbers."""

    codes: NDArray[np.int64]  # (N, 1 + C)
    lasting: Floats  # (N, number of measures)

    @classmethod
    def joined(cls, parts: Sequence[Who]) -> Who:
        """The series of all parts, one or more."""
        return cls(*(np.concatenate([getattr(part, each) for part in parts]) for each in cls._fields))


@dataclass(frozen=True)
class Inputs:
    """What a forecaster knows of its panel beside names and sales.

    Attributes
    ----------
    view: how sales are seen, a name in `history.VIEWS`.
    marks: whether the network is told that a value is a lower bound, or missing.
    attributes: for each its values, in the order of their numbers from 1 on; 0 is any other.
    measures: the scale of each lasting number.
    past, future: the scale of each number that goes along with the periods.
    holidays: where public holidays are those of, "GB" or "DE-BY"; None: none are known.
    holiday_names: theirs, in the order of their columns.
    typical: the usual size of a series.
    effects: for each attribute the logarithm of how many times larger the series of each value are, in their order.
    """

    view: str = "level"
    marks: bool = True
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measures: Mapping[str, Scale] = field(default_factory=dict)
    past: Mapping[str, Scale] = field(default_factory=dict)
    future: Mapping[str, Scale] = field(default_factory=dict)
    holidays: str | None = None
    holiday_names: tuple[str, ...] = ()
    typical: float = 1.0
    effects: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: Panel, holidays: str | None = None, view: str = "level") -> Inputs:
        """What stands in a panel, seen so, and the holidays of a place; raises as `holiday_names` does."""
        known = panel.covariates
        attributes = {
            name: tuple(sorted({each for each in values if each is not None}))
            for name, values in known.attributes.items()
        }
        typical = typical_size(panel)
        return cls(
            view=view,
            attributes=attributes,
            measures={name: Scale.of(each) for name, each in known.measures.items()},
            past={name: Scale.of(each) for name, each in known.past.items()},
            future={name: Scale.of(each[:, : len(panel.dates)]) for name, each in known.future.items()},
            holidays=holidays,
            holiday_names=() if holidays is None else holiday_names(panel.dates, holidays),
            typical=typical,
            effects=_effects(panel, attributes, typical),
        )

    def calendar(self, dates: Dates, frequency: Frequency) -> Floats:
        """What is known of each of successive periods, (T, F): `calendar_features`, and the holidays."""
        known = calendar_features(dates, frequency)
        if self.holidays is None:
            return known
        days = holiday_features(dates, frequency, self.holidays, self.holiday_names)
        return np.concatenate([known, days], axis=1)

    def calendar_columns(self, frequency: Frequency) -> int:
        """How many columns `calendar` has."""
        known = calendar_features(np.array(["2000-01-01"], dtype="datetime64[s]"), frequency)
        return int(known.shape[1]) + (0 if self.holidays is None else columns(self.holiday_names))

    @property
    def beside(self) -> int:
        """How many columns `columns`, its averages, measures and marks are together."""
        swinging = sum(not scale.flag for scale in (*self.past.values(), *self.future.values()))
        return 2 * self.marks + len(self.past) + len(self.future) + swinging + len(self.measures)

    @property
    def ahead(self) -> int:
        """How many columns of what is known ahead there are."""
        return len(self.future) + sum(not scale.flag for scale in self.future.values())

    def rows(self, items: int) -> int:
        """How many rows the table of vectors has: of `items` series, of each attribute's values, of unknown ones."""
        return items + 1 + sum(len(values) + 1 for values in self.attributes.values())

    def who(self, panel: Panel, numbers: NDArray[np.int64], items: int) -> Who:
        """Who the series of a panel are: number `numbers` (N,) of `items`, 0 for any other, and their attributes.

        Seen by trend and season no series has a number: of histories that short, the network would learn it by heart.
        Raises InputError where the panel lacks an attribute or a measure.
        """
        given = panel.covariates.measures
        lasting = [scale.apply(_of(given, name, "number")) for name, scale in self.measures.items()]
        found, start = [numbers if self.view == "level" else np.zeros_like(numbers)], items + 1
        for name, values in self.attributes.items():
            places = {value: place for place, value in enumerate(values, start=1)}
            here = _of(panel.covariates.attributes, name, "attribute")
            found.append(np.array([start + places.get(each or "", 0) for each in here], dtype=np.int64))
            start += len(values) + 1
        none = np.zeros((len(panel.ids), 0), np.float32)
        return Who(np.stack(found, axis=1), np.stack(lasting, axis=1) if lasting else none)

    def unknown(self, items: int) -> NDArray[np.int64]:
        """The rows of that table for what is not known, (1 + C,)."""
        sizes = [items + 1, *(len(values) + 1 for values in self.attributes.values())]
        return np.cumsum([0, *sizes[:-1]])

    def sizes(self, codes: NDArray[np.int64], items: int) -> Floats:
        """The usual size of series like those with the codes (N, 1 + C), (N,), by their attributes."""
        logarithm = np.full(len(codes), math.log(self.typical))
        for place, (name, start) in enumerate(
            zip(self.attributes, self.unknown(items)[1:], strict=True), start=1
        ):
            logarithm += np.array([0.0, *self.effects[name]])[codes[:, place] - start]
        return np.asarray(np.exp(logarithm), dtype=np.float32)

    def along(self, panel: Panel, which: str) -> Floats:
        """The scaled numbers that go along with the periods, `which` "past" or "future": (N, T or T + A, J).

        A value of a column of text that was not there in training has no column; one that is not there now is 0.
        """
        scales: Mapping[str, Scale] = getattr(self, which)
        given: Mapping[str, Floats] = getattr(panel.covariates, which)
        shape = next((each.shape for each in given.values()), (len(panel.ids), len(panel.dates)))
        found = np.zeros((*shape, len(scales)), np.float32)
        columns = {name.partition("=")[0] for name in given}
        for place, (name, scale) in enumerate(scales.items()):
            if name in given or name.partition("=")[0] not in columns:
                found[..., place] = scale.apply(_of(given, name, "number"))
        return found

    def notes(self, panel: Panel) -> list[str]:
        """What of a panel the network does not know, in sentences."""
        found = []
        for name, values in self.attributes.items():
            new = sorted({each for each in panel.covariates.attributes.get(name, ()) if each} - set(values))
            if new:
                found.append(
                    f"Values of {name} never seen in training: {_some(new)}; forecast as of no known {name}."
                )
        for which in ("past", "future"):
            given: Mapping[str, Floats] = getattr(panel.covariates, which)
            new = sorted(name for name in given if name not in getattr(self, which))
            if new:
                found.append(f"Columns that training did not have: {_some(new)}; not used.")
        return found

    def drawn(self, series: int, periods: int, ahead: int, generator: np.random.Generator) -> Covariates:
        """Covariates as they might be, of a panel of `series` × `periods`, known for `ahead` periods."""

        def along(scales: Mapping[str, Scale], length: int) -> dict[str, Floats]:
            found = {}
            for name, (mean, deviation, flag) in scales.items():
                z = generator.standard_normal((series, length))
                found[name] = np.asarray(z > 1 if flag else mean + deviation * z, np.float32)
            return found

        return Covariates(
            attributes={
                name: tuple(generator.choice(np.array([None, *values], dtype=object), series))
                for name, values in self.attributes.items()
            },
            measures={name: each[:, 0] for name, each in along(self.measures, 1).items()},
            past=along(self.past, periods),
            future=along(self.future, ahead),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the model folder."""
        return {
            "view": self.view,
            "marks": self.marks,
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "effects": {name: list(values) for name, values in self.effects.items()},
            "typical": self.typical,
            "holidays": self.holidays,
            "holiday_names": list(self.holiday_names),
            **{
                which: {k: list(v) for k, v in getattr(self, which).items()}
                for which in ("measures", "past", "future")
            },
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Inputs:
        """What `as_dict` told; ModelError where that does not fit together."""
        try:
            scales = {
                which: {
                    str(name): Scale(float(mean), float(deviation), bool(flag))
                    for name, (mean, deviation, flag) in known[which].items()
                }
                for which in ("measures", "past", "future")
            }
            attributes = {str(name): tuple(map(str, values)) for name, values in known["attributes"].items()}
            effects = {str(name): tuple(map(float, values)) for name, values in known["effects"].items()}
            place = known["holidays"]
            found = cls(
                view=known.get("view", "level"),
                marks=bool(known["marks"]),
                attributes=attributes,
                **scales,
                holidays=None if place is None else str(place),
                holiday_names=tuple(map(str, known["holiday_names"])),
                typical=float(known["typical"]),
                effects=effects,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"what the network is given beside sales is not whole: {error}") from error
        numbers = [each for table in scales.values() for scale in table.values() for each in scale[:2]]
        numbers += [each for values in effects.values() for each in values]
        fits = all(
            len(effects[name]) == len(values) for name, values in attributes.items() if name in effects
        )
        if not np.isfinite(numbers).all() or not fits or not effects.keys() <= attributes.keys():
            raise ModelError("the scales of what goes along with sales are no numbers that fit")
        return found


def typical_size(panel: Panel) -> float:
    """The usual size of a series: the median over series of their mean |y|, or 1 where nothing was ever sold."""
    means = _means(panel)
    sold = means[means > 0]
    return float(np.median(sold)) if len(sold) else 1.0


def _means(panel: Panel) -> NDArray[np.float64]:
    """The mean |y| of each series over the periods from its first on in which it was observed."""
    if panel.status is None:
        counts = np.maximum(len(panel.dates) - panel.first, 1)
        return np.asarray(np.abs(panel.values).sum(1, dtype=np.float64) / counts)
    seen = (panel.status == OBSERVED) & (np.arange(len(panel.dates)) >= panel.first[:, None])
    return np.asarray((np.abs(panel.values) * seen).sum(1, dtype=np.float64) / np.maximum(seen.sum(1), 1))


def _effects(
    panel: Panel, attributes: Mapping[str, tuple[str, ...]], typical: float
) -> dict[str, tuple[float, ...]]:
    """How many times larger the series of each value of each attribute are, all attributes beside one another.

    A ridge regression of the logarithm of their mean sizes on the values (Hoerl & Kennard 1970).
    """
    means = _means(panel)
    rows = np.flatnonzero(means > 0)
    columns = [(name, value) for name, values in attributes.items() for value in values]
    if not columns or not len(rows):
        return {name: (0.0,) * len(values) for name, values in attributes.items()}
    places = {column: place for place, column in enumerate(columns)}
    chosen = np.zeros((len(rows), len(columns)))
    for name in attributes:
        here = panel.covariates.attributes[name]
        for row, n in enumerate(rows):
            if (value := here[n]) is not None:
                chosen[row, places[name, value]] = 1
    target = np.log(means[rows] / typical)
    known = chosen.T @ chosen + SHRINKAGE * np.eye(len(columns))
    effects = dict(zip(columns, np.linalg.solve(known, chosen.T @ target).tolist(), strict=True))
    return {name: tuple(effects[name, value] for value in values) for name, values in attributes.items()}


def _of(given: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in given:
        raise InputError(
            f"the data lack the {what} that the model was trained with",
            column=name.partition("=")[0],
            hint="Give it, or train a model without it.",
        )
    return given[name]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
