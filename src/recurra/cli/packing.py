"""`recurra pack`: a trained model that is used without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recurra.cli import options as o

__all__ = ["pack"]


def pack(
    model: Annotated[Path, typer.Argument(show_default=False, help="The model's folder.")],
    weights: Annotated[
        str, typer.Option(help="How weights are stored: float32, float16, int8 or int4.")
    ] = "float32",
    as_json: o.Json = False,
) -> None:
    """Pack a model's network into its folder, so that it is used without torch, and starts at once."""
    with o.verb(as_json) as console:
        from recurra.artifact import packed_files
        from recurra.estimator import load

        estimator = load(model)
        error = estimator.pack(weights)
        estimator.save(model)
        sizes = {path.name: path.stat().st_size for path in packed_files(model).values()}
        console.table(
            f"Packed {model}, weights in {weights}",
            ["file", "kB"],
            [[name, f"{size / 1e3:,.1f}"] for name, size in sizes.items()],
        )
        console.say(f"What it says differs from its source by {error:.2g} of its size.")
        console.result({"model": str(model), "weights": weights, "error": error, "files": sizes})
