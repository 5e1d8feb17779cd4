"""The benchmark of text runs on a small cut and prints its figures."""

from __future__ import annotations

import json
import lzma
import os
import random
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "language" / "text.py"


def run(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RECURRA_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FILE), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_a_small_cut_prints_its_figures(tmp_path: Path) -> None:
    words = random.Random(0)
    (tmp_path / "text").mkdir()
    text = " ".join("".join(words.choices("abcdef", k=5)) for _ in range(3000))
    (tmp_path / "text" / "books.jsonl.xz").write_bytes(lzma.compress(json.dumps({"text": text}).encode()))
    done = run(tmp_path, "--json", str(tmp_path / "figures.json"))
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["millions of characters"] == len(text) / 1e6
    assert all(figure > 0 for figure in figures.values())


def test_without_the_books_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "RECURRA_DATA" in done.stderr
