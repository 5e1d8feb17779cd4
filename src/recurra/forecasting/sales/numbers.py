"""Numbers as text: one decimal mark for a whole column, found or given; units only where they are named."""

from __future__ import annotations

import re

import polars as pl

from recurra.errors import InputError, UsageError

__all__ = ["looks_like_numbers", "parse_numbers"]

_SPACES = " '’\u00a0\u202f"  # between thousands, whatever the decimal mark is
_WORDS = {".": "decimal point", ",": "decimal comma"}
_UNIT = r"\p{Sc}|%|\p{L}[\p{L}.²³]*"
_WITH_UNIT = rf"^(?:[+-]?\s*(?P<before>{_UNIT})\s*[+-]?[\d.,]*\d|[+-]?[\d.,]*\d[.,]?\s*(?P<behind>{_UNIT}))$"


def parse_numbers(
    text: pl.Series,
    rows: pl.Series,
    *,
    decimal: str | None,
    unit: str | None,
    file: object,
    column: str,
    words: tuple[str, str] = ("quantity", "quantities"),
) -> tuple[pl.Series, list[str]]:
    """Parse a column of text as Float64 with one decimal mark; returns it and what was decided, in sentences.

    Thousands may stand apart: by comma where the decimal mark is a point, by point where it is a comma, by a space
    or an apostrophe with either. Infinite numbers and NaN are numbers here.

    Parameters
    ----------
    text: the numbers, without nulls and without blanks around them.
    rows: the row number of each, for errors.
    decimal: "." or ","; None to find it from the whole column.
    unit: a unit or currency sign that is taken off before and behind numbers; None for none.
    words: what one of them is called, and several, in messages.

    Raises
    ------
    InputError: no number (with its row), or numbers that can be read with either mark, as 1.234 can.
    UsageError: `decimal` is no decimal mark, or `unit` holds digits.
    """
    if decimal not in (None, ".", ","):
        raise UsageError("the decimal mark is '.' or ','", value=decimal)
    if unit is not None and (not unit.strip() or re.search(r"[\d+.,-]", unit)):
        raise UsageError("a unit is a word or a sign, such as kg or £", value=unit)
    distinct = text.unique(maintain_order=True)
    plain = distinct.str.replace("−", "-", literal=True)
    if unit is not None:
        either = re.escape(unit.strip())
        plain = plain.str.replace(rf"^([+-]?)\s*{either}\s*", "$1").str.replace(rf"\s*{either}$", "")
    mark = decimal or _mark(plain, distinct, file=file, column=column, words=words[1])
    numbers = _parse(plain, mark)
    if numbers.null_count():
        bad = str(distinct.filter(numbers.is_null())[0])
        first = int(rows.filter(text == bad).min())  # type: ignore[arg-type]
        what, hint = _what_is_wrong(bad, mark, words[0], given=decimal is not None)
        raise InputError(what, file=file, row=first, column=column, value=bad, hint=hint)
    notes = []
    if unit is not None and (count := int((distinct.str.replace("−", "-", literal=True) != plain).sum())):
        notes.append(f"{unit.strip()} was taken off the {words[1]}, in {count:,} different ones.")
    marked = plain.filter(plain.str.contains(rf"[,{_SPACES}]"))
    if decimal is None and len(marked):
        notes.append(
            f"{words[1].capitalize()} are read with a {_WORDS[mark]}, such as {marked[0]}; override with --decimal "
            "(decimal= in Python)."
        )
    table = pl.DataFrame({"text": distinct, "number": numbers})
    joined = pl.DataFrame({"text": text}).join(table, on="text", how="left", maintain_order="left")
    return joined["number"], notes


def looks_like_numbers(text: pl.Series) -> bool:
    """Whether more than half of the different texts are numbers with one of the two marks, `text` without nulls."""
    plain = text.unique().str.replace("−", "-", literal=True)
    numbers = _parse(plain, ".").is_not_null() | _parse(plain, ",").is_not_null()
    return 2 * int(numbers.sum()) > len(plain)


def _mark(plain: pl.Series, shown: pl.Series, *, file: object, column: str, words: str) -> str:
    """The decimal mark with which more of the column are numbers; InputError where both fit and differ."""
    point, comma = _parse(plain, "."), _parse(plain, ",")
    if point.null_count() or comma.null_count() or point.equals(comma):
        return "," if comma.null_count() < point.null_count() else "."
    raise InputError(
        f"the {words} can be read with a decimal point and with a decimal comma",
        file=file,
        column=column,
        value=shown.filter(point != comma)[0],
        hint="Say which with --decimal . or --decimal , (decimal= in Python).",
    )


def _parse(text: pl.Series, mark: str) -> pl.Series:
    """Numbers with this decimal mark as Float64; null where the text is none."""
    between = "," if mark == "." else "."
    thousands = rf"[1-9]\d{{0,2}}(?:(?:{re.escape(between)}\d{{3}})+|(?:[{_SPACES}]\d{{3}})+)"
    number = rf"[+-]?(?:{thousands}|\d+)?(?:{re.escape(mark)}\d*)?(?:[eE][+-]?\d+)?"
    fits = text.str.contains(rf"^(?:{number}|[+-]?(?i:nan|inf|infinity))$")
    digits = text.str.replace_all(f"[{re.escape(between)}{_SPACES}]", "").str.replace(mark, ".", literal=True)
    frame = pl.DataFrame({"fits": fits, "number": digits.cast(pl.Float64, strict=False)})
    return frame.select(pl.when("fits").then("number"))["number"]


def _what_is_wrong(value: str, mark: str, word: str, *, given: bool) -> tuple[str, str]:
    """What keeps `value` from being a number with this decimal mark, and the way out."""
    match = pl.Series([value]).str.extract_groups(_WITH_UNIT).struct.unnest()
    unit = match["before"][0] or match["behind"][0]
    if unit:
        what = f"the {word} is a number with a unit or a currency sign"
        return (
            what,
            f"Write the number alone, or have {unit!r} taken off with --unit {unit!r} (unit= in Python).",
        )
    other = "," if mark == "." else "."
    if _parse(pl.Series([value]), other)[0] is not None:
        why = "as told" if given else "as most of the column are"
        what = f"this is a number with a {_WORDS[other]}, and the column is read with a {_WORDS[mark]}, {why}"
        return (
            what,
            "Write all numbers of the column in one way, or choose with --decimal (decimal= in Python).",
        )
    return f"the {word} is not a number", f"Write numbers with digits and a {_WORDS[mark]}."
