from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import InputError
from recurra.reporting import page
from recurra.reporting.page import Fact, Html, Section

VOID = {"meta", "br", "link", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page as a browser would: its text, its tags, and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def whole(name: str) -> str:
    body = page.join(
        [
            page.paragraph("About", name),
            page.table(["Item", name], [[name, 1], ["b", name]], mark=0),
            page.notes([name]),
            page.pairs([(name, name)]),
            page.details(name, page.paragraph(name)),
            page.figure(Html("<svg></svg>"), alt=name, caption=name),
        ]
    )
    lead = page.facts([Fact(name, name, name)])
    return page.page(name, name, lead, [Section(name, "first", body)], footer=name)


@given(st.text(min_size=1, max_size=60))
def test_no_text_can_become_markup(name: str) -> None:
    plain, odd = Reader(whole("plain")), Reader(whole(name))
    assert odd.tags == plain.tags
    assert odd.open == []
    assert [key for key, _ in odd.attributes] == [key for key, _ in plain.attributes]


def test_a_hostile_name_is_shown_as_it_is_written() -> None:
    name = "<script>alert(1)</script>\" onload='x' &amp;"
    text = whole(name)
    assert "<script" not in text
    assert name in Reader(text).words
    assert ("aria-label", name) in Reader(text).attributes


def test_unprintable_characters_and_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    page.write_page(tmp_path / "page.html", whole("a\x00b\ud800c\x1b[31m"))
    assert "a\ufffdb\ufffdc\ufffd[31m" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_asks_for_nothing_from_outside() -> None:
    text = whole("x")
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
    tags = Reader(text).tags
    assert not {"script", "link", "iframe", "img"} & set(tags)


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        page.write_page(path, "new " * 10_000 + "\ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder to write to does not exist"):
        page.write_page(tmp_path / "none" / "page.html", "text")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567.8, "1,234,568"),
        (-12, "−12"),
        (12.34, "12.3"),
        (0.125, "0.12"),
        (3.0, "3"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_numbers_are_written_for_reading(value: float, text: str) -> None:
    assert page.number(value) == text


def test_numbers_for_prose_have_three_digits() -> None:
    assert [page.about(x) for x in (59_313, 1_234_567, 99.96, 4.567, 0, math.nan)] == [
        "59,300",
        "1,230,000",
        "100",
        "4.57",
        "0",
        "–",
    ]


def test_percentages_do_not_round_a_doubt_away() -> None:
    shares = (0, 0.001, 0.5, 0.996, 1, math.nan)
    assert [page.percent(share) for share in shares] == ["0%", "< 1%", "50%", "> 99%", "100%", "–"]
    assert page.percent(-0.073, signed=True) == "−7%"
    assert page.percent(0.2, signed=True) == "+20%"
