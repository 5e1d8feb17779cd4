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
    *("%d-%b-%Y", "%d/%b/%Y", "%Y-%m", "%Y/%m", "%Y"),
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
        parsed, chosen = _best(local, file=file, column=column)
    if parsed.null_count():
        bad = distinct.filter(parsed.is_null())[0]
        raise InputError(
            f"this is no date that {_words(chosen)} fits"
            if chosen
            else "this is no date in a format that recurra knows",
            file=file,
            row=int(rows.filter(text == bad).min()),  # type: ignore[arg-type]
            column=column,
            value=bad,
            hint="Correct it, or give --date-format (date_format= in Python)."
            if date_format is None
            else _FORMAT_HELP,
        )
    if date_format is None and not chosen.startswith("%Y-%m-%d"):
        notes.append(f"Dates are read as {_words(chosen)}, such as {distinct[0]}.")
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
    for first, second in _TWINS:
        twin = chosen.replace(first, second) if first in chosen else chosen.replace(second, first)
        both = twin != chosen and twin in parsed and parsed[twin].null_count() == 0
        if both and parsed[chosen].null_count() == 0 and not parsed[twin].equals(parsed[chosen]):
            raise InputError(
                "the dates can be read with the day first and with the month first",
                file=file,
                column=column,
                value=text[0],
                hint=f"Say which with --date-format '{chosen}' or '{twin}' (date_format= in Python).",
            )
    return parsed[chosen], chosen


def _formats() -> Iterator[str]:
    for day in (*_DAYS, *_WORDED):
        for time in _TIMES if "%d" in day else ("",):
            yield day + time


def _parse(text: pl.Series, fmt: str) -> pl.Series:
    if "%d" not in fmt and "%j" not in fmt:
        missing = "-01" if "%m" in fmt or "%b" in fmt or "%B" in fmt else "-01-01"
        text, fmt = text + missing, fmt + ("-%d" if missing == "-01" else "-%m-%d")
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
    names = {"%Y": "year", "%m": "month", "%d": "day", "%b": "month name", "%B": "month name", "%H": "hour"}
    names |= {"%I": "hour", "%M": "minute", "%S": "second", "%p": "AM/PM", "%y": "two-digit year"}
    for code, name in names.items():
        fmt = fmt.replace(code, name)
    return fmt
