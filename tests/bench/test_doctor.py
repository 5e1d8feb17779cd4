from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import recurra
from recurra import ops
from recurra.bench import doctor

WELL: dict[str, Any] = {
    "versions": {"recurra": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0"},
    "machine": {"cpu": "a processor", "cores": 2, "caches": {}, "system": "Linux"},
    "extension": {
        "built": True,
        "file": "/somewhere/_native.so",
        "variant": "avx2",
        "width": 8,
        "variants": ["avx2", "scalar"],
        "forced": None,
        "openmp": True,
        "stale": False,
    },
    "threads": {"used": 2, "torch": 2, "OMP_NUM_THREADS": None},
    "ops": {"RECURRA_OPS": None, "paths": {"lstm": ["native", "torch", "reference"]}},
    "limits": None,
}


def ill(**changes: dict[str, Any]) -> list[str]:
    found = deepcopy(WELL)
    for part, values in changes.items():
        found[part] |= values
    return doctor.findings(found)


def test_what_is_found_has_the_documented_keys_and_goes_into_json() -> None:
    found = json.loads(json.dumps(doctor.examine(measure=False), allow_nan=False))
    assert found.keys() == WELL.keys()
    for part in ("versions", "machine", "extension", "threads", "ops"):
        assert found[part].keys() == WELL[part].keys()
    assert found["versions"]["recurra"] == recurra.__version__
    assert found["versions"]["torch"] == torch.__version__
    assert found["extension"]["built"] == ops.native_available()
    assert found["threads"]["used"] == torch.get_num_threads()


def test_every_operation_is_told_with_its_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "reference")
    paths = doctor.examine(measure=False)["ops"]["paths"]
    assert paths == {name: ["reference"] for name in ops.TABLE}


def test_a_typo_leaves_every_operation_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_OPS", "refrence")
    found = doctor.examine(measure=False)
    assert not any(found["ops"]["paths"].values())
    assert any(
        "RECURRA_OPS=refrence leaves operations without a path" in said for said in doctor.findings(found)
    )


def test_a_machine_in_order_has_no_findings() -> None:
    assert doctor.findings(WELL) == []


@pytest.mark.parametrize(
    ("changes", "says", "way_out"),
    [
        ({"versions": {"torch": None}}, "torch is not installed", "pip install 'recurra[train]'"),
        ({"extension": {"built": False, "variants": None}}, "extension was not built", "C++ compiler"),
        ({"extension": {"stale": True}}, "older than its sources", "make install"),
        (
            {"extension": {"forced": "scalar", "variant": "scalar"}},
            "RECURRA_SIMD=scalar keeps this machine from avx2",
            "Unset it",
        ),
        (
            {"extension": {"forced": "sse9", "variant": None, "width": None}},
            "RECURRA_SIMD=sse9 is none of the variants that this machine runs (avx2, scalar)",
            "Unset it",
        ),
        ({"extension": {"openmp": False}}, "without OpenMP", "libomp"),
        ({"threads": {"used": 8}}, "8 threads are more than the 2 cores", "OMP_NUM_THREADS=2"),
        ({"ops": {"RECURRA_OPS": "torch"}}, "RECURRA_OPS=torch keeps recurra", "Unset it"),
        (
            {"ops": {"RECURRA_OPS": "native", "paths": {"lstm": []}}},
            "RECURRA_OPS=native leaves operations without a path",
            "Unset it",
        ),
    ],
)
def test_each_finding_says_what_it_is_and_the_way_out(
    changes: dict[str, Any], says: str, way_out: str
) -> None:
    (said,) = ill(**changes)
    assert says in said
    assert way_out in said


def test_forcing_the_best_variant_is_no_finding() -> None:
    assert ill(extension={"forced": "avx2"}) == []


def test_an_extension_older_than_a_source_beside_it_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, sources = tmp_path / "src" / "recurra", tmp_path / "native"
    package.mkdir(parents=True)
    sources.mkdir()
    built, source = package / "_native.so", sources / "kernels.cpp"
    for file, when in ((built, 1000), (source, 2000)):
        file.touch()
        os.utime(file, (when, when))
    monkeypatch.setattr(recurra, "__file__", str(package / "__init__.py"))
    native = ModuleType("native")
    native.__file__ = str(built)
    assert doctor._stale(native)
    os.utime(built, (3000, 3000))
    assert not doctor._stale(native)
    source.unlink()
    assert not doctor._stale(native)
    assert not doctor._stale(None)
