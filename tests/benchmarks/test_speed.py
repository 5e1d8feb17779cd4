"""Every file of benchmarks/speed runs, cut to tiny sizes, and finds that recurra and its peers agree."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"
OTHERS = ("common", "dense", "onnx_steps", "word_model")
FILES = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in OTHERS)

pytestmark = pytest.mark.slow


def run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RECURRA_OPS"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--threads", "1", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment | {"OMP_NUM_THREADS": "1"}
    )


def document(name: str, file: Path, *options: str) -> tuple[Any, str]:
    done = run(name, "--quick", "--json", str(file), *options)
    assert done.returncode == 0, done.stderr
    return json.loads(file.read_text()), done.stdout


@pytest.mark.parametrize("name", FILES)
def test_a_tiny_run_agrees_and_prints_ratios(name: str, tmp_path: Path) -> None:
    found, printed = document(name, tmp_path / "found.json")
    assert found["rows"]
    for row in found["rows"]:
        ratios = [value for column, value in row.items() if column.startswith("× ")]
        assert ratios
        assert all(0 < ratio < math.inf for ratio in ratios)
    assert all(f"geometric mean {column}: " in printed for column in found["means"])


@pytest.mark.parametrize("options", [(), ("--inference",)])
def test_the_grid_runs_and_resumes_under_the_same_conditions(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    found, printed = document("dense", file, *options)
    assert found["conditions"]["training"] == (not options)
    assert len(found["points"]) == 6
    assert "| layer | geometric mean × |" in printed
    # As if it had been interrupted before the last point.
    kept = found["points"][:-1]
    file.write_text(json.dumps(found | {"points": kept}))
    resumed, printed = document("dense", file, "--resume", *options)
    assert resumed["points"][:-1] == kept
    assert resumed["points"][-1]["recurra_ms"] != found["points"][-1]["recurra_ms"]
    assert "; 1 points, about" in printed
    # Figures of other conditions are not joined.
    file.write_text(json.dumps(found | {"conditions": found["conditions"] | {"threads": 99}}))
    refused = run("dense", "--quick", "--json", str(file), "--resume", *options)
    assert refused.returncode == 1
    assert "other conditions" in refused.stderr
