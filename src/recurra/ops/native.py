"""The compiled extension, where it is there: which it is, and how many threads it may use."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["available", "describe", "extension"]

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
