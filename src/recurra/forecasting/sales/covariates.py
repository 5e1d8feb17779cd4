"""What else is known of the series of a panel: lasting attributes, and numbers that go along with the periods.

Legend: N series, T periods of history, A periods beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["AT_LEAST", "MISSING", "OBSERVED", "Covariates"]

# What a panel's number says of a period (`Panel.status`).
OBSERVED: Final = 0  # so much was wanted
AT_LEAST: Final = 1  # the item ran out: so much was sold, as much or more was wanted
MISSING: Final = 2  # nobody knows


@dataclass(frozen=True)
class Covariates:
    """What goes along with N series; the names and the numbers are as they were read, unscaled.

    Attributes
    ----------
    attributes: lasting ones by name, such as "category": (N,) text, None where it is not known.
    measures: lasting numbers by name, such as "size": (N,) float32, NaN where it is not known.
    past: numbers known up to the last period, by name: (N, T) float32.
    future: numbers known ahead too, by name, such as "price" or "promotion=half price": (N, T + A) float32, A the
        same for all. A column of text becomes one of 0 and 1 for each of its values, named column=value.
    """

    attributes: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    measures: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    past: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    future: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def select(self, index: NDArray[np.int64]) -> Self:
        """The covariates of the series at `index`, in that order."""
        return replace(
            self,
            attributes={name: tuple(each[i] for i in index) for name, each in self.attributes.items()},
            measures={name: each[index] for name, each in self.measures.items()},
            past={name: each[index] for name, each in self.past.items()},
            future={name: each[index] for name, each in self.future.items()},
        )

    def until(self, t: int) -> Self:
        """As they were after `t` periods: what is known ahead stays known."""
        return replace(self, past={name: each[:, :t] for name, each in self.past.items()})
