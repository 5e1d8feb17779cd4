"""Which column of a table is what: item, date, quantity, invoice, customer, found by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recurra.errors import InputError, UsageError

__all__ = ["Columns", "date_column_of", "find_columns", "item_column", "like", "named_column"]

# For each role, groups of names, the surest first: a group counts only if none before it matched.
_NAMES: dict[str, tuple[str, ...]] = {
    "unique_id": (
        "uniqueid",
        "item itemid itemcode itemno itemnumber sku skuid skucode stockcode stockid productid productcode "
        "productno articleid articlecode articleno articlenumber asin ean gtin upc barcode materialno "
        "storeitem seriesid tsid variantid variantsku partnumber partno",
        "product article material series variant part itemname productname articlename",
        "id name description key",
    ),
    "ds": (
        "ds",
        "date invoicedate orderdate saledate salesdate transactiondate datetime timestamp postingdate "
        "purchasedate documentdate deliverydate",
        "day week month quarter year period time createdat createdatutc orderedat weekstart monthstart",
    ),
    "y": (
        "y",
        "quantity qty orderedquantity quantityordered quantitysold qtysold soldquantity unitssold unitsales "
        "units demand itemcntday itemcount salesqty salesquantity orderqty netquantity pieces pcs",
        "sales sold volume value amount count target sale total revenue turnover",
    ),
    "invoice": (
        "invoice invoiceno invoicenumber invoiceid",
        "order orderid orderno ordernumber documentno transactionid receiptno",
    ),
    "customer": ("customerid customer customerno customernumber custid clientid buyerid accountno client",),
}
_OPTIONS = {"unique_id": "--item", "ds": "--date", "y": "--quantity"}
_WORDS = {
    "unique_id": "item",
    "ds": "date",
    "y": "quantity",
    "invoice": "invoice number",
    "customer": "customer",
}
_ALIASES = {"item": "unique_id", "date": "ds", "quantity": "y"}


@dataclass(frozen=True)
class Columns:
    """The names that the five roles have in a table; None where the table has no such column."""

    unique_id: str | None
    ds: str
    y: str
    invoice: str | None = None
    customer: str | None = None

    @property
    def sentence(self) -> str:
        """The guess, and how to override it, in one sentence."""
        item = f"{self.unique_id} as item" if self.unique_id else 'everything as one item called "all"'
        return (
            f"Reading {item}, {self.ds} as date, {self.y} as quantity; "
            "override with --item, --date, --quantity (in Python: columns={'ds': '…'})."
        )


def find_columns(
    names: Sequence[str],
    overrides: Mapping[str, str] | None = None,
    *,
    file: object = None,
    beside: Sequence[str] = (),
) -> Columns:
    """Say which of the columns `names` hold item, date and quantity, and invoice and customer if any do.

    Case, spaces and punctuation in names do not count. A table without an item column is one series; in one of two
    columns the one that is not the date is the quantity, whatever its name.

    Parameters
    ----------
    overrides: role -> column name; roles are unique_id (or item), ds (or date), y (or quantity), invoice,
        customer.
    file: named in errors.
    beside: columns that have another meaning, and are not guessed to have one of these.

    Raises
    ------
    InputError: no column or several for date or quantity, several for item, or a column that is not there.
    UsageError: an unknown role, or one column given two roles.
    """
    chosen: dict[str, str | None] = {}
    for role, name in (overrides or {}).items():
        known = _ALIASES.get(role, role)
        if known not in _NAMES:
            roles = ", ".join(_NAMES)
            raise UsageError("columns= knows no such role", value=role, hint=f"The roles are {roles}.")
        chosen[known] = named_column(names, name, f"the {_WORDS[known]}", file=file)
    others = [name for name in names if name not in beside]
    for role in _NAMES:
        if role not in chosen:
            free = [name for name in others if name not in chosen.values()]
            chosen[role] = _guess(role, free, others, file)
    taken = [name for name in chosen.values() if name is not None]
    for name in taken:
        if taken.count(name) > 1:
            roles = " and ".join(_WORDS[role] for role, other in chosen.items() if other == name)
            raise UsageError(f"one column cannot be {roles} at once", file=file, column=name)
    date, quantity = chosen["ds"], chosen["y"]
    assert date is not None and quantity is not None  # noqa: PT018 - _guess raises otherwise
    return Columns(chosen["unique_id"], date, quantity, chosen["invoice"], chosen["customer"])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def item_column(names: Sequence[str], *, file: object = None) -> str | None:
    """Which of the columns `names` holds the item, None if none does; InputError where several might."""
    return _guess("unique_id", list(names), names, file)


def date_column_of(names: Sequence[str], *, file: object = None) -> str:
    """Which of the columns `names` holds the date; InputError where none or several might."""
    found = _guess("ds", list(names), names, file)
    assert found is not None  # _guess raises otherwise
    return found


def like(names: Sequence[str], wanted: str) -> str | None:
    """The one of the columns `names` that is called `wanted`, whatever its case and spaces; None if none is."""
    if wanted in names:
        return wanted
    alike = [name for name in names if _plain(name) == _plain(wanted)]
    return alike[0] if len(alike) == 1 else None


def named_column(names: Sequence[str], wanted: str, what: str, *, file: object = None) -> str:
    """The column that is `like` its name `wanted`; InputError where there is none for `what`."""
    if (found := like(names, wanted)) is not None:
        return found
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InputError(f"no such column for {what}", file=file, column=wanted, hint=f"{hint}{_seen(names)}")


def _guess(role: str, free: Sequence[str], names: Sequence[str], file: object) -> str | None:
    for group in _NAMES[role]:
        matches = [name for name in free if _plain(name) in group.split()]
        if len(matches) == 1:
            return matches[0]
        if len(matches) > 1 and role in _OPTIONS:
            raise InputError(
                f"several columns could be the {_WORDS[role]}: {', '.join(matches)}",
                file=file,
                hint=f"Say which with {_way(role, matches[0])}.",
            )
        if matches:
            return None
    if role == "y" and len(free) == 1 and len(names) == 2:
        return free[0]  # a date and one column more: what else could it be
    if role in ("ds", "y"):
        raise InputError(
            f"no column looks like the {_WORDS[role]}",
            file=file,
            hint=f"{_seen(names)} Say which with {_way(role)}.",
        )
    return None


def _way(role: str, example: str = "…") -> str:
    return f"{_OPTIONS[role]} {example!r} (in Python: columns={{{role!r}: {example!r}}})".replace(
        "'…'", "NAME"
    )


def _seen(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"The columns are {shown}."
