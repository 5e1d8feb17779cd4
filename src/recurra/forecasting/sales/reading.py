"""How a table of sales is read, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from recurra.errors import UsageError

__all__ = ["TEXT", "Cancellations", "Gaps", "Negative", "Place", "Reading"]

Negative: TypeAlias = Literal["returns", "keep"]
Cancellations: TypeAlias = Literal["pair", "keep"]
Gaps: TypeAlias = Literal["zero", "missing"]

TEXT = ":text"  # behind a column's name: its numbers are names, as those of shops are


@dataclass(frozen=True)
class Reading:
    """How a table of sales is read. What is None is found, and said.

    Attributes
    ----------
    columns: role -> column name where the names do not tell (`find_columns`).
    frequency: hourly, daily, weekly, monthly, quarterly, yearly.
    date_format: strftime format of dates that are text.
    decimal: the decimal mark of quantities that are text, "." or ",".
    unit: a unit or currency sign to take off quantities that are text; None refuses them.
    negative: what a period with a negative sum is: "returns" counts as 0, "keep" stays as it is.
    cancellations: "pair" takes lines of invoices C… out of the sales they cancel, "keep" sums them.
    gaps: what an item's periods without a line are: "zero" sales, or "missing" and filled.
    static: columns that are the same in all lines of an item, such as its category.
    past: columns known up to now, such as visitors.
    future: columns known ahead too, such as price and promotion.
    stock_out: a column that says when the item was out of stock, or how many units were in stock.

    A name in `static`, `past` or `future` that ends with ":text" is a column of names even where they are numbers.

    Raises
    ------
    UsageError: an argument is none of those that it can be, or one column has two of the roles.
    """

    columns: Mapping[str, str] | None = None
    frequency: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    unit: str | None = None
    negative: Negative = "returns"
    cancellations: Cancellations = "pair"
    gaps: Gaps = "zero"
    static: Sequence[str] = ()
    past: Sequence[str] = ()
    future: Sequence[str] = ()
    stock_out: str | None = None

    def __post_init__(self) -> None:
        for argument, allowed in (
            ("negative", ("returns", "keep")),
            ("cancellations", ("pair", "keep")),
            ("gaps", ("zero", "missing")),
        ):
            if (value := getattr(self, argument)) not in allowed:
                raise UsageError(f"{argument} is {allowed[0]!r} or {allowed[1]!r}", value=value)
        roles: dict[str, str] = {}
        for role in ("static", "past", "future"):
            names = getattr(self, role)
            if isinstance(names, str | Mapping) or not isinstance(names, Sequence):
                raise UsageError(f"{role} must be a list of column names", value=names)
            for name in names:
                if not isinstance(name, str) or not name.removesuffix(TEXT).strip():
                    raise UsageError(f"{role} must be a list of column names", value=name)
                plain = name.removesuffix(TEXT)
                if plain in roles:
                    both = f"{roles[plain]} and {role} at once" if roles[plain] != role else f"{role} twice"
                    raise UsageError(f"one column cannot be {both}", column=plain)
                roles[plain] = role
        if not isinstance(self.stock_out, str | None) or self.stock_out == "":
            raise UsageError("stock_out must be the name of a column or None", value=self.stock_out)

    @property
    def beside(self) -> bool:
        """Whether any column is read beside item, date and quantity."""
        return bool(self.static or self.past or self.future or self.stock_out)


@dataclass(frozen=True)
class Place:
    """Where a table comes from, for errors: its file, and how many rows there stand above the data."""

    file: object = None
    header_rows: int = 0
