"""A packed network: its program, and its matrices as the engine stores them; the file, which is mapped, not read.

It is a safetensors file whose numbers begin at multiples of 64 bytes, with the program's description (JSON) as the
metadata `recurra`. Nothing in it is ever run but by the engine, which checks every number of the program first.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ModelError, UsageError
from recurra.sources.files import atomic_write
from recurra.streaming import weights as formats

if TYPE_CHECKING:
    from recurra.streaming.program import Program

__all__ = ["BOUNDS", "Packed", "PackedMatrix", "parse", "stored"]

FORMAT, VERSION = "recurra-packed", 1
ALIGNMENT = 64  # bytes: a cache line
MAX_HEADER = 16 * 2**20  # bytes
SMALL = 1024  # numbers of a matrix that is not worth fewer bits
NARROW = 64  # inputs below which int4's groups would hold mostly filling: int8 then
# How far the packed network's outputs may be from its source's, as a share of their root mean square.
BOUNDS = {"float32": 1e-3, "float16": 1e-2, "int8": 0.1, "int4": 0.5}
_TYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}
_AGAIN = "Copy the file again, or pack the network again."


@dataclass(frozen=True)
class PackedMatrix:
    """A matrix (out, in) in one of the formats of `recurra.streaming.weights`."""

    format: str
    shape: tuple[int, int]
    weights: NDArray[np.uint8]
    scales: NDArray[np.uint8]


@dataclass(frozen=True)
class Packed:
    """What a packed file holds.

    Attributes
    ----------
    description: the program but for its instructions: inputs, outputs, leaves, sections, formats (plain JSON values).
    instructions: (N, 32) whole numbers, as native/engine/bind_engine.cpp reads them.
    constants, initial: numbers of the program.
    matrices: its matrices.
    """

    description: dict[str, Any]
    instructions: NDArray[np.int64]
    constants: NDArray[np.float32]
    initial: NDArray[np.float32]
    matrices: list[PackedMatrix]

    @classmethod
    def of(cls, program: Program, matrices: list[PackedMatrix], about: Mapping[str, Any]) -> Packed:
        """A program with its matrices packed; `about` are plain JSON values that are kept with it."""
        from recurra.streaming.program import row  # what is packed already needs none of it

        operations = sorted({each.op for each in program.instructions})
        description = {
            "format": FORMAT,
            "version": VERSION,
            "operations": operations,
            "inputs": [[each.name, each.size, each.offset] for each in program.inputs],
            "outputs": [[each.offset, list(each.shape)] for each in program.outputs],
            "leaves": [[each.name, list(each.shape), each.offset, each.after] for each in program.leaves],
            "sections": [[each.first, each.last, list(each.leaves), each.ends] for each in program.sections],
            "matrices": [[each.format, *each.shape] for each in matrices],
            "memories": [list(each) for each in program.memories],
            "frame": program.frame,
            "about": dict(about),
        }
        rows = [row(each, operations.index(each.op)) for each in program.instructions]
        table = np.array(rows, np.int64).reshape(len(rows), -1)
        made = cls(description, table, _whole_lines(program.constants), program.initial, matrices)
        description["digest"] = _digest(made)
        return made

    def reformatted(self, weights: str) -> Packed:
        """The same program with its matrices in another format, made of those that this one computes with.

        Raises UsageError for an unknown format, and where this one's are not float32: rounding twice loses more.
        """
        found = self.description["about"].get("weights")
        if found != "float32":
            hint = "Train again, or pack the model that it was packed from."
            raise UsageError("weights are rounded once, from float32", value=found, hint=hint)
        matrices = [
            stored(formats.unpack(each.weights, each.scales, "float32", each.shape), weights)
            for each in self.matrices
        ]
        about = {**self.description["about"], "weights": weights}
        description = {key: value for key, value in self.description.items() if key != "digest"}
        description |= {"about": about, "matrices": [[each.format, *each.shape] for each in matrices]}
        made = Packed(description, self.instructions, self.constants, self.initial, matrices)
        description["digest"] = _digest(made)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; one that exists is replaced, and a crash leaves the old or the new one, whole.

        Raises RecurraError where the disk refuses.
        """
        with atomic_write(path) as fresh, fresh.open("wb") as file:
            tensors = _tensors(self)
            entries: dict[str, Any] = {"__metadata__": {"recurra": json.dumps(self.description)}}
            at = 0
            for name, array in tensors.items():
                kind = next(key for key, dtype in _TYPES.items() if array.dtype == dtype)
                entries[name] = {
                    "dtype": kind,
                    "shape": list(array.shape),
                    "data_offsets": [at, at + array.nbytes],
                }
                at += array.nbytes
            header = json.dumps(entries).encode()
            header += b" " * (-(len(header) + 8) % ALIGNMENT)
            file.write(len(header).to_bytes(8, "little") + header)
            for array in tensors.values():
                file.write(array.tobytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Packed:
        """Map a file into memory: its numbers are read when they are used.

        Raises ModelError where the file is missing, damaged, or made by a later version.
        """
        try:
            bytes_ = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise ModelError(f"the packed network cannot be read: {error}", file=path, hint=_AGAIN) from None
        return parse(np.asarray(bytes_), path)


def stored(matrix: NDArray[np.float32], weights: str) -> PackedMatrix:
    """A matrix (out, in) in a format, in more bits where it is small or narrow; UsageError for an unknown format."""
    if weights not in formats.FORMATS:
        hint = f"Use {', '.join(formats.FORMATS)}."
        raise UsageError("there are no such weights", value=weights, hint=hint)
    chosen: formats.Format = weights
    if matrix.size < SMALL:
        chosen = "float32"
    elif chosen == "int4" and matrix.shape[1] < NARROW:
        chosen = "int8"
    numbers, scales = formats.pack(matrix, chosen)
    shape = (matrix.shape[0], matrix.shape[1])
    return PackedMatrix(chosen, shape, numbers, np.zeros(0, np.uint8) if scales is None else scales)


def parse(data: NDArray[np.uint8], source: object) -> Packed:
    """The packed network in a file's bytes, which it goes on to use.

    Raises ModelError, which names the source, where they are none or damaged.
    """
    try:
        return _parsed(data)
    except _DamageError as error:
        raise ModelError(f"this is no packed network of recurra: {error}", file=source, hint=_AGAIN) from None


class _DamageError(Exception):
    """What is wrong with a file."""


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _DamageError(what)


def _parsed(data: NDArray[np.uint8]) -> Packed:
    _require(len(data) >= 8, "it is too short")
    size = int.from_bytes(data[:8].tobytes(), "little")
    _require(2 <= size <= min(MAX_HEADER, len(data) - 8), "its header does not fit into it")
    try:
        entries = json.loads(data[8 : 8 + size].tobytes())
        metadata = entries.pop("__metadata__")
        description = json.loads(metadata["recurra"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _DamageError("its header is no description of one") from None
    _require(isinstance(description, dict) and description.get("format") == FORMAT, "it says so itself")
    version = description.get("version")
    _require(version == VERSION, f"it has version {version}, this recurra knows {VERSION}")
    body = data[8 + size :]
    arrays = {name: _array(body, name, entry) for name, entry in entries.items()}
    matrices = []
    listed = description.get("matrices")
    _require(isinstance(listed, list), "it lists no matrices")
    for number, each in enumerate(listed):
        whole = isinstance(each, list) and len(each) == 3 and all(_is_count(n) for n in each[1:])
        _require(whole and each[0] in formats.FORMATS, f"matrix {number} is of no known kind")
        found = [arrays.get(f"{number}.{part}") for part in ("weights", "scales")]
        bytes_ = [a for a in found if a is not None and a.dtype == np.uint8 and a.ndim == 1]
        _require(len(bytes_) == 2, f"it has no matrix {number}")
        matrices.append(PackedMatrix(each[0], (each[1], each[2]), *bytes_))
    for name, dtype, axes in (
        ("instructions", np.int64, 2),
        ("constants", np.float32, 1),
        ("initial", np.float32, 1),
    ):
        known = arrays.get(name)
        _require(known is not None and known.dtype == dtype and known.ndim == axes, f"it has no {name}")
    _check_description(description)
    return Packed(description, arrays["instructions"], arrays["constants"], arrays["initial"], matrices)


def _array(body: NDArray[np.uint8], name: Any, entry: Any) -> NDArray[Any]:
    try:
        dtype, shape = np.dtype(_TYPES[entry["dtype"]]), entry["shape"]
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise _DamageError(f"the entry {name!r} is no array's") from None
    counts = isinstance(shape, list) and len(shape) <= 2 and all(_is_count(n) for n in (*shape, begin, end))
    _require(counts and 0 <= begin <= end <= len(body), f"the array {name!r} lies outside of it")
    _require(math.prod(shape) * dtype.itemsize == end - begin, f"the array {name!r} has another size")
    _require(begin % dtype.itemsize == 0, f"the array {name!r} begins inside a number")
    return body[begin:end].view(dtype).reshape(shape)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _check_description(description: dict[str, Any]) -> None:
    """That every part is made as `Packed.of` makes it; what its numbers mean the engine checks."""
    shape = {
        "operations": [str],
        "inputs": [(str, int, (int, type(None)))],
        "outputs": [(int, [int])],
        "leaves": [(str, [int], int, int)],
        "sections": [(int, int, [int], bool)],
        "memories": [(int, int)],
        "frame": int,
        "about": dict,
        "digest": str,
    }
    for name, kind in shape.items():
        _require(_is_made(description.get(name), kind), f"its {name} are not made so")
    outputs = description["outputs"]
    _require(bool(outputs) and all(each[:1] == [1] for _, each in outputs), "its outputs are not one row's")


def _is_made(value: Any, kind: Any) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(_is_made(each, kind[0]) for each in value)
    if isinstance(kind, tuple) and kind[-1] is type(None):
        return value is None or _is_made(value, kind[0])
    if isinstance(kind, tuple):
        return isinstance(value, list) and len(value) == len(kind) and all(map(_is_made, value, kind))
    return _is_count(value) if kind is int else type(value) is kind


def _tensors(packed: Packed) -> dict[str, NDArray[Any]]:
    """The arrays of a file, in its order: those of the same type together, as safetensors wants them."""
    matrices: dict[str, NDArray[Any]] = {}
    for number, each in enumerate(packed.matrices):
        matrices |= {f"{number}.weights": each.weights, f"{number}.scales": each.scales}
    return {
        "instructions": packed.instructions,
        "constants": packed.constants,
        "initial": packed.initial,
        **matrices,
    }


def _digest(packed: Packed) -> str:
    """Which network this is: two with the same digest continue each other's sessions."""
    import hashlib

    found = hashlib.sha256(json.dumps(packed.description, sort_keys=True).encode())
    for array in _tensors(packed).values():
        found.update(array.tobytes())
    return found.hexdigest()


def _whole_lines(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.pad(numbers, (0, -len(numbers) % (ALIGNMENT // 4)))
