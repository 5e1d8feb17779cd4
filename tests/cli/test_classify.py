"""`recurra train classifier` and `recurra classify`."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recurra import ops

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

QUICK = ("--members", 1, "--epochs", 1)
GOOD, BAD = ("good", "great", "lovely", "superb"), ("bad", "dull", "awful", "boring")


def table() -> str:
    rows = ["id,body,stars"]
    for number in range(48):
        word = (GOOD, BAD)[number % 2][number // 2 % 4]
        rows.append(f'{number},"The {word} film, number {number}",{(5, 1)[number % 2]}')
    return "\n".join([*rows, "48,,5", "49,some text,", ""])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `reviews.csv` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(table())
    return tmp_path


@pytest.fixture(scope="module")
def model(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model; tests must not change it."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "reviews.csv").write_text(table())
    answer = run(
        "train", "classifier", folder / "reviews.csv", "--label", "stars", "--out", folder / "m", *QUICK
    )
    assert answer.code == 0, answer.err
    return folder / "m"


def test_training_tells_what_it_did(run: Any, place: Path) -> None:
    answer = run(
        "train",
        "classifier",
        "reviews.csv",
        "--text",
        "body",
        "--label",
        "stars",
        "--out",
        "m",
        *QUICK,
        "--report",
        "r.html",
    )
    assert answer.code == 0, answer.err
    assert "On the texts held out" in answer.out
    assert "1 row without a text left out." in answer.err
    assert "1 row without a label left out." in answer.err
    assert "Texts are in 'body', labels in 'stars': 48 rows." in answer.err
    assert {path.name for path in (place / "m").iterdir()} == {
        "README.md",
        "config.json",
        "weights.safetensors",
        "0.0.ahead.packed",
        "0.0.back.packed",
    }
    page = (place / "r.html").read_text()
    assert page.count("<svg") == 2
    assert "http" not in page.partition("</style>")[2]


def test_the_document_of_a_training(run: Any, place: Path) -> None:
    answer = run("train", "classifier", "reviews.csv", "--label", "stars", *QUICK, "--balanced", "--json")
    assert answer.err == ""
    assert answer.document["model"] == "reviews-classifier"  # where no --out names another
    assert (place / "reviews-classifier/config.json").exists()
    assert answer.document.keys() == {"notes", "model", "steps", "seconds", "held_out", "interrupted"}
    assert answer.document["held_out"]["texts"] == 4


def test_texts_as_arguments(run: Any, model: Path) -> None:
    answer = run("classify", "what a great film", "dull, so dull", "--model", model)
    assert answer.code == 0, answer.err
    assert answer.err == ""
    rows = [line for line in answer.out.splitlines() if line.startswith("│")]
    assert ["great" in rows[0], "5" in rows[0], "1" in rows[1]] == [True] * 3


def test_json_and_reasons(run: Any, model: Path) -> None:
    document = run("classify", "a great film", "--model", model, "--top", 2, "--explain", "--json").document
    answer = document["answers"][0]
    assert answer["label"] == "5"
    assert [each["label"] for each in answer["top"]] == ["5", "1"]
    assert max(answer["explanation"]["words"], key=lambda each: each["weight"])["word"] == "great"
    assert document["evaluation"] is None


def test_a_file_with_labels(run: Any, model: Path, place: Path) -> None:
    answer = run(
        "classify",
        "--file",
        "reviews.csv",
        "--label",
        "stars",
        "--model",
        model,
        "--out",
        "a.csv",
        "--report",
        "r.html",
    )
    assert answer.code == 0, answer.err
    assert "Beside the true labels: 100.0% of 48 right" in answer.out
    rows = list(csv.DictReader((place / "a.csv").read_text().splitlines()))
    assert len(rows) == 48
    assert rows[0].keys() == {"text", "label", "probability", "true_label"}
    assert all(row["label"] == row["true_label"] for row in rows)
    assert "<svg" in (place / "r.html").read_text()


def test_a_table_without_labels(run: Any, model: Path, place: Path) -> None:
    pl.DataFrame({"text": ["a lovely film", None]}).write_parquet(place / "t.parquet")
    document = run("classify", "--file", "t.parquet", "--model", model, "--json").document
    assert [each["label"] for each in document["answers"]] == ["5"]
    assert document["notes"] == ["1 row without a text left out."]


def test_lines_of_standard_input(run: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("great film\n\nawful\n"))
    from recurra.cli import classifying

    assert classifying._lines() == ["great film", "", "awful"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(ValueError, match="standard input is empty"):
        classifying._lines()


def test_labels_that_the_model_does_not_know(run: Any, model: Path, place: Path) -> None:
    (place / "t.csv").write_text("text,label\ngreat film,5\ngreat film,4\n")
    answer = run("classify", "--file", "t.csv", "--label", "label", "--model", model)
    assert "1 text has a label that the model does not know: counted as wrong." in answer.err
    assert "50.0% of 2 right" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (
            ("--file", "reviews.csv", "--text", "nope"),
            1,
            "no such column (found 'nope'). There are: id, body, stars.",
        ),
        (("--file", "reviews.csv", "--label", "nope"), 1, "no such column"),
        (("--file", "missing.csv"), 1, "no such file"),
        (("a text", "--file", "reviews.csv"), 2, "either texts or a --file"),
        (("a text", "--label", "stars"), 2, "columns of a table"),
        (("a text", "--report", "r.html"), 2, "--report needs the true labels"),
        (("--file", "reviews.csv", "--text", "stars", "--label", "stars"), 2, "different columns"),
    ],
)
def test_what_does_not_fit(
    run: Any, model: Path, place: Path, arguments: tuple[str, ...], code: int, match: str
) -> None:
    answer = run("classify", *arguments, "--model", model)
    assert (answer.code, match in answer.err) == (code, True), answer.err


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("text,label\na,x\nb,x\n", "the same label"),
        ("text,label\n,\n", "no row has a text and a label"),
        ("a,b\n1,2\n", "no column is called as one of texts is (found 'a, b'). Name it with --text."),
        ("text,b\n1,2\n", "Name it with --label."),
    ],
)
def test_tables_that_cannot_be_learned_from(run: Any, place: Path, content: str, match: str) -> None:
    (place / "t.csv").write_text(content)
    answer = run("train", "classifier", "t.csv", "--out", "m", *QUICK)
    assert (answer.code, match in answer.err) == (1, True), answer.err
    assert not (place / "m").exists()


def test_without_a_model_it_says_what_to_do(run: Any) -> None:
    answer = run("classify", "a text")
    assert (answer.code, "recurra train classifier FILE" in answer.err) == (2, True)


def test_too_few_texts_to_hold_any_out_are_told(run: Any, place: Path) -> None:
    (place / "few.csv").write_text("text,label\ngood,1\nbad,2\n")
    answer = run("train", "classifier", "few.csv", "--out", "few", *QUICK)
    assert answer.code == 0
    assert "No texts were held out" in answer.err


def test_a_folder_of_something_else_is_kept(run: Any, place: Path) -> None:
    (place / "docs").mkdir()
    (place / "docs/novel.txt").write_text("Once")
    answer = run("train", "classifier", "reviews.csv", "--label", "stars", "--out", "docs", *QUICK)
    assert answer.code == 2
    assert json.dumps("holds something else")[1:-1] in answer.err
