"""The page on how good a tagger is: what is on it, also where there is nothing to tell or something hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from esperanto import names, sentences

from recurra.errors import InputError
from recurra.language.tagging import Tagger
from recurra.language.tagging.report import write_report


def test_a_report_shows_errors_in_their_sentence(tagger: Tagger, tmp_path: Path) -> None:
    tokens, tags = sentences(30, seed=6)
    tokens.append(["la", "<b>domo", "kuras", "."])
    tags.append(["DET", "X&Y", "VERB", "PUNCT"])
    scores = write_report(tmp_path / "report.html", tagger, tokens, tags)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert scores == tagger.evaluate(tokens, tags)
    assert page.count("<svg") == 2
    assert "la <strong>&lt;b&gt;domo</strong> kuras ." in page
    assert "<b>domo" not in page
    assert "X&amp;Y" in page
    assert "F1 of spans" not in page


def test_a_report_without_errors_says_so(namer: Tagger, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", namer, *names(20, seed=4))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was taken for anything else." in page
    assert "There are none." in page
    assert "F1 of spans" in page


def test_what_does_not_fit_leaves_no_file(tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 words and 1 tags"):
        write_report(tmp_path / "report.html", tagger, [["la", "domo"]], [["DET"]])
    with pytest.raises(InputError, match="folder to write to"):
        write_report(tmp_path / "none" / "report.html", tagger, [["la"]], [["DET"]])
    assert list(tmp_path.iterdir()) == []
