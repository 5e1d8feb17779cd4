"""The programs of a page of the documentation run, one after another as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NETWORKS = """
assert sum(each is embedding.weight for each in network.parameters()) == 1
assert scores.shape == (8, 10_000)
"""
KEYBOARD = """
assert keyboard.suggest("see you to", k=1)[0].text in ("tomorrow", "today")
assert keyboard.suggest("I love Zü")[0].text == "Zürich"
"""
STREAMING = """
assert len(session.history) == 30
"""
LANGUAGE = """
assert model.generate("The old", max_tokens=20, seed=1)
"""


CLASSIFY = """
assert model.predict(["what a lovely day"])[0] == "good"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "programs", "check"),
    [
        ("networks", 3, NETWORKS),
        ("streaming", 3, STREAMING),
        ("keyboard", 1, KEYBOARD),
        ("language", 1, LANGUAGE),
        ("classify", 1, CLASSIFY),
    ],
)
def test_the_page_runs(page: str, programs: int, check: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == programs
    command = [sys.executable, "-c", "\n".join([*blocks, check])]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
