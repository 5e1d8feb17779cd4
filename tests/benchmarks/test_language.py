"""The recipes of language models: a tiny run trains, measures and writes its figures."""

from __future__ import annotations

import json
import lzma
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from recurra import LanguageModel

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "language"

pytestmark = pytest.mark.slow


def run(tmp_path: Path, *command: object) -> str:
    environment = os.environ | {"RECURRA_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, *map(str, command), "--quick", "--threads", "1"]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(lzma.compress(text.encode()))


def test_words(tmp_path: Path) -> None:
    words = random.Random(0)
    for part, lines in (("train", 300), ("valid", 40)):
        text = "\n".join(" ".join(words.choices("abcdefgh", k=9)) for _ in range(lines))
        packed(tmp_path / "text" / f"ptb.{part}.txt.xz", text)
    for _ in range(2):  # the second time it goes on from the end
        run(tmp_path, FOLDER / "ptb.py", tmp_path / "out")
        figures = json.loads((tmp_path / "out" / "figures.json").read_text())
        assert {"static", "cache", "dynamic"} <= figures.keys()
        assert 1 < figures["static"] < 20
    assert "dynamic evaluation" in run(tmp_path, FOLDER / "ptb.py", tmp_path / "out", "--only", "dynamic")


def test_characters(tmp_path: Path) -> None:
    packed(
        tmp_path / "text" / "tinyshakespeare.txt.xz", "To be, or not to be:\nthat is the question.\n\n" * 300
    )
    run(tmp_path, FOLDER / "shakespeare.py", tmp_path / "out")
    assert 0 < json.loads((tmp_path / "out" / "figures.json").read_text())["static"] < 4


def test_the_writer(tmp_path: Path) -> None:
    books = [
        {
            "author": "A",
            "title": f"B {i}",
            "text": f"# Title\n\n-------\n\nThe sea was calm on day {i}. " * 30,
        }
        for i in range(60)
    ]
    packed(tmp_path / "text" / "books.jsonl.xz", "\n".join(map(json.dumps, books)))
    packed(tmp_path / "text" / "tinyshakespeare.txt.xz", "First Citizen:\nSpeak, speak.\n\n" * 300)
    chat = {"turns": [{"speaker": 0, "text": "Hello, how are you?"}, {"speaker": 1, "text": "Fine!"}]}
    packed(tmp_path / "dialogue" / "chitchat.jsonl.xz", "\n".join([json.dumps(chat)] * 60))
    said = run(tmp_path, FOLDER / "train_writer.py", tmp_path / "work", "--out", tmp_path / "m")
    assert "MB" in said
    model = LanguageModel.load(tmp_path / "m")
    assert model.kinds_ == ("chat", "drama", "prose")
    assert model.generate("The sea", max_tokens=3)
