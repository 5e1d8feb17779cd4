"""One self-contained HTML page: no network, no scripts; everything that is text is escaped.

Blocks are `Html`, a string that is already markup; anything else that enters a page is escaped by `html`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from recurra.sources.files import atomic_write

__all__ = [
    "Fact",
    "Html",
    "Section",
    "about",
    "details",
    "element",
    "facts",
    "figure",
    "grid",
    "html",
    "join",
    "notes",
    "number",
    "page",
    "pairs",
    "paragraph",
    "percent",
    "table",
    "write_page",
]

# Characters no HTML page may hold: controls, lone surrogates, non-characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is already markup and goes into a page as it is."""

    __slots__ = ()


class Fact(NamedTuple):
    """A headline number: what it is, the number, and one line on how to read it."""

    label: str
    value: str
    note: str = ""


class Section(NamedTuple):
    """A part of a page under its own heading; `anchor` is its name in links."""

    title: str
    anchor: str
    body: Html


def html(value: object) -> Html:
    """Return `value` as markup: escaped unless it is `Html`; unprintable characters become U+FFFD."""
    if isinstance(value, Html):
        return value
    return Html(escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True))


def join(blocks: Iterable[object], between: str = "\n") -> Html:
    """Put blocks one after the other, with the text `between` them."""
    return Html(html(between).join(html(block) for block in blocks))


def element(tag: str, content: object = "", **attributes: str) -> Html:
    """Return one element; `aria_label=` is written for aria-label, `class_=` for class."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html(value)}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{written}>{html(content)}</{tag}>")


def paragraph(*parts: object) -> Html:
    """Return a paragraph of the parts, joined by spaces."""
    return element("p", join(parts, " "))


def notes(lines: Iterable[object]) -> Html:
    """Return a list, one point a line."""
    return element("ul", join(element("li", line) for line in lines))


def facts(items: Iterable[Fact]) -> Html:
    """Return headline numbers as tiles."""
    tiles = (
        element(
            "div",
            join(
                [
                    element("div", item.label, class_="label"),
                    element("div", item.value, class_="value"),
                    element("div", item.note, class_="note"),
                ]
            ),
            class_="tile",
        )
        for item in items
    )
    return element("div", join(tiles), class_="tiles")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, mark: int | None = None) -> Html:
    """Return a table: the first column is text, the others align right; row number `mark` stands out."""
    head = element("tr", join(element("th", column, scope="col") for column in columns))
    body = []
    for index, row in enumerate(rows):
        cells = join(
            element("th", cell, scope="row") if place == 0 else element("td", cell)
            for place, cell in enumerate(row)
        )
        body.append(element("tr", cells, class_="mark") if index == mark else element("tr", cells))
    inner = join([element("thead", head), element("tbody", join(body))])
    return element("div", element("table", inner), class_="scroll")


def pairs(items: Iterable[tuple[object, object]]) -> Html:
    """Return names and what they stand for, one pair a line."""
    return element("dl", join(join([element("dt", name), element("dd", value)]) for name, value in items))


def details(summary: object, content: object) -> Html:
    """Return a block that opens when its summary is clicked (no script needed) and prints open."""
    return element("details", join([element("summary", summary), html(content)]))


def figure(svg: Html, alt: str, caption: object = "", *, wide: bool = False) -> Html:
    """Return a picture with what it shows in words: `alt` for those who cannot see it, `caption` below it."""
    picture = element("div", svg, role="img", aria_label=alt, class_="picture")
    parts = [picture, element("figcaption", caption)] if caption else [picture]
    return element("figure", join(parts), class_="wide" if wide else "narrow")


def grid(blocks: Iterable[object], class_: str = "grid") -> Html:
    """Return blocks side by side, one below the other on a narrow screen."""
    return element("div", join(blocks), class_=class_)


def number(value: float, *, signed: bool = False) -> str:
    """Write a number for reading: thousands apart, only decimals that matter; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    decimals = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2
    return f"{value:{'+' if signed else ''},.{decimals}f}".replace("-", "−")


def about(value: float) -> str:
    """Write a number to three significant digits, for prose: 59,313 is 59,300."""
    if not math.isfinite(value) or value == 0:
        return number(value)
    return number(round(value, 2 - math.floor(math.log10(abs(value)))))


def percent(share: float, *, signed: bool = False) -> str:
    """Write a share as a percentage; tiny and almost-certain ones are not rounded to 0% or 100%."""
    if not math.isfinite(share):
        return "–"
    if not signed and 0 < share < 0.005:
        return "< 1%"
    if not signed and 0.995 <= share < 1:
        return "> 99%"
    return f"{100 * share:{'+' if signed else ''}.0f}%".replace("-", "−")


def page(title: str, subtitle: str, lead: Html, sections: Sequence[Section], *, footer: str = "") -> str:
    """Return the whole page: title, `lead`, links to the sections, the sections, `footer`."""
    links = join(element("a", section.title, href=f"#{section.anchor}") for section in sections)
    bodies = join(
        element("section", join([element("h2", section.title), section.body]), id=section.anchor)
        for section in sections
    )
    main = join(
        [
            element("header", join([element("h1", title), element("p", subtitle, class_="subtitle")])),
            lead,
            element("nav", links),
            bodies,
            element("footer", footer),
        ]
    )
    style = resources.files("recurra.reporting").joinpath("page.css").read_text(encoding="utf-8")
    # The policy keeps the promise even if some text slipped through: no scripts, no network.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{main}\n</main>\n"
        "</body>\n</html>\n"
    )


def write_page(path: str | os.PathLike[str], text: str) -> None:
    """Write a page, whole or not at all. Raises InputError where `path` cannot be written."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
