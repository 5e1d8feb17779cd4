"""The model folder, version 1: what is in it, and how it is written and read safely.

config.json          format, version, the class name, its constructor arguments, what fitting found out
weights.safetensors  the arrays
README.md            the model's card, for people
tokenizer.json       optional: how text becomes tokens (recurra.text)
*.packed             optional: the network for the streaming engine, which needs no torch (recurra.streaming.packed)

Nothing in a model folder is ever run: no pickle, no names of code. This module needs NumPy only, not torch.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensors

from recurra import __version__
from recurra.errors import ModelError, RecurraError, UsageError
from recurra.sources.files import sync

__all__ = ["Model", "check_replaceable", "digest_of", "load_model", "packed_files", "save_model"]

FORMAT = "recurra-model"
VERSION = 1

CONFIG, WEIGHTS, CARD, PACKED = "config.json", "weights.safetensors", "README.md", ".packed"
TOKENIZER = "tokenizer.json"
_OF_A_MODEL = {CONFIG, WEIGHTS, CARD, TOKENIZER}
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave in every folder

MAX_TEXT = 64 * 2**20  # bytes of config.json, tokenizer.json and README.md
MAX_HEADER = 16 * 2**20  # bytes of the table of contents in weights.safetensors
MAX_WEIGHTS = 4 * 2**30  # bytes of weights.safetensors
MAX_DEPTH = 64  # how deep lists and objects may be nested in config.json
MAX_BITS = 1024  # of a whole number in config.json

_DTYPES = {"bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64"}
_DTYPES |= {"uint8", "uint16", "uint32", "uint64"}
_COPY_AGAIN = "Copy the whole folder again, or train the model again."


@dataclass(frozen=True)
class Model:
    """What a model folder holds.

    Attributes
    ----------
    kind: name of the class that wrote it.
    arguments: its constructor's arguments, plain JSON values.
    fitted: what fitting found out, plain JSON values.
    weights: arrays by name.
    card: the text of README.md.
    packed: the files of packed networks by name, not read yet.
    tokenizer: the text of tokenizer.json; None where there is none.
    """

    kind: str
    arguments: dict[str, Any]
    fitted: dict[str, Any]
    weights: dict[str, np.ndarray[Any, Any]] = field(repr=False)
    card: str = ""
    packed: dict[str, Path] = field(default_factory=dict)
    tokenizer: str | None = field(default=None, repr=False)


class Storable(Protocol):
    """What writes itself into a file, as a packed network does."""

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the file."""


