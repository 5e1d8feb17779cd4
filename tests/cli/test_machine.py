"""`recurra doctor` and `recurra bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.bench import grid
from recurra.bench.grid import Sizes

TINY = Sizes(("RNN", "LSTM"), (4,), (1, 2), (3,))


def test_doctor_shows_the_machine(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "reference")
    answer = run("doctor", "--no-measure")
    assert answer.code == 0
    for word in ("torch", "extension", "threads", "RECURRA_SIMD", "linear_scan"):
        assert word in answer.out
    assert "RECURRA_OPS=reference keeps recurra from its fastest path" in answer.err


def test_doctor_answers_programs(run: Any) -> None:
    document = run("doctor", "--no-measure", "--json").document
    assert document.keys() == {"notes", "versions", "machine", "extension", "threads", "ops", "limits"}
    assert document["limits"] is None


@pytest.mark.slow
def test_doctor_measures_the_machine(run: Any) -> None:
    limits = run("doctor", "--json").document["limits"]
    assert limits["by"] == "torch"
    assert limits["matrix_product"].keys() == {"one_thread", "all_threads"}
    assert limits["read"].keys() == {"L1", "L2", "L3", "memory"}
    assert all(rate > 0 for level in limits["read"].values() for rate in level.values())


@pytest.mark.slow
def test_bench_prints_its_tables_and_writes_its_report(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "CUT", TINY)
    answer = run("bench", "--threads", 1, "--out", tmp_path / "new" / "out")
    assert answer.code == 0, answer.err
    assert "geometric mean" in answer.out
    found, conditions = grid.read(tmp_path / "new" / "out" / "bench.json")
    assert {each.point for each in found} == set(grid.points(TINY))
    assert conditions.threads == 1
    assert "<svg" in (tmp_path / "new" / "out" / "bench.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_bench_answers_programs(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "CUT", TINY)
    document = run("bench", "--inference", "--json").document
    assert document.keys() == {"notes", "conditions", "points", "summary", "files", "interrupted"}
    assert document["conditions"]["training"] is False
    assert document["files"] == []
    assert document["interrupted"] is False
    for row in document["points"]:
        assert row.keys() == {
            *("cell", "hidden", "batch", "steps", "torch_ms", "recurra_ms"),
            *("ratio", "gflops", "share", "rounds", "difference"),
        }
        assert row["ratio"] > 0
    for row in document["summary"]:
        assert row.keys() == {"cell", "ratio", "worst_ratio", "worst_point", "share"}


def test_bench_finds_out_first_that_it_cannot_write(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = run("bench", "--out", tmp_path / "file")
    assert answer.code == 1
    assert "a folder was expected" in answer.err
