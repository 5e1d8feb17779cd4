"""Dates as text: one format for a whole column, found or given."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from recurra.errors import InputError, UsageError

__all__ = ["parse_dates"]

# ISO first; a format that lacks the month or the day is read with -01 put behind the text.
_DAYS = (
    *(
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y.%m.%d",
        "%Y%m%d",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
    ),
    *("%d-%b-%Y", "%d/%b/%Y", "%Y-%m", "%Y/%m", "%G-W%V", "%Y"),
)
_WORDED = (
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
    "%d. %B %Y",
    "%b %Y",
    "%B %Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_TWINS = (("%d/%m", "%m/%d"), ("%d-%m", "%m-%d"))
EARLIEST, LATEST = 1000, 2999  # years; two-digit years fall outside and must be asked for


def parse_dates(
    text: pl.Series, rows: pl.Series, *, date_format: str | None, file: object, column: str
) -> tuple[pl.Series, list[str]]:
    """Parse a column of text with one format; returns Datetime[us] and what was decided, in sentences.

    Parameters
    ----------
    text: the dates, without nulls. A time zone at the end is left out: the local time of day is kept.
    rows: the row number of each, for errors.
    date_format: a strftime format such as "%d/%m/%Y"; None to find it.

    Raises
    ------
    InputError: a date that the format does not fit (with its row), or dates that can be day first and month
        first.
    UsageError: `date_format` is no format.
    """
    distinct = text.unique(maintain_order=True)
    plain = distinct.str.strip_chars()
    notes: list[str] = []
    quarters = False
    if date_format is not None:
        if "%" not in date_format:
            raise UsageError(
                "--date-format has no %, so it is no date format", value=date_format, hint=_FORMAT_HELP
            )
        parsed = _parse(plain, date_format)
        chosen = date_format
    else:
        plain = plain.str.replace(r"(\d)[Tt](\d)", "$1 $2").str.replace(r"(:\d\d)[.,]\d+", "$1")
        local = plain.str.replace(r"(:\d\d)\s*(?:Z|z|UTC|[+-]\d\d:?\d\d)$", "$1")
        if not local.equals(plain):
            notes.append(f"The time zone in {column} was left out; times of day are kept as written.")
        plain = _months_of_quarters(local)
        quarters = not plain.equals(local)
        parsed, chosen = _best(plain, file=file, column=column)
    if parsed.null_count():
        bad = distinct.filter(parsed.is_null())[0]
        known = f"that {_words(chosen)} fits" if chosen else "in a format that recurra knows"
        what = f"this is no date {known}"
        for twin in _twins(chosen):
            of_twin = _parse(plain, twin)
            if of_twin.filter(parsed.is_null())[0] is not None:
                what = f"the dates mix orders: this one fits {_words(twin)} alone"
                surely = distinct.filter(parsed.is_not_null() & of_twin.is_null())
                what += f", and {surely[0]!r} fits {_words(chosen)}" if len(surely) else ""
        raise InputError(
            what,
            file=file,
            row=int(rows.filter(text == bad).min()),  # type: ignore[arg-type]
            column=column,
            value=bad,
            hint="Correct it, or give --date-format (date_format= in Python)."
            if date_format is None
            else _FORMAT_HELP,
        )
    if date_format is None and not chosen.startswith("%Y-%m-%d"):
        how = "quarters, dated by their first months" if quarters else _words(chosen)
        notes.append(f"Dates are read as {how}, such as {distinct[0]}.")
    table = pl.DataFrame({"text": distinct, "parsed": parsed})
    joined = pl.DataFrame({"text": text}).join(table, on="text", how="left", maintain_order="left")
    return joined["parsed"], notes


_FORMAT_HELP = "A format looks like %d/%m/%Y or '%Y-%m-%d %H:%M' (day %d, month %m, year %Y or %y)."


def _best(text: pl.Series, *, file: object, column: str) -> tuple[pl.Series, str]:
    """Parse `text` with the format that fits most of it; return that format too, "" if none fits any."""
    sample = text.head(200)
    scores = {fmt: len(sample) - _parse(sample, fmt).null_count() for fmt in _formats()}
    most = max(scores.values())
    if most == 0:
        return _parse(text, "%Y-%m-%d"), ""
    close = [fmt for fmt, score in scores.items() if score > 0 and score >= most - len(sample) // 2]
    parsed = {fmt: _parse(text, fmt) for fmt in close}
    chosen = min(close, key=lambda fmt: parsed[fmt].null_count())
    for twin in _twins(chosen):
        both = twin in parsed and parsed[twin].null_count() == 0
        if both and parsed[chosen].null_count() == 0 and not parsed[twin].equals(parsed[chosen]):
            raise InputError(
                "the dates can be read with the day first and with the month first",
                file=file,
                column=column,
                value=text[0],
                hint=f"Say which with --date-format '{chosen}' or '{twin}' (date_format= in Python).",
            )
    return parsed[chosen], chosen


def _twins(fmt: str) -> Iterator[str]:
    """The format with the day and the month changed over, if recurra tells the two apart."""
    for first, second in _TWINS:
        twin = fmt.replace(first, second) if first in fmt else fmt.replace(second, first)
        if twin != fmt:
            yield twin


def _months_of_quarters(text: pl.Series) -> pl.Series:
    """Write a column of quarters (2012-Q3, 2012Q3, Q3 2012) as their first months; others as they are."""
    parts = text.str.extract_groups(
        r"^(?:(\d{4})[-/ ]?[Qq]([1-4])|[Qq]([1-4])[-/ ]?(\d{4}))$"
    ).struct.unnest()
    year, quarter = (pl.coalesce(f"_{a}", f"_{b}") for a, b in ((1, 4), (2, 3)))
    month = (quarter.cast(pl.Int64) * 3 - 2).cast(pl.String).str.zfill(2)
    months = parts.rename({name: f"_{name}" for name in parts.columns}).select(month=year + "-" + month)[
        "month"
    ]
    return text if months.null_count() else months


def _formats() -> Iterator[str]:
    for day in (*_DAYS, *_WORDED):
        for time in _TIMES if "%d" in day else ("",):
            yield day + time


def _parse(text: pl.Series, fmt: str) -> pl.Series:
    if "%d" not in fmt and "%j" not in fmt:
        for code, value, more in (
            ("%V", "-1", "-%u"),
            ("%m", "-01", "-%d"),
            ("%b", "-01", "-%d"),
            ("%B", "-01", "-%d"),
        ):
            if code in fmt:
                text, fmt = text + value, fmt + more
                break
        else:
            text, fmt = text + "-01-01", fmt + "-%m-%d"
    if fmt.startswith("%Y%m%d"):  # else 2009111 would pass
        text = text.str.extract(r"^(\d{8}(?:\D.*)?)$")
    try:
        parsed = text.str.strptime(pl.Datetime("us"), fmt, strict=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise UsageError("this is no date format", value=fmt, hint=_FORMAT_HELP) from error
    frame = pl.DataFrame({"parsed": parsed})
    sensible = pl.col("parsed").dt.year().is_between(EARLIEST, LATEST)
    return frame.select(pl.when(sensible).then("parsed"))["parsed"]


def _words(fmt: str) -> str:
    names = {
        "%Y": "year",
        "%m": "month",
        "%d": "day",
        "%b": "month name",
        "%B": "month name",
        "%H": "hour",
        "%G": "year",
        "%V": "week",
    }
    names |= {"%I": "hour", "%M": "minute", "%S": "second", "%p": "AM/PM", "%y": "two-digit year"}
    for code, name in names.items():
        fmt = fmt.replace(code, name)
    return fmt
