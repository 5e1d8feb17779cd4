"""The extension, built from native/; absent where there was no compiler. Kernels take addresses: native/kernels.hpp."""

from typing import Any

def variant() -> str: ...
def variants() -> list[str]: ...
def use(name: str) -> None: ...
def width() -> int: ...
def openmp() -> bool: ...

product: Any
embed: Any
Dense: Any
dense: Any

# The streaming engine (src/recurra/streaming/run.py).
Engine: Any
INSTRUCTION: int