def save_model(
    folder: str | Path,
    *,
    kind: str,
    arguments: Mapping[str, Any],
    fitted: Mapping[str, Any],
    weights: Mapping[str, np.ndarray[Any, Any]],
    card: str,
    packed: Mapping[str, Storable] | None = None,
    tokenizer: str | None = None,
) -> None:
    """Write a model folder; one that exists is replaced, and a crash leaves the old or the new one, whole.

    `arguments` and `fitted` hold JSON values (NumPy's scalars count as such; tuples come back as lists),
    `weights` hold booleans, whole numbers or floats of 16 to 64 bits.

    Raises UsageError where something stands that is no model folder, ModelError for values that it cannot
    hold, RecurraError where the disk refuses.
    """
    # Beyond a link lies the folder that is meant; the link itself stays.
    target = Path(folder).resolve()
    check_replaceable(target)
    config = {"format": FORMAT, "version": VERSION, "recurra": __version__, "class": kind}
    config |= {"arguments": _plain(dict(arguments), "arguments"), "fitted": _plain(dict(fitted), "fitted")}
    files = {CONFIG: _json(config), WEIGHTS: _safetensors(weights), CARD: _utf8(card, CARD)}
    if tokenizer is not None:
        files[TOKENIZER] = _utf8(tokenizer, TOKENIZER)
    fresh = target.with_name(f".{target.name}.new-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(fresh)
        fresh.mkdir()
        try:
            for name, content in files.items():
                (fresh / name).write_bytes(content)
                sync(fresh / name)
            for name, network in (packed or {}).items():
                network.save(fresh / f"{name}{PACKED}")
            sync(fresh)
            _swap(fresh, target)
        finally:
            _remove(fresh)
    except OSError as error:
        raise RecurraError(
            f"the model could not be written: {error.strerror or error}",
            file=folder,
            hint="Free some space, or choose another folder.",
        ) from error


def load_model(folder: str | Path) -> Model:
    """Read a model folder.

    Raises ModelError for whatever is missing, damaged, too large, of another kind or newer than this recurra.
    """
    place = Path(folder)
    if not place.exists() and _former(place.resolve()).is_dir():
        place = _former(place.resolve())  # a save was killed between its two renames
    if not place.exists():
        raise ModelError("there is no such model folder", file=folder, hint="Check the path.")
    if not place.is_dir():
        raise ModelError("this is a file, not a model folder", file=folder, hint="Give its folder.")
    config = _read_config(place / CONFIG)
    weights = _read_weights(place / WEIGHTS)
    card = _text(place / CARD) if (place / CARD).exists() else ""
    tokenizer = _text(place / TOKENIZER) if (place / TOKENIZER).exists() else None
    packed = packed_files(place)
    return Model(config["class"], config["arguments"], config["fitted"], weights, card, packed, tokenizer)


def digest_of(weights: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Which weights these are: a packed network names those that it was made of."""
    import hashlib

    found = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name]
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def packed_files(folder: Path) -> dict[str, Path]:
    """The files of the packed networks in a model folder by name; ModelError for what is no file."""
    return {path.stem: _regular(path) for path in sorted(folder.glob(f"[!.]*{PACKED}"))}


# Writing


def _former(target: Path) -> Path:
    """Where the old folder waits while the new one takes its name."""
    return target.with_name(f".{target.name}.old")


def _swap(fresh: Path, target: Path) -> None:
    former = _former(target)
    if target.exists():
        _remove(former)
        os.replace(target, former)  # noqa: PTH105
    try:
        os.replace(fresh, target)  # noqa: PTH105
    except BaseException:
        if former.exists() and not target.exists():
            os.replace(former, target)  # noqa: PTH105
        raise
    sync(target.parent)
    _remove(former)


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that can be done."""
    import shutil  # only writers need it

    shutil.rmtree(folder, ignore_errors=True)


def check_replaceable(target: Path) -> None:
    """Raise UsageError where saving would replace what may be of worth: anything but a model or an empty folder."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError("a model is a folder, and this is a file", file=target, hint="Choose another name.")
    names = {entry.name for entry in target.iterdir()} - _LITTER
    if not names:
        return
    hint = "Choose another folder, or move these files away."
    if CONFIG not in names:
        what = "this folder holds something else than a model"
        raise UsageError(what, file=target, value=min(names), hint=hint)
    if strange := {name for name in names - _OF_A_MODEL if not name.endswith(PACKED)}:
        other = ", ".join(sorted(strange)[:3])
        what = "this folder holds files that are no part of a model"
        raise UsageError(what, file=target, value=other, hint=hint)
    try:
        known = _parse(target / CONFIG).get("format") == FORMAT
    except ModelError:
        known = False
    if not known:
        raise UsageError("the config.json in this folder is not a recurra model's", file=target, hint=hint)


def _plain(value: Any, place: str, depth: int = 2) -> Any:
    """The value as JSON keeps it; ModelError naming the place of what JSON would change or refuse."""
    if isinstance(value, np.generic):
        value = value.item()
    if depth > MAX_DEPTH:
        raise ModelError(f"{place} is nested too deeply for a model folder")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ModelError(f"{place} has a key that is no text", value=repr(key))
        return {key: _plain(part, f"{place}.{key}", depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, f"{place}[{number}]", depth + 1) for number, part in enumerate(value)]
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ModelError(f"{place} is a number too large for a model folder")
    if value is None or isinstance(value, (int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ModelError(f"{place} cannot be kept in a model folder", value=repr(value))


def _json(config: dict[str, Any]) -> bytes:
    content = _utf8(json.dumps(config, ensure_ascii=False, allow_nan=False, indent=1) + "\n", CONFIG)
    if len(content) > MAX_TEXT:
        raise ModelError(f"{CONFIG} would be larger than {_size(MAX_TEXT)}", value=_size(len(content)))
    return content


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        found = repr(text[error.start : error.end])
        raise ModelError(f"{name} would hold characters that are no valid Unicode", value=found) from error


def _safetensors(weights: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    arrays = {}
    for name, array in weights.items():
        if array.dtype.name not in _DTYPES:
            what = f"a model folder cannot hold the type of the weights {name!r}"
            raise ModelError(what, value=array.dtype)
        # The writer copies raw memory, so the order in memory must be the order of the elements.
        arrays[name] = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if sum(array.nbytes for array in arrays.values()) + MAX_HEADER > MAX_WEIGHTS:
        raise ModelError(f"the weights are larger than {_size(MAX_WEIGHTS)}")
    return tensors.save(arrays)


# Reading


def _read(path: Path, limit: int) -> bytes:
    """The bytes of a regular file no larger than `limit`, which is checked before any memory is taken."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("this is not a regular file", file=path, hint=_COPY_AGAIN)
        if status.st_size > limit:
            found = _size(status.st_size)
            raise ModelError(f"the file is larger than {_size(limit)}", file=path, value=found)
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError as error:
        raise ModelError("the model folder lacks this file", file=path, hint=_COPY_AGAIN) from error
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror or error}", file=path) from error


def _regular(path: Path) -> Path:
    """The path, if a regular file is there: opening a pipe would wait for ever."""
    if not path.is_file():
        raise ModelError("this is not a regular file", file=path, hint=_COPY_AGAIN)
    return path


def _text(path: Path) -> str:
    try:
        return _read(path, MAX_TEXT).decode()
    except UnicodeDecodeError as error:
        raise ModelError("the file is damaged: it is no UTF-8 text", file=path, hint=_COPY_AGAIN) from error


def _parse(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ModelError if it is no JSON, no object, or nested too deeply."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    text = _text(path)
    try:
        content = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON ({error})"
        raise ModelError(f"the file is damaged: {why}", file=path, hint=_COPY_AGAIN) from error
    if not isinstance(content, dict):
        raise ModelError("the file is damaged: it is no JSON object", file=path, hint=_COPY_AGAIN)
    try:
        return dict(_plain(content, path.name, 1))
    except ModelError as error:
        raise ModelError(f"the file is damaged: {error.what}", file=path, hint=_COPY_AGAIN) from error


def _read_config(path: Path) -> dict[str, Any]:
    config = _parse(path)
    if config.get("format") != FORMAT:
        hint = "Give a folder that a recurra model was saved to."
        raise ModelError("this is not a recurra model", file=path, hint=hint)
    version = config.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelError("the file is damaged: its version is no whole number", file=path, hint=_COPY_AGAIN)
    if version > VERSION:
        writer = config.get("recurra")
        what = f"the model was written by a newer recurra ({writer}, model format {version})"
        what += f" than this one ({__version__}, model format {VERSION})"
        raise ModelError(what, file=path, hint="Upgrade with: pip install --upgrade recurra.")
    for key, kind in {"class": str, "arguments": dict, "fitted": dict}.items():
        if not isinstance(config.get(key), kind):
            raise ModelError(f"the file is damaged: {key!r} is missing or wrong", file=path, hint=_COPY_AGAIN)
    return config


def _read_weights(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    content = _read(path, MAX_WEIGHTS)
    header = int.from_bytes(content[:8], "little")
    if len(content) < 8 or header > min(MAX_HEADER, len(content) - 8):
        raise ModelError("the file is damaged: it ends too early", file=path, hint=_COPY_AGAIN)
    try:
        arrays = tensors.load(content)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"the file is damaged: {error}", file=path, hint=_COPY_AGAIN) from error
    except KeyError as error:
        raise _of_another_type(path, error.args[0]) from error
    for array in arrays.values():
        if array.dtype.name not in _DTYPES:
            raise _of_another_type(path, array.dtype)
    return arrays


def _of_another_type(path: Path, found: object) -> ModelError:
    what = "the file holds numbers of a type that this recurra does not read"
    return ModelError(what, file=path, value=found, hint="Store the weights as float32.")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
