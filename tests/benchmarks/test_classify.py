"""The classification benchmark runs on a tiny cut, and its NB-SVM learns."""

from __future__ import annotations

import lzma
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "language" / "classify.py"

pytestmark = pytest.mark.slow


def test_a_tiny_run_prints_both(tmp_path: Path) -> None:
    draw = random.Random(0)
    (tmp_path / "labels").mkdir()
    for name, count in (("stsa.binary.train", 80), ("stsa.binary.dev", 20), ("TREC.train.all", 100)):
        lines = []
        for number in range(count):
            words = [*draw.choices("abcdefgh", k=5), ("good", "bad")[number % 2]]
            lines.append(f"{number % 2} {' '.join(words)}\n")
        (tmp_path / "labels" / f"{name}.xz").write_bytes(lzma.compress("".join(lines).encode()))
    environment = os.environ | {"RECURRA_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FILE), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("NB-SVM as published") == 2
    assert done.stdout.count("100.0%") >= 4
