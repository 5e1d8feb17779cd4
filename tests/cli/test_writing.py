from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

TEXT = "The old ship went out to sea. The captain saw the storm and was calm. "


@pytest.fixture(scope="module")
def voice(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; tests must not change it."""
    place = tmp_path_factory.mktemp("voice")
    torch.set_num_threads(1)
    (place / "tale.txt").write_text(TEXT * 30)
    answer = run(
        "train",
        "language",
        place / "tale.txt",
        "--size",
        "tiny",
        "--steps",
        40,
        "--out",
        place / "m",
        "--json",
    )
    assert answer.code == 0, answer.err
    document = answer.document
    assert document["steps"] == 40
    assert document["quality"]["bits_per_byte"] > 0
    return place / "m"


def test_it_writes_on_from_a_prompt(run: Any, voice: Path) -> None:
    answer = run("write", "--model", voice, "The old", "--max-tokens", 10, "--seed", 1)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("The old")
    assert answer.out == run("write", "--model", voice, "The old", "--max-tokens", 10, "--seed", 1).out


def test_several_texts_as_json(run: Any, voice: Path) -> None:
    document = run("write", "--model", voice, "The old", "--n", 3, "--seed", 2, "--json").document
    assert len(document["texts"]) == 3
    assert document["seed"] == 2


def test_topics_patterns_and_schemas(run: Any, voice: Path, tmp_path: Path) -> None:
    answer = run("write", "--model", voice, "The old", "--topic", "lamp", "--topic", "tea", "--seed", 1)
    assert "lamp" in answer.out
    assert "tea" in answer.out
    answer = run("write", "--model", voice, "Year: ", "--pattern", "[0-9]{4}", "--seed", 1)
    assert answer.out.removeprefix("Year: ").strip().isdigit()
    (tmp_path / "schema.json").write_text('{"type": "integer", "minimum": 1, "maximum": 9}')
    answer = run("write", "--model", voice, "", "--schema", tmp_path / "schema.json")
    assert 1 <= int(answer.out) <= 9
    assert run("write", "--model", voice, "", "--schema", tmp_path / "none.json").code == 1


def test_kinds_from_a_column_and_from_folders(run: Any, tmp_path: Path) -> None:
    rows = [("blog", "The sea was calm. "), ("product", "A lamp for you. ")] * 12
    table = "body,sort\n" + "".join(f"{text * 3},{kind}\n" for kind, text in rows)
    (tmp_path / "posts.csv").write_text(table)
    for number, (kind, text) in enumerate(rows):
        (tmp_path / "mine" / kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / kind / f"{number}.md").write_text(text * 3)
    few = ["--size", "tiny", "--steps", 2, "--tokenizer", "bytes"]
    for given in ([f"{tmp_path / 'posts.csv'}:body", "--kind", "sort"], [tmp_path / "mine"]):
        answer = run("train", "language", *given, *few, "--out", tmp_path / "m", "--json")
        assert answer.code == 0, answer.err
        assert "Kinds of text: blog, product" in answer.document["notes"]
        assert run("write", "--model", tmp_path / "m", "--kind", "blog", "--max-tokens", 3).code == 0


def test_a_table_in_a_folder_has_its_column_named_apart(run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine" / "blog").mkdir(parents=True)
    (tmp_path / "mine" / "product").mkdir()
    (tmp_path / "mine/blog/a.md").write_text("The sea was calm. " * 40)
    table = tmp_path / "mine/product/items.csv"
    table.write_text("sku,description\n" + "1,A lamp for you. A lamp for you.\n" * 20)
    few = ["--size", "tiny", "--steps", 2, "--tokenizer", "bytes", "--out", tmp_path / "m"]
    refused = run("train", "language", tmp_path / "mine", *few)
    assert refused.code == 1
    assert f"{table}:NAME" in refused.err
    for named in (f"{table}:description", f"{tmp_path / 'mine'}:description"):
        answer = run("train", "language", tmp_path / "mine", named, *few, "--json")
        assert answer.code == 0, answer.out
        assert "Kinds of text: blog, product" in answer.document["notes"]
        assert any(note.startswith("21 texts") for note in answer.document["notes"])


def test_the_writer_that_comes_along_says_what_it_is(run: Any) -> None:
    answer = run("write", "The sea was", "--max-tokens", 5, "--seed", 1)
    assert answer.code == 0
    assert "seldom their sense. This is prose; --kind chat and --kind drama are there, too." in answer.err
    assert "It knows chat, drama, prose" in run("write", "The sea was", "--kind", "poem").err


def test_without_a_model_it_says_what_to_do(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("recurra.cli.writing.SHIPPED", tmp_path / "none")
    answer = run("write", "The old")
    assert answer.code == 2
    assert "recurra train language" in answer.err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.txt", b"", "no text"),
        ("short.txt", b"too short", "too little text"),
        ("picture.txt", bytes(range(256)) * 20, "picture.txt"),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused(
    run: Any, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    answer = run("train", "language", tmp_path / name, "--size", "tiny", "--out", tmp_path / "m")
    assert answer.code == 1
    assert words in answer.err
    assert not (tmp_path / "m").exists()


def test_bad_settings_are_usage_errors(run: Any, voice: Path, tmp_path: Path) -> None:
    answer = run("write", "--model", voice, "a prompt", "--temperature", -1)
    assert answer.code == 2
    assert answer.out == ""
    assert run("write", "--model", voice, "a", "--kind", "poem").code == 2
    assert run("write", "--model", tmp_path / "nothing", "a").code == 1
    answer = run("train", "language", tmp_path / "nothing.txt", "--out", tmp_path / "m")
    assert answer.code in (1, 2)
    assert "nothing.txt" in answer.err
