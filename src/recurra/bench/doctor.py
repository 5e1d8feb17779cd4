"""What `recurra doctor` finds: versions, the extension, threads, paths, limits, and what could be better.

Nothing here needs torch; where it is missing, that is one of the findings.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from pathlib import Path
from types import ModuleType
from typing import Any

import recurra
from recurra.bench.limits import caches, cores, cpu, limits, torch_or_none

__all__ = ["examine", "findings"]


def examine(*, measure: bool = True) -> dict[str, Any]:
    """Everything as plain values, which docs/cli.md explains, in a few seconds; `limits` only with `measure`."""
    threads = _threads()
    found: dict[str, Any] = {
        "versions": _versions(),
        "machine": {"cpu": cpu(), "cores": cores(), "caches": caches(), "system": platform.platform()},
        "extension": _extension(),
        "threads": threads,
        "ops": {"RECURRA_OPS": os.environ.get("RECURRA_OPS") or None, "paths": _paths()},
        "limits": None,
    }
    if measure:
        measured = limits(threads["used"])
        found["limits"] = {
            "by": measured.by,
            "matrix_product": _rounded(measured.matrix_product),
            "read": {level: _rounded(rates) for level, rates in measured.read.items()},
        }
    return found


def findings(found: dict[str, Any]) -> list[str]:
    """What could be better, a sentence or two each: what it is, and the way out."""
    extension, threads, ops = found["extension"], found["threads"], found["ops"]
    said = []
    if found["versions"]["torch"] is None:
        said.append(
            "torch is not installed: model folders can be read, nothing can be trained or forecast. Install it with: "
            "pip install 'recurra[train]'."
        )
    if not extension["built"]:
        said.append(
            "The extension was not built, so everything runs on torch's kernels and plain loops, slower. Install a C++ "
            "compiler (on Debian: apt install g++), then recurra again."
        )
    if extension["stale"]:
        said.append(
            "The extension is older than its sources in native/. Install recurra again: make install."
        )
    forced, variants = extension["forced"], extension["variants"] or []
    if forced and variants and forced not in variants:
        said.append(
            f"RECURRA_SIMD={forced} is none of the variants that this machine runs ({', '.join(variants)}), so that "
            "the extension fails. Unset it."
        )
    elif forced and variants and forced != variants[0]:
        said.append(
            f"RECURRA_SIMD={forced} keeps this machine from {variants[0]}, which is faster. Unset it."
        )
    if threads["used"] > found["machine"]["cores"]:
        said.append(
            f"{threads['used']} threads are more than the {found['machine']['cores']} cores that this process may use: "
            f"they wait for one another. Set OMP_NUM_THREADS={found['machine']['cores']}."
        )
    if extension["built"] and extension["openmp"] is False:
        said.append(
            "The extension was built without OpenMP and uses one thread. Install a compiler with OpenMP (on macOS: "
            "brew install libomp), then recurra again."
        )
    if ops["RECURRA_OPS"] in ("reference", "torch"):
        said.append(f"RECURRA_OPS={ops['RECURRA_OPS']} keeps recurra from its fastest path. Unset it.")
    if ops["paths"] is not None and not all(ops["paths"].values()):
        said.append(
            f"RECURRA_OPS={ops['RECURRA_OPS']} leaves operations without a path, so that they fail. Unset it; it may "
            "be reference, torch or, where the extension was built, native."
        )
    return said


def _versions() -> dict[str, str | None]:
    torch = torch_or_none()
    return {
        "recurra": recurra.__version__,
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "torch": None if torch is None else str(torch.__version__),
    }


def _extension() -> dict[str, Any]:
    """What recurra._native tells about itself; None where it does not, or is not there."""
    native = _native()
    variants = _told(native, "variants")  # the best comes first
    return {
        "built": native is not None,
        "file": getattr(native, "__file__", None),
        "variant": _told(native, "variant"),
        "width": _told(native, "width"),
        "variants": None if variants is None else list(variants),
        "forced": os.environ.get("RECURRA_SIMD") or None,
        "openmp": _told(native, "openmp"),
        "stale": _stale(native),
    }


def _native() -> ModuleType | None:
    try:
        return importlib.import_module("recurra._native")
    except ModuleNotFoundError:
        return None


def _told(native: ModuleType | None, name: str) -> Any:
    function = getattr(native, name, None)
    try:
        return None if function is None else function()
    except RuntimeError:  # RECURRA_SIMD asks for a variant that is not there
        return None


def _stale(native: ModuleType | None) -> bool:
    """Whether sources lie beside the package, as in a clone, that are newer than the extension."""
    sources = list((Path(recurra.__file__).resolve().parents[2] / "native").glob("*.[ch]pp"))
    if native is None or native.__file__ is None or not sources:
        return False
    return max(file.stat().st_mtime for file in sources) > Path(native.__file__).stat().st_mtime


def _threads() -> dict[str, Any]:
    torch = torch_or_none()
    count = None if torch is None else int(torch.get_num_threads())
    used = count or int(_told(_native(), "threads") or cores())
    return {"used": used, "torch": count, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")}


def _paths() -> dict[str, list[str]] | None:
    """For each operation the kinds of paths open to it; a call takes the first that fits. None without torch."""
    if torch_or_none() is None:
        return None
    from recurra import ops

    try:
        allowed = ops._allowed()
    except ValueError:  # RECURRA_OPS is wrong, or asks for what is not there: every call fails
        allowed = ()
    return {name: [path.kind for path in paths if path.kind in allowed] for name, paths in ops.TABLE.items()}


def _rounded(rates: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if rate is None else round(rate, 1) for name, rate in rates.items()}
