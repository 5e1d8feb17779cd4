"""`recurra train tagger` and `recurra tag`, from a CoNLL-U file to tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

FORMS = (("la", "DET"), ("domo", "NOUN"), ("kuras", "VERB")), (("hundo", "NOUN"), ("dormas", "VERB"))


def conllu(sentences: int) -> str:
    lines = []
    for number in range(sentences):
        lines.append(f"# sent_id = {number}")
        for place, (word, tag) in enumerate(FORMS[number % 2], start=1):
            lines.append("\t".join([str(place), word, "_", tag, *"______"]))
        lines.append("")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def trained(run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model folder, and what the verb answered."""
    folder = tmp_path_factory.mktemp("tagging")
    (folder / "train.conllu").write_text(conllu(40), encoding="utf-8")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    answer = run(
        "train", "tagger", folder / "train.conllu", "--out", folder / "model",
        "--hidden-size", 8, "--steps", 40, "--report", folder / "report.html", "--json",
    )  # fmt: skip
    torch.set_num_threads(threads)
    assert answer.code == 0
    return folder, answer.document


def test_training_says_how_good_it_is_and_writes_a_report(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, document = trained
    assert document["files"] == [str(folder / "report.html")]
    assert "<svg" in (folder / "report.html").read_text(encoding="utf-8")
    assert document["held_out"]["accuracy"] == 1.0
    assert document["held_out"]["words"] > 0
    assert document["interrupted"] is False
    assert document["notes"] == ["40 sentences, 100 words."]


def test_a_text_is_tagged(run: Any, trained: tuple[Path, dict[str, Any]]) -> None:
    answer = run("tag", "la domo kuras", "--model", trained[0] / "model", "--json", "--explain")
    assert answer.code == 0
    (sentence,) = answer.document["sentences"]
    assert [(word["word"], word["tag"]) for word in sentence["words"]] == [
        ("la", "DET"),
        ("domo", "NOUN"),
        ("kuras", "VERB"),
    ]
    assert (sentence["words"][1]["start"], sentence["words"][1]["stop"]) == (3, 7)
    assert sentence["words"][0]["because"][0][0] == "la"
    table = run("tag", "la hundo", "--model", trained[0] / "model")
    assert "NOUN" in table.out


@pytest.mark.parametrize("name", ["out.conllu", "out.tsv", "out.jsonl"])
def test_a_file_is_tagged_into_a_file(run: Any, trained: tuple[Path, dict[str, Any]], name: str) -> None:
    folder = trained[0]
    out = folder / name
    answer = run("tag", "--file", folder / "train.conllu", "--model", folder / "model", "--out", out)
    assert answer.code == 0
    if name != "out.jsonl":
        scored = run("tag", "--file", out, "--model", folder / "model", "--score", "--json")
        assert scored.document["accuracy"] == 1.0
        assert scored.document["words"] == 100
    else:
        first = json.loads(out.read_text(encoding="utf-8").splitlines()[0])
        assert [word["tag"] for word in first["words"]] == ["DET", "NOUN", "VERB"]


def test_what_does_not_fit_is_told(run: Any, trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = trained[0]
    for arguments, code, what in (
        (["tag", "la domo"], 2, "which tagger"),
        (["tag", "la domo", "--model", tmp_path], 1, ""),
        (
            ["tag", "la", "--file", folder / "train.conllu", "--model", folder / "model"],
            2,
            "either a text or",
        ),
        (["tag", "la", "--report", tmp_path / "r.html", "--model", folder / "model"], 2, "Add --score"),
        (["tag", "la", "--score", "--model", folder / "model"], 2, "Add --file"),
        (["tag", "la", "--model", folder / "model", "--out", tmp_path / "out.pdf"], 2, "cannot be written"),
        (["train", "tagger", tmp_path / "no.conllu", "--out", tmp_path / "m"], 1, "no such file"),
        (
            ["train", "tagger", folder / "train.conllu", "--out", tmp_path / "m", "--cell", "x"],
            2,
            "no such cell",
        ),
        (
            ["train", "tagger", folder / "train.conllu", "--out", tmp_path / "m", "--column", "x"],
            2,
            "no such column",
        ),
        (
            ["train", "tagger", folder / "train.conllu", "--out", tmp_path / "m", "--column", "lemma"],
            1,
            "row 2",
        ),
    ):
        answer = run(*arguments, "--json")
        assert answer.code == code, answer.out
        assert what in answer.document["error"]["message"]
    assert not (tmp_path / "m").exists()
