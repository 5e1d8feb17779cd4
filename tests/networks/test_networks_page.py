"""The programs of docs/networks.md run, one after another as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"
CHECK = """
assert sum(each is embedding.weight for each in network.parameters()) == 1
assert scores.shape == (8, 10_000)
"""


@pytest.mark.slow
def test_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    ran = subprocess.run([sys.executable, "-c", "\n".join([*blocks, CHECK])], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
