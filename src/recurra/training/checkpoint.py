"""A checkpoint is one safetensors file: the tensors, and in its metadata everything else as JSON.

One file, because the rename of one file is atomic: whenever the process dies, the old checkpoint or the new
one is there, whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as files
from torch import Tensor

from recurra.errors import ModelError, RecurraError
from recurra.sources.files import write_bytes

__all__ = ["FILE", "group", "read", "write"]

FILE = "checkpoint.safetensors"
FORMAT = "recurra-checkpoint 1"


def write(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON values of `record`; raises RecurraError when the disk refuses."""
    own = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "record": json.dumps(record, allow_nan=False)}
    try:
        write_bytes(path, files.save(own, metadata))
    except OSError as error:
        raise RecurraError(
            f"the checkpoint could not be written: {error.strerror or error}",
            file=path,
            hint="Free some space and resume: the checkpoint before it is still there.",
        ) from error


def read(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on `device`, and the record of a checkpoint; raises ModelError for a damaged file."""
    try:
        content = path.read_bytes()
        tensors = files.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        record = json.loads(metadata["record"]) if metadata.get("format") == FORMAT else None
    except (OSError, SafetensorError, ValueError, LookupError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(record, dict):
        raise damaged(path, "it is no checkpoint of this version of recurra")
    return {name: tensor.to(device) for name, tensor in tensors.items()}, record


def damaged(path: Path, why: str) -> ModelError:
    """The error for a checkpoint that cannot be used."""
    return ModelError(
        f"the checkpoint cannot be used: {why}", file=path, hint="Delete it to start the training anew."
    )


def group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names start with `name/`, without that start."""
    start = f"{name}/"
    return {key[len(start) :]: tensor for key, tensor in tensors.items() if key.startswith(start)}
