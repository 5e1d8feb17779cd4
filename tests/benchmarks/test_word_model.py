"""The word model's recipe: a tiny run writes what `load` reads, resumes, and prints the perplexity of what it wrote."""

from __future__ import annotations

import lzma
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"
AGAIN = """
import sys
from pathlib import Path
from word_model import EXAM_ROWS, load, numbered, perplexity, streams, words_of
network, words = load(Path(sys.argv[1]))
assert network.head.weight is network.embedding.weight
print(f"validation perplexity {perplexity(network, streams(numbered(words_of('valid'), words), EXAM_ROWS)):.1f}")
"""

pytestmark = pytest.mark.slow


def test_a_tiny_run_writes_what_is_read_again(tmp_path: Path) -> None:
    words = random.Random(0)
    (tmp_path / "text").mkdir()
    for part, lines in (("train", 300), ("valid", 40)):
        text = "\n".join(" ".join(words.choices("abcdefgh", k=9)) for _ in range(lines))
        (tmp_path / "text" / f"ptb.{part}.txt.xz").write_bytes(lzma.compress(text.encode()))
    environment = os.environ | {"RECURRA_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            cwd=FOLDER,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    recipe = ["word_model.py", str(tmp_path / "model"), "--quick", "--units", "8", "--threads", "1"]
    printed = run(*recipe)
    assert printed.startswith("validation perplexity ")
    assert run("-c", AGAIN, str(tmp_path / "model")) == printed
    assert run(*recipe) == printed  # the training is over, so it resumes to the same
