"""What typing costs is counted as the benchmark says, and a tiny run of the keyboard's recipe ends in a folder."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "language"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import keyboard

    yield keyboard
    sys.path.remove(str(FOLDER))
    del sys.modules["keyboard"], sys.modules["keyboard_texts"]


@pytest.mark.parametrize(
    ("text", "shown", "strokes"),
    [
        ("to be", [], 5),
        ("to be", ["to"], 1 + 2),  # the space is free
        ("to be", ["be"], 3 + 1),
        ("to, be", ["to"], 1 + 1 + 2),  # the mark goes before the space that is free
        ("to-be", ["to"], 1 + 1 + 2),
        ("3 to", ["to"], 2 + 1),
        ("To", ["to"], 2),  # a capital is a letter
    ],
)
def test_keystrokes_are_counted(benchmark: ModuleType, text: str, shown: list[str], strokes: int) -> None:
    tally = benchmark.Tally()
    benchmark.type_text(lambda context, prefix: shown, text, tally)
    assert (tally.characters, tally.strokes) == (len(text), strokes)


def test_a_suggestion_counts_from_when_it_is_shown(benchmark: ModuleType) -> None:
    tally = benchmark.Tally()
    benchmark.type_text(lambda context, prefix: ["tomorrow"] if prefix == "to" else [], "tomorrow", tally)
    assert (tally.strokes, tally.first, tally.words) == (3, 0, 1)


@pytest.mark.slow
def test_a_tiny_run_of_the_recipe(tmp_path: Path) -> None:
    turns = [{"text": "see you tomorrow at the station"}, {"text": "yes, see you there my friend"}]
    rows = {"dialogue/chitchat.jsonl.xz": {"turns": turns * 3}}
    rows["text/books.jsonl.xz"] = {"text": "# A book\n\n" + "It was the best of times, it was not. " * 40}
    for name, row in rows.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(lzma.compress("\n".join([json.dumps(row)] * 40).encode()))
    (tmp_path / "pairs").mkdir()
    for pair in ("en-de", "en-fr"):
        (tmp_path / f"pairs/tatoeba.{pair}.tsv.xz").write_bytes(lzma.compress(b"Hi.\tx\nSee you.\ty\n"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/steps.json").write_text("30")
    environment = os.environ | {"RECURRA_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    small = ["--set", "embedding_size=8", "hidden_size=16", "batch_size=4", "--threads", "1"]
    recipe = ["train_keyboard.py", str(tmp_path / "run"), "--out", str(tmp_path / "model"), *small]
    for command in (
        recipe,
        ["keyboard.py", "--model", str(tmp_path / "model"), "--words", "50", "--no-peer"],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            cwd=FOLDER,
        )
        assert done.returncode == 0, done.stderr
    assert "recurra, books" in done.stdout
    assert "Tatoeba" in (tmp_path / "model/README.md").read_text()
