"""The compiled extension, where it is there: which it is, and how many threads it may use."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

__all__ = ["available", "describe", "extension", "say_if_missing"]

_extension: ModuleType | None
try:
    _extension = importlib.import_module("recurra._native")
except ModuleNotFoundError:
    _extension = None


def available() -> bool:
    """Whether the extension was built."""
    return _extension is not None


def extension() -> ModuleType:
    """The extension; RuntimeError where it was not built."""
    if _extension is None:
        raise RuntimeError("recurra's extension was not built; recurra.ops falls back by itself")
    return _extension


_said = False  # Python forgets whom it warned whenever anyone, torch for one, sets other filters


def say_if_missing() -> None:
    """Warn where the extension was not built, once in a process."""
    global _said
    if _extension is None and not _said:
        _said = True
        warnings.warn(
            "recurra's extension was not built, so recurrent layers run slower: reinstall recurra with a C++ compiler, "
            "or set the environment variable RECURRA_OPS=torch to do without it",
            RuntimeWarning,
            stacklevel=2,
        )


def describe() -> dict[str, object] | None:
    """The variant in use, those this processor runs, its vectors' width, whether it has OpenMP; None without it."""
    if _extension is None:
        return None
    return {
        "variant": _extension.variant(),
        "variants": _extension.variants(),
        "width": _extension.width(),
        "openmp": _extension.openmp(),
    }
