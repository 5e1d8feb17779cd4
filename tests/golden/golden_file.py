"""What the makers of golden numbers share: weights drawn anew from a seed, and one small file that says its origin."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SEED = 20240229
LIMIT = 150_000


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def draw(generator: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.get_default_dtype()) * scale


@torch.no_grad()
def redraw(module: nn.Module, generator: torch.Generator, scale: float = 0.5) -> None:
    """Draw every parameter, so that none keeps the zeros and ones it was made with, which would hide an error."""
    for parameter in module.parameters():
        parameter.copy_(draw(generator, *parameter.shape, scale=scale).to(parameter.dtype))


def write(name: str, package: str, license: str, tensors: Mapping[str, Tensor], **more: Any) -> None:
    """Write `name`.safetensors beside the makers; its metadata's one entry, `about`, is JSON."""
    about = {
        "package": package,
        "version": metadata.version(package),
        "license": license,
        "torch": metadata.version("torch"),
        "python": platform.python_version(),
        "seed": SEED,
        "maker": f"tests/golden/make_{name}.py",
        **more,
    }
    path = Path(__file__).with_name(f"{name}.safetensors")
    kept = {key: value.detach().contiguous().clone() for key, value in sorted(tensors.items())}
    save_file(kept, path, {"about": json.dumps(about, sort_keys=True)})
    size = path.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{path} has {size} bytes, more than {LIMIT}")
    print(f"{path.name}: {len(kept)} tensors, {size} bytes, {about['package']} {about['version']}")
