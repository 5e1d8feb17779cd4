"""A cut of benchmarks/language/tag.py: it trains, stops, goes on, compares and prints."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def conllu(sentences: int) -> str:
    words = [("la", "DET"), ("domo", "NOUN"), ("kuras", "VERB"), (".", "PUNCT")]
    one = "".join(f"{n}\t{word}\t_\t{tag}{'	_' * 6}\n" for n, (word, tag) in enumerate(words, start=1))
    return f"{one}\n" * sentences


@pytest.mark.slow
def test_a_cut_of_the_recipe_runs_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for part, count in (("train", 120), ("dev", 10)):
        packed = lzma.compress(conllu(count).encode())
        (tmp_path / "labels" / f"ud_ewt.{part}.conllu.xz").write_bytes(packed)
    command = [sys.executable, str(ROOT / "benchmarks/language/tag.py"), str(tmp_path / "out")]
    command += ["--steps", "4", "--threads", "1", "--json", str(tmp_path / "figures.json")]
    environment = {**os.environ, "RECURRA_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
        assert figures["averaged perceptron"]["accuracy"] == 1.0
        assert figures["scikit-learn, linear"]["accuracy"] == 1.0
        assert figures["words"] == 40
        assert "words a second" in done.stdout
