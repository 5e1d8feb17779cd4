"""Installing from source: with a compiler the extension comes along; without one recurra still works."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "src", "native")
PROGRAM = """
import torch, recurra, recurra.ops as ops
h = ops.linear_scan(torch.full((1, 3, 1), 2.0), torch.ones(1, 3, 1), torch.ones(1, 1))
h = ops.linear_scan(torch.full((1, 3, 1), 2.0), torch.ones(1, 3, 1), torch.ones(1, 1))
print(recurra.__file__, ops.native_available(), h.flatten().tolist())
"""

# Asked by their metadata: even looking for the module pip makes setuptools leave distutils to Python (its
# _distutils_hack), and the next `import setuptools` of this process, torch's inductor's, then stops.
INSTALLED = {distribution.name for distribution in distributions()}
needs_build_tools = pytest.mark.skipif(
    not {"pip", "scikit-build-core", "nanobind"} <= {name.replace("_", "-") for name in INSTALLED},
    reason="building needs pip, scikit-build-core and nanobind in this environment",
)


def install(tmp_path: Path, **variables: str) -> tuple[list[str], str]:
    """Install a copy of the sources into an empty folder and run PROGRAM on it; its words and its warnings."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RECURRA_OPS")
    }
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
    ]
    built = subprocess.run(
        [*pip, "--target", str(target), str(source)],
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    # -S keeps an editable install of this repository out; torch is found where it is now.
    paths = [str(target), *(path for path in sys.path if path.endswith("site-packages"))]
    ran = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    file, *words = ran.stdout.split(maxsplit=2)
    assert Path(file).is_relative_to(target)
    return [word.strip() for word in words], ran.stderr


@needs_build_tools
@pytest.mark.slow
def test_without_a_compiler_recurra_runs_on_the_reference_and_says_so_once(tmp_path: Path) -> None:
    words, warned = install(tmp_path, CC="/bin/false", CXX="/bin/false")
    assert words == ["False", "[3.0, 7.0, 15.0]"]
    assert warned.count("extension was not built") == 1, warned


@needs_build_tools
@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler on this machine"
)
def test_with_a_compiler_comes_the_extension_and_no_openmp_of_its_own(tmp_path: Path) -> None:
    words, warned = install(tmp_path)
    assert words == ["True", "[3.0, 7.0, 15.0]"]
    assert warned == ""
    assert not list((tmp_path / "target").rglob("*omp*.so*"))
    (extension,) = (tmp_path / "target" / "recurra").glob("_native*.so")
    symbols = ctypes.CDLL(str(extension))
    assert hasattr(symbols, "PyInit__native")
    assert not hasattr(symbols, "_ZN7recurra7kernelsEv")  # hidden: no other library's names can meet ours
