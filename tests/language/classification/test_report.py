"""The report: what a person reads, whatever the texts and labels hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_reviews import reviews, tiny

from recurra.errors import InputError, UsageError
from recurra.language.classification import Evaluation, TextClassifier


def test_a_page_of_the_texts_held_out(fitted: TextClassifier, tmp_path: Path) -> None:
    fitted.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    for title in (
        "Label by label",
        "What is taken for what",
        "Can its probabilities be believed?",
        "The worst errors",
    ):
        assert title in page


def test_errors_are_shown_with_their_reasons_and_escaped(fitted: TextClassifier, tmp_path: Path) -> None:
    texts = ["<script>alert(1)</script> a great film", "dull $x$ & awful", "a lovely " * 300]
    fitted.report(tmp_path / "r.html", fitted.evaluate(texts, ["bad", "ugly", "bad"]))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page.replace("<mark>", "").replace("</mark>", "")
    assert "<mark>great</mark>" in page
    assert "unknown to the model" in page
    assert "a lovely a lovely" in page
    assert "lovely a " * 200 not in page


def test_many_labels_with_odd_names(fitted: TextClassifier, tmp_path: Path) -> None:
    labels = tuple(sorted(f"label <{number}> $_^{{}} {'x' * (number % 60)}" for number in range(90)))
    p = np.random.default_rng(0).dirichlet(np.ones(90), 400)
    truth = np.random.default_rng(1).integers(90, size=400)
    many = Evaluation(labels, ("",) * 400, truth, p)
    fitted_like = tiny(members=1).fit(*reviews(20))
    fitted_like.explain = lambda text, label: fitted.explain("great")  # type: ignore[method-assign]
    fitted_like.report(tmp_path / "many.html", many)
    few = Evaluation(labels[:30], ("",) * 400, truth % 30, p[:, :30] / p[:, :30].sum(1, keepdims=True))
    fitted_like.report(tmp_path / "few.html", few)
    assert (tmp_path / "many.html").read_text(encoding="utf-8").count("<svg") == 1
    assert (tmp_path / "few.html").read_text(encoding="utf-8").count("<svg") == 2


def test_without_figures_there_is_no_report(tmp_path: Path) -> None:
    model = tiny(members=1, held_out=0.0).fit(*reviews(20))
    assert model.held_out_ is None
    with pytest.raises(UsageError, match="whose labels are known"):
        model.report(tmp_path / "r.html")
    with pytest.raises(InputError, match="does not exist"):
        model.report(tmp_path / "nowhere/r.html", model.evaluate(["great"], ["good"]))
